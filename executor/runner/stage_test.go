package runner

import (
	"testing"
	"time"
)

// The names that Runner 16.6 to 19.4 passes (common/build.go, BuildStage; executors/custom/custom.go, Run).
func TestEachStageGoesToItsContainer(t *testing.T) {
	t.Parallel()
	helper := []Stage{
		"prepare_script", "get_sources", "clear_worktree", "restore_cache", "download_artifacts", "archive_cache",
		"archive_cache_on_failure", "upload_artifacts_on_success", "upload_artifacts_on_failure", "cleanup_file_variables", "boot_verify_probes",
	}
	build := []Stage{"build_script", "step_script", "step_release", "step_", "after_script", "a_stage_yet_to_come", ""}
	for _, s := range helper {
		if !s.IsHelper() {
			t.Errorf("%s must run in the helper container", s)
		}
	}
	for _, s := range build {
		if s.IsHelper() {
			t.Errorf("%s must run in the build container", s)
		}
	}
}

func TestWhichFailuresAreTheJobs(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		stage  Stage
		ignore string // AFTER_SCRIPT_IGNORE_ERRORS
		want   bool
	}{
		{"get_sources", "", true},
		{"build_script", "true", true},
		{"upload_artifacts_on_success", "", true},
		{AfterScript, "", false},
		{AfterScript, "true", false},
		{AfterScript, "no such word", false}, // Runner warns, and takes its default
		{AfterScript, "false", true},
		{AfterScript, "0", true},
	} {
		e := ReadEnv([]string{customPrefix + "AFTER_SCRIPT_IGNORE_ERRORS=" + c.ignore})
		if got := e.Decides(c.stage); got != c.want {
			t.Errorf("a failure of %s with AFTER_SCRIPT_IGNORE_ERRORS=%q decides about the job: %v, want %v", c.stage, c.ignore, got, c.want)
		}
	}
}

func TestTheTimeThatAnAuthorGivesTheScript(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		stage Stage
		limit string // RUNNER_SCRIPT_TIMEOUT
		want  time.Duration
	}{
		{"build_script", "", 0},
		{"build_script", "90s", 90 * time.Second},
		{"step_release", "1h", time.Hour},
		{"build_script", "-5m", 0},
		{"build_script", "soon", 0},
		{AfterScript, "90s", 0},
		{GetSources, "90s", 0},
	} {
		e := ReadEnv([]string{customPrefix + "RUNNER_SCRIPT_TIMEOUT=" + c.limit})
		if got := e.TimeLimit(c.stage); got != c.want {
			t.Errorf("%s with RUNNER_SCRIPT_TIMEOUT=%q has %s, want %s", c.stage, c.limit, got, c.want)
		}
	}
}
