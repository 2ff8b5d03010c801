package runner

import "strings"

// Stage is the name of a sub-stage that Runner passes to run_exec (common/build.go, BuildStage).
type Stage string

// The stages that this program treats in a way of their own.
const (
	GetSources    Stage = "get_sources"
	BuildScript   Stage = "build_script" // what the custom executor makes of step_script (custom.go, Run)
	StepScript    Stage = "step_script"
	AfterScript   Stage = "after_script"
	CleanupFiles  Stage = "cleanup_file_variables"
	stepPrefix          = "step_" // every other step of the payload: step_release, …
	prepareScript Stage = "prepare_script"
)

// helperStages run Runner's own scripts, which need git and gitlab-runner.
var helperStages = map[Stage]bool{
	prepareScript: true, GetSources: true, CleanupFiles: true,
	"clear_worktree": true, // before the second attempt of get_sources; since 16.9, in no document
	"restore_cache":  true, "download_artifacts": true,
	"archive_cache": true, "archive_cache_on_failure": true,
	"upload_artifacts_on_success": true, "upload_artifacts_on_failure": true,
}

// IsHelper says whether the stage's script goes to the helper container. Every other name, also one that a Runner yet
// to come invents, is taken for a script of the user's and goes to the build container: the docker executor has the
// same default (common/build.go, getPredefinedEnv).
func (s Stage) IsHelper() bool { return helperStages[s] }

// Counts says whether a failure of the stage decides about the job: Runner ignores that of after_script.
func (s Stage) Counts() bool { return s != AfterScript }

// IsScript says whether the stage is one of the job's script sections, as opposed to after_script.
func (s Stage) IsScript() bool {
	return s == BuildScript || s == StepScript || strings.HasPrefix(string(s), stepPrefix)
}
