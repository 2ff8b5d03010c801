package e2e

import "testing"

func TestTheScriptsOwnExitCodeReachesGitLab(t *testing.T) {
	t.Parallel()
	h := newHost(t, "")
	h.failed(h.run(h.newJob(busybox, "echo before", "exit 42")), "script_failure", 42)
	h.succeeded(h.run(h.newJob(busybox, "echo fine")))
	h.failed(h.run(h.newJob(busybox, "exit 1")), "script_failure", 1)
	r := h.run(h.newJob(busybox, "sh -c 'kill -9 $$'"))
	h.failed(r, "script_failure", 137)
}

// GitLab puts before_script and script into one step, and a failure in it is the user's.
func TestABadBeforeScriptIsTheUsersFailure(t *testing.T) {
	t.Parallel()
	h := newHost(t, "")
	r := h.run(h.newJob(jobImage, "no-such-command --version", "echo never"))
	h.failed(r, "script_failure", 127)
	h.neverSays(r, "\nnever", "Will be retried")
}

func TestAFailingAfterScriptDoesNotFailTheJob(t *testing.T) {
	t.Parallel()
	h := newHost(t, "")
	r := h.run(h.newJob(busybox, "echo script-ran > /tmp/kept").afterScript("cat /tmp/kept", "exit 3"))
	h.succeeded(r)
	h.prints(r, "script-ran") // the same container: its files are kept
	r = h.run(h.newJob(busybox, "exit 5").afterScript("echo after=$CI_JOB_STATUS", "exit 3"))
	h.failed(r, "script_failure", 5)
	h.prints(r, "after=failed")
}

func TestAFailingAfterScriptFailsTheJobThatWantsIt(t *testing.T) {
	t.Parallel()
	h := newHost(t, "")
	j := h.newJob(busybox, "true").afterScript("exit 3").variable("AFTER_SCRIPT_IGNORE_ERRORS", "false")
	h.failed(h.run(j), "script_failure", 3)
	h.endedWith(j, "script_failed")
}

func TestAJobThatUsesTooMuchMemoryIsToldSo(t *testing.T) {
	t.Parallel()
	h := newHost(t, `memory = "32m"`)
	r := h.run(h.newJob(busybox, "tail -c 200m /dev/zero | wc -c", `x=$(head -c 200000000 /dev/zero | tr '\0' x); echo ${#x}`))
	h.failed(r, "script_failure", 137)
	h.says(r, "memory limit")
}
