package e2e

import (
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestACanceledJobStillRunsItsAfterScript(t *testing.T) {
	t.Parallel()
	h := newHost(t, "")
	r := h.start(h.newJob(busybox, "touch /tmp/kept; echo started; sleep 200 & sleep 200").
		afterScript("echo after-script, status $CI_JOB_STATUS", "ls /tmp/kept", "ps | grep -c '[s]leep 200' || echo no-old-process"))
	r.waitFor(started)
	began := time.Now()
	r.signal(syscall.SIGUSR1) // as when somebody presses Cancel
	res := r.wait()
	h.failed(res, "job_canceled", 0)
	h.prints(res, "after-script, status canceled", "/tmp/kept", "no-old-process")
	if took := time.Since(began); took > 30*time.Second {
		t.Errorf("to stop took %s", took)
	}
	if log := h.operatorLog(); !strings.Contains(log, `"outcome":"canceled"`) {
		t.Errorf("the operator log does not say canceled:\n%s", log)
	}
}

// child is a line of script that starts a process which tells when it is asked to end.
const child = `sh -c 'trap "echo asked; exit 0" TERM; echo started; while :; do sleep 0.2; done'`

func TestEachProcessOfACanceledJobIsAskedToEnd(t *testing.T) {
	t.Parallel()
	h := newHost(t, "")
	r := h.start(h.newJob(busybox, child))
	r.waitFor(started)
	r.signal(syscall.SIGUSR1)
	res := r.wait()
	h.failed(res, "job_canceled", 0)
	h.prints(res, "asked")
}

func TestAJobMayTellItsProcessesToEndItself(t *testing.T) {
	t.Parallel()
	h := newHost(t, `stop_timeout = "1s"`)
	r := h.start(h.newJob(busybox, child).variable("FF_USE_NATIVE_CONTAINER_STOP", "true"))
	r.waitFor(started)
	r.signal(syscall.SIGUSR1)
	res := r.wait()
	h.failed(res, "job_canceled", 0)
	h.neverSays(res, "O asked\n")
}

func TestAProcessThatIgnoresItsEndIsKilled(t *testing.T) {
	t.Parallel()
	h := newHost(t, `stop_timeout = "1s"`)
	r := h.start(h.newJob(jobImage, `trap "echo not-me" TERM; (trap "" TERM; sleep 201) & echo started; while :; do sleep 1; done`))
	r.waitFor(started)
	began := time.Now()
	r.signal(syscall.SIGUSR1)
	h.failed(r.wait(), "job_canceled", 0)
	if took := time.Since(began); took > 20*time.Second {
		t.Errorf("to stop took %s", took)
	}
}

func TestAJobOutOfTimeLeavesNothing(t *testing.T) {
	t.Parallel()
	h := newHost(t, `stop_timeout = "1s"`)
	res := h.run(h.newJob(busybox, `cat "$KEY"; echo`, "echo started; sleep 200").fileVariable("KEY", "file-secret").timeout(8).afterScript("echo after"))
	h.failed(res, "job_execution_timeout", 0)
	h.prints(res, "file-secret")
	h.keepsNoFileVariables()
	if log := h.operatorLog(); !strings.Contains(log, `"outcome":"timed_out"`) {
		t.Errorf("the operator log does not say timed_out:\n%s", log)
	}
}

func (j job) fileVariable(key, value string) job {
	return j.with("variables", append(j["variables"].([]job), job{"key": key, "value": value, "file": true}))
}

// keepsNoFileVariables looks into the checkouts that are kept for the next jobs.
func (h *host) keepsNoFileVariables() {
	h.t.Helper()
	checkouts := filepath.Join(h.StateDir, "builds", "*", "42", "*", "*", "group", "project")
	if found, err := filepath.Glob(checkouts); err != nil || len(found) == 0 {
		h.t.Errorf("checkouts: %v, %v", found, err)
	}
	if found, _ := filepath.Glob(checkouts + ".tmp"); len(found) > 0 {
		h.t.Errorf("file variables are kept in %v", found)
	}
}

func TestAScriptOutOfItsOwnTimeIsToldFromOneThatIsCanceled(t *testing.T) {
	t.Parallel()
	h := newHost(t, `stop_timeout = "1s"`)
	j := h.newJob(busybox, "echo started; sleep 200").afterScript("echo after").variable("RUNNER_SCRIPT_TIMEOUT", "4s")
	res := h.run(j)
	h.failed(res, "job_execution_timeout", 0)
	h.prints(res, "after")
	h.endedWith(j, "timed_out")
}

// An abort is what GitLab's "force cancel" and a deleted job come to; it may come at any moment.
func TestAnAbortedJobLeavesNothing(t *testing.T) {
	t.Parallel()
	h := newHost(t, `stop_timeout = "1s"`)
	for _, moment := range []string{`Preparing the "custom" executor`, "Using docker image", "Getting source from Git repository", `Executing "step_script"`, started} {
		r := h.start(h.newJob(busybox, "echo started; sleep 200").with("services", []job{{"name": serviceImage}}))
		r.waitFor(moment)
		r.signal(syscall.SIGUSR2)
		if res := r.wait(); res.State != "failed" {
			t.Errorf("aborted at %q: %s %s", moment, res.State, res.FailureReason)
		}
		h.eventually("nothing is left of a job aborted at "+moment, func() bool { return len(h.left()) == 0 }, r.log)
	}
}

func TestARunnerThatIsStoppedLeavesNothing(t *testing.T) {
	t.Parallel()
	h := newHost(t, `stop_timeout = "1s"`)
	r := h.start(h.newJob(busybox, "echo started; sleep 200"))
	r.waitFor(started)
	r.signal(syscall.SIGTERM)
	if res := r.wait(); res.State != "failed" {
		t.Errorf("%s %s", res.State, res.FailureReason)
	}
}
