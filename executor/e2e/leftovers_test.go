package e2e

import (
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// killAll kills the Runner and whatever it started, at once, as a host's out-of-memory killer or a crash would.
func (r *running) killAll() {
	_ = r.cmd.Process.Signal(syscall.SIGSTOP) // so that it starts nothing more
	out, _ := exec.Command("pgrep", "-f", r.h.dir).Output()
	for pid := range strings.FieldsSeq(string(out)) {
		_ = exec.Command("kill", "-9", pid).Run()
	}
	_ = r.cmd.Process.Kill()
	_ = r.cmd.Wait()
	dockerCompletes()
}

// dockerCompletes waits until Docker has made what a process asked for that was killed meanwhile. A Runner is not back sooner.
func dockerCompletes() { time.Sleep(2 * time.Second) }

func TestTheNextJobCleansUpAfterAKilledRunner(t *testing.T) {
	t.Parallel()
	h := newHost(t, `stop_timeout = "1s"`)
	for _, moment := range []string{"Using docker image", `Executing "step_script"`, started} {
		r := h.start(h.newJob(busybox, "echo started; sleep 202").fileVariable("KEY", "file-secret").with("services", []job{{"name": serviceImage}}))
		r.waitFor(moment)
		r.killAll()
		if len(h.left()) == 0 {
			t.Fatalf("killed at %q: there is nothing to clean up, so this shows nothing", moment)
		}
		res := h.run(h.newJob(busybox, "echo next"))
		h.succeeded(res)
		h.says(res, "Running on runner-project-42-concurrent-0...") // the dead job's slot is free again
		for _, left := range h.left() {
			t.Errorf("killed at %q: %s", moment, left)
		}
		h.keepsNoFileVariables()
	}
	if log := h.operatorLog(); !strings.Contains(log, `"outcome":"lost"`) || !strings.Contains(log, `"reason":"runner_gone"`) {
		t.Errorf("the operator log does not say that jobs were lost:\n%s", log)
	}
}

func TestASecondPrepareOfTheSameJobStartsAfresh(t *testing.T) {
	t.Parallel()
	h := newHost(t, "")
	first := h.newJob(busybox, "echo started; sleep 203")
	r := h.start(first)
	r.waitFor(started)
	r.killAll()
	first["steps"] = []job{{"name": "script", "script": []string{"echo second attempt"}, "timeout": 300, "when": "on_success"}}
	res := h.run(first)
	h.succeeded(res)
	h.prints(res, "second attempt", "Running on runner-project-42-concurrent-0...")
}
