//go:build parity

package e2e

// parityRunnerCases are what GitLab Runner itself does around the script: sources, artifacts, its own cache, variables, the time limit.
func parityRunnerCases() []parityCase {
	const (
		tree  = "find . -path ./.git -prune -o -print | grep -v '/[.]git$' | sort"
		state = "git status --short --ignored; git log -1 --format=%H; git submodule status"
	)
	with := func(variables []job, script ...string) func(*host) job {
		return func(h *host) job {
			j := h.newJob(jobImage, script...)
			return j.with("variables", append(j["variables"].([]job), variables...))
		}
	}
	leave := func(variables ...job) func(*host) []job { // leaves changed, untracked and ignored files
		return func(h *host) []job {
			return []job{with(variables, "echo changed >> README.md; echo x > untracked; echo y > ignored; mkdir -p folder/sub; echo z > folder/sub/z")(h)}
		}
	}
	files := []job{
		variable("PLAIN", "a b'c\"d$$e"), variable("NESTED", "<$PLAIN>"), variable("EMPTY", ""), variable("LINES", "one\ntwo"),
		{"key": "FILE", "value": "content", "file": true},
		{"key": "RAW", "value": "$PLAIN", "raw": true},
		{"key": "PASSWORD", "value": "masked-secret-3", "masked": true},
	}
	cache := []job{{"key": "k-$CI_COMMIT_SHA", "paths": []string{"deps"}, "policy": "pull-push", "when": "on_success"}}
	// The second job has another key, and falls back to the first one's.
	fallback := func(key string) []job {
		return []job{{"key": key, "fallback_keys": []string{"first"}, "paths": []string{"folder"}, "untracked": true, "policy": "pull-push", "when": "always"}}
	}
	flags := func(names ...string) []job {
		var on []job
		for _, name := range names {
			on = append(on, variable(name, "true"))
		}
		return on
	}
	artifacts := []job{{
		"name": "default", "paths": []string{"bin"}, "when": "always", "artifact_type": "archive", "artifact_format": "zip",
	}}
	return []parityCase{
		{name: "fetch finds a clean tree", first: leave(), job: with(nil, shown(tree, state))},
		{name: "fetch with GIT_CLEAN_FLAGS", first: leave(), job: with([]job{variable("GIT_CLEAN_FLAGS", "-ffd")}, shown(tree, state))},
		{name: "fetch without a clean", first: leave(), job: with([]job{variable("GIT_CLEAN_FLAGS", "none")}, shown(tree, state))},
		{name: "clone", first: leave(), job: with([]job{variable("GIT_STRATEGY", "clone")}, shown(tree, state))},
		{name: "strategy none", job: with([]job{variable("GIT_STRATEGY", "none")}, shown(tree))},
		{name: "strategy empty", first: leave(), job: with([]job{variable("GIT_STRATEGY", "empty")}, shown(tree))},
		{name: "no checkout", job: with([]job{variable("GIT_CHECKOUT", "false")}, shown(tree))},
		{name: "clone path", job: with([]job{variable("GIT_CLONE_PATH", "$CI_BUILDS_DIR/elsewhere")}, shown("pwd", tree, state))},
		{name: "depth 0", job: with([]job{variable("GIT_DEPTH", "0")}, shown("git rev-list --count HEAD", "git rev-parse --is-shallow-repository"))},
		{name: "submodules", job: with([]job{variable("GIT_SUBMODULE_STRATEGY", "recursive")}, shown(tree, state, "cat part/part.txt"))},
		{name: "submodules of a second job", first: leave(variable("GIT_SUBMODULE_STRATEGY", "recursive")), job: with([]job{variable("GIT_SUBMODULE_STRATEGY", "recursive")}, shown(tree, state))},
		{name: "submodule paths", job: with([]job{variable("GIT_SUBMODULE_STRATEGY", "normal"), variable("GIT_SUBMODULE_PATHS", ":(exclude)part")}, shown(tree))},
		{name: "extra flags of git fetch", job: with([]job{variable("GIT_FETCH_EXTRA_FLAGS", "--prune --quiet")}, shown(state))},
		{name: "kinds of variables", job: with(files, shown(`echo "$PLAIN"; echo "$NESTED"; echo "[$EMPTY]"; echo "$LINES"; cat "$FILE"; echo; echo "$FILE"; echo "$RAW"; echo "$PASSWORD"`))},
		{name: "variables of a job without bash", job: func(h *host) job {
			j := with(files, shown(`echo "$PLAIN"; echo "$NESTED"; echo "$LINES"; cat "$FILE"; echo "$PASSWORD"`))(h)
			return j.with("image", job{"name": busybox})
		}},
		{name: "the cache keyword", first: func(h *host) []job {
			return []job{with(nil, "mkdir deps; echo cached > deps/a")(h).with("cache", cache)}
		}, job: func(h *host) job {
			return with(nil, shown("cat deps/a", "ls -ln deps | awk '{print $1,$3,$4,$9}'"))(h).with("cache", cache)
		}},
		{name: "the cache keyword, pull only, without a cache", job: func(h *host) job {
			return with(nil, shown("ls"))(h).with("cache", []job{{"key": "none", "paths": []string{"deps"}, "policy": "pull", "when": "on_success"}})
		}},
		{name: "the cache keyword, untracked files of a failed job, by a fallback key", first: func(h *host) []job {
			return []job{with(nil, "mkdir folder; echo a > folder/a; echo b > b")(h).with("cache", fallback("first"))}
		}, job: func(h *host) job {
			return with([]job{variable("GIT_STRATEGY", "clone")}, shown("cat folder/a b"), "exit 1")(h).with("cache", fallback("second"))
		}},
		{name: "artifacts", job: func(h *host) job {
			return with(nil, "mkdir bin; echo a > bin/app; echo '| made'")(h).with("artifacts", artifacts)
		}},
		{name: "artifacts that are not there", job: func(h *host) job { return with(nil, "echo '| nothing'")(h).with("artifacts", artifacts) }},
		{name: "a folder that jobs share", first: func(h *host) []job { return []job{with(nil, "echo kept > /cache/file; chmod 0600 /cache/file")(h)} }, job: with(nil, shown("cat /cache/file", "ls -ln /cache | awk '{print $1,$3,$4,$9}'"))},
		{name: "hooks", job: func(h *host) job {
			return with(nil, shown("cat hook"))(h).with("hooks", []job{{"name": "pre_get_sources_script", "script": []string{"echo '| before the sources'"}}})
		}},
		{name: "secrets as files", job: with([]job{{"key": "TOKEN", "value": "file-secret-4", "file": true, "masked": true}}, shown(`stat -c %a "$TOKEN"`, `cat "$TOKEN"`))},
		{name: "many lines", job: with(nil, shown("seq 1 3000 | sed 's/$/ abcdefghijklmnopqrstuvwxyz/'"))},
		{name: "bytes that are no text", job: with(nil, `printf '| \001\002\033[31m red \377\n'`)},
		{name: "a long line", job: with(nil, shown("head -c 100000 /dev/zero | tr '\\0' x | fold -w 99999 | cut -c1-70000 | md5sum"))},
		{name: "standard error", job: with(nil, "echo '| out'; echo '| err' >&2")},
		{name: "a process that stays behind", job: with(nil, "sleep 300 & echo '| gone'")},
		{name: "after_script after a timeout", job: func(h *host) job {
			return with(nil, "echo '| begun'; sleep 60")(h).afterScript("echo '| after'").timeout(20)
		}},
		{name: "script timeout variable", job: with([]job{variable("RUNNER_SCRIPT_TIMEOUT", "3s")}, "echo '| begun'; sleep 60")},
		{name: "exit in the middle of several lines", job: with(nil, "echo '| one'", "exit 0", "echo '| two'")},
		{name: "after_script that counts", job: func(h *host) job {
			return with([]job{variable("AFTER_SCRIPT_IGNORE_ERRORS", "false")}, "true")(h).afterScript("exit 3")
		}},
		{name: "after_script out of its time", job: func(h *host) job {
			return with([]job{variable("RUNNER_AFTER_SCRIPT_TIMEOUT", "3s")}, "true")(h).afterScript("echo '| begun'; sleep 60; echo '| ended'")
		}},
		{name: "a trace of the script", job: with([]job{variable("CI_DEBUG_TRACE", "true")}, "case $- in *x*) echo '| traced';; esac")},
		{
			name: "a trace of the script that the runner forbids", runner: "debug_trace_disabled = true\n",
			job: with([]job{variable("CI_DEBUG_TRACE", "true")}, "case $- in *x*) echo '| traced';; esac", "echo '| ran'"),
		},
		{
			name: "scripts and variables of the runner", runner: `environment = ["FROM_RUNNER=of the runner"]
pre_get_sources_script = "echo '| before the sources'; ls README.md 2>/dev/null || echo '| none'"
post_get_sources_script = "echo '| after the sources'; sed 's/^/| /' README.md"
pre_build_script = "echo '| before the script'; A=1"
post_build_script = "echo '| after the script'; echo \"| $A\""
`, job: with(nil, `echo "| $FROM_RUNNER $A"; A=2`),
		},
		{name: "flags of scripts", job: with(flags("FF_ENABLE_BASH_EXIT_CODE_CHECK", "FF_USE_LEGACY_BASH_EVAL", "FF_POSIXLY_CORRECT_ESCAPES", "FF_SCRIPT_SECTIONS"),
			"echo '| one'", "echo '| two'\necho '| three'", "false", "echo '| four'")},
		{name: "flags of sources", job: with(append(flags("FF_GIT_URLS_WITHOUT_TOKENS", "FF_USE_GIT_NATIVE_CLONE", "FF_ENABLE_JOB_CLEANUP", "FF_USE_GIT_PROACTIVE_AUTH"),
			variable("GIT_STRATEGY", "clone"), variable("GIT_CLONE_EXTRA_FLAGS", "--no-tags")), shown(tree, state, "git remote get-url origin | sed 's,//[^/]*/,//HOST/,'"))},
		{name: "submodules with a depth and flags", job: with([]job{
			variable("GIT_SUBMODULE_STRATEGY", "recursive"), variable("GIT_SUBMODULE_DEPTH", "1"), variable("GIT_SUBMODULE_UPDATE_FLAGS", "--jobs 2"), variable("GIT_SUBMODULE_FORCE_HTTPS", "false"),
		}, shown(state, "git -C part rev-parse --is-shallow-repository"))},
		{name: "set -u", job: with(nil, "set -u", "echo $NOSUCH")},
	}
}
