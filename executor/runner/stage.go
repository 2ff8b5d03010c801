package runner

import (
	"strconv"
	"time"
)

// Stage is the name of a sub-stage that Runner passes to run_exec (common/build.go, BuildStage).
type Stage string

// The stages that this program treats in a way of their own.
const (
	GetSources   Stage = "get_sources"
	AfterScript  Stage = "after_script"
	CleanupFiles Stage = "cleanup_file_variables"
)

// helperStages run Runner's own scripts, which need git and gitlab-runner.
var helperStages = map[Stage]bool{
	"prepare_script":     true,
	GetSources:           true,
	"clear_worktree":     true, // before the second attempt of get_sources; since 16.9, in no document
	"boot_verify_probes": true, // of a synthetic job; since 19.4, in no document
	"restore_cache":      true, "download_artifacts": true,
	"archive_cache": true, "archive_cache_on_failure": true,
	"upload_artifacts_on_success": true, "upload_artifacts_on_failure": true,
	CleanupFiles: true,
}

// IsHelper says whether the stage's script goes to the helper container. Every other name, also one that a Runner yet
// to come invents, is taken for a script of the user's and goes to the build container: the docker executor has the
// same default (common/build.go, getPredefinedEnv).
func (s Stage) IsHelper() bool { return helperStages[s] }

// Decides says whether a failure of a stage is the job's: Runner ignores that of after_script, unless the author wants it otherwise
// (common/build.go, executeUserScripts).
func (e Env) Decides(s Stage) bool {
	if s != AfterScript {
		return true
	}
	ignore, err := strconv.ParseBool(e.Variables["AFTER_SCRIPT_IGNORE_ERRORS"])
	return err == nil && !ignore
}

// TimeLimit is what the author gives the script, beside the job's own limit (common/build.go, getStageTimeoutContexts); 0 is none. That of
// after_script decides about no job.
func (e Env) TimeLimit(s Stage) time.Duration {
	if s.IsHelper() || s == AfterScript {
		return 0
	}
	limit, err := time.ParseDuration(e.Variables["RUNNER_SCRIPT_TIMEOUT"])
	if err != nil {
		return 0 // Runner warns
	}
	return max(0, limit)
}
