package runner

import "testing"

// The names that Runner 16.6 to 19.4 passes (common/build.go, BuildStage; executors/custom/custom.go, Run).
func TestEachStageGoesToItsContainer(t *testing.T) {
	t.Parallel()
	helper := []Stage{
		"prepare_script", "get_sources", "clear_worktree", "restore_cache", "download_artifacts", "archive_cache",
		"archive_cache_on_failure", "upload_artifacts_on_success", "upload_artifacts_on_failure", "cleanup_file_variables",
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
	if AfterScript.Counts() {
		t.Error("the exit code of after_script must not decide about the job")
	}
	for _, s := range append(helper, build[:3]...) {
		if !s.Counts() {
			t.Errorf("a failure of %s decides about the job", s)
		}
	}
}
