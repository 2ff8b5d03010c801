package e2e

import (
	"strings"
	"testing"
)

func TestWithoutDockerTheRunnerTriesAgain(t *testing.T) {
	t.Parallel()
	h := newHost(t, `host = "unix:///nowhere/docker.sock"`)
	r := h.run(h.newJob(busybox, "echo never"))
	h.failed(r, "runner_system_failure", 0)
	h.says(r, "reach Docker at unix:///nowhere/docker.sock (is the daemon running?", "Will be retried in 3s")
	if prepared(r) != 3 {
		t.Errorf("prepared %d times, want three", prepared(r))
	}
	if log := h.operatorLog(); !strings.Contains(log, `"reason":"docker_gone"`) || !strings.Contains(log, `"outcome":"system_failed"`) {
		t.Errorf("the operator log does not say that Docker is gone:\n%s", log)
	}
}

func TestMistakesInTheSettingsAreShownAllAtOnce(t *testing.T) {
	t.Parallel()
	h := newHost(t, "memory = \"2 bananas\"\nno_such_key = 1\nstart_timeout = \"soon\"")
	r := h.run(h.newJob(busybox, "echo never"))
	h.failed(r, "runner_system_failure", 0)
	h.says(r, "docker.memory", "2 bananas", "docker.no_such_key", "docker.start_timeout")
}

// Runner's scripts only warn when there is no gitlab-runner: the job's artifacts would be lost in silence.
func TestAHelperImageWithoutItsToolsIsTheAdministratorsFault(t *testing.T) {
	t.Parallel()
	h := newHost(t, `helper_image = "`+busybox+`"`)
	r := h.run(h.newJob(busybox, "echo never").with("artifacts", []job{{"paths": []string{"x"}}}))
	h.failed(r, "runner_system_failure", 0)
	h.says(r, "docker.helper_image", "no git, no gitlab-runner")
}
