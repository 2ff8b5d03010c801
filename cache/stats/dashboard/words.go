package dashboard

// What the words of the ledger mean. They are those of the packages cache and outcome, which this one must not know.

var cacheReasons = map[string]string{
	"":                  "ended before caches were decided about",
	"exact":             "saved for this very graph",
	"nearest":           "saved for another graph of the same platform and toolchain",
	"first_run":         "nothing was ever saved for this project and trust tier",
	"new_toolchain":     "saved for other toolchains only",
	"new_platform":      "saved for other platforms only",
	"no_go":             "the image has no Go",
	"bypassed":          "the job sets GOCACHE or GOMODCACHE itself",
	"off":               "the job, or the settings, want no caches",
	"read_only":         "the job wants nothing saved",
	"refreshed":         "the job wants to start from nothing",
	"too_slow":          "a step did not end within its limit",
	"store_unreachable": "the store does not answer, or breaks off",
	"store_refused":     "the store will not do what it is asked for",
	"corrupt":           "a layer or an entry is not what its name says",
	"unsigned":          "an entry is not signed with the signing key",
	"disk_full":         "no space on the host",
	"unsupported_host":  "the host cannot mount layers, or Docker does not see them",
	"still_running":     "the build container's end was not certain",
	"bug":               "an error that nobody gave a reason",
}

var outcomes = map[string]string{
	"success":       "the script ended with 0",
	"script_failed": "the script ended with something else",
	"job_invalid":   "a mistake in the job's definition",
	"system_failed": "Docker, the disk, the settings, or a bug",
	"canceled":      "somebody stopped it",
	"timed_out":     "it reached its time limit",
	"lost":          "its GitLab Runner went away",
}
