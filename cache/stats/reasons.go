package stats

// What the ledger's words mean, in a sentence for people. It is one map for whatever shows the ledger.

// cacheReasons has a sentence for each cache.Reason.
var cacheReasons = map[string]string{
	"exact":             "Somebody had saved for this very module graph.",
	"nearest":           "Nobody had saved for this module graph yet, so the caches began with what was saved for another one.",
	"first_run":         "Nothing had ever been saved for this project where the job may read, so the caches began empty.",
	"new_toolchain":     "What was saved had been compiled by other Go versions, so all was compiled anew.",
	"new_platform":      "What was saved had been compiled for other platforms, so all was compiled anew.",
	"no_go":             "The image has no Go, so there is nothing to cache.",
	"bypassed":          "The job sets GOCACHE or GOMODCACHE itself, so it was left alone.",
	"off":               "The job (GO_EXECUTOR_CACHE) or the settings (cache.kinds) want no caches.",
	"read_only":         "The job wants nothing saved (GO_EXECUTOR_CACHE = read-only).",
	"refreshed":         "The job asked to begin with nothing and to replace what was there (GO_EXECUTOR_CACHE = refresh).",
	"too_slow":          "A step did not end within its limit (cache.restore_timeout, cache.save_timeout), or would have taken longer than it saves.",
	"store_unreachable": "The store did not answer, or broke off, so the job had what this host knew by itself.",
	"store_refused":     "The store refused what it was asked for: its credentials, or what they may do, have to be looked at.",
	"corrupt":           "A layer or an entry was not what its name says; it was left out, and what it held is saved anew.",
	"unsigned":          "An entry was not signed with cache.signing_key, so it was not believed.",
	"disk_full":         "There was too little space left on the host, in state_dir.",
	"unsupported_host":  "The host cannot mount layers, or Docker does not see what is mounted.",
	"still_running":     "It was not certain that the job's processes had ended, so nothing of it was read.",
	"bug":               "An error came up that nobody has given a reason: please report it, with the lines of the operator log.",
}

// outcomes has the end of the sentence "The job ..." for each outcome.Outcome.
var outcomes = map[string]string{
	"success":       "succeeded",
	"script_failed": "failed: one of its scripts did",
	"job_invalid":   "failed at once: its definition cannot run here",
	"system_failed": "failed: this host, Docker or the settings are at fault",
	"canceled":      "was canceled",
	"timed_out":     "was stopped at its time limit",
	"lost":          "was lost: its GitLab Runner died",
}

// CacheReason says in a sentence what a cache_reason or save_reason means.
func CacheReason(word string) string {
	switch text, ok := cacheReasons[word]; {
	case ok:
		return text
	case word == "":
		return "The job ended before anything was decided about its caches."
	}
	return "This release does not know the word."
}

// Outcome ends the sentence "The job ..." for an outcome.
func Outcome(word string) string {
	if text, ok := outcomes[word]; ok {
		return text
	}
	return "ended in a way that this release does not know"
}
