package executor

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/leaktest"
)

func TestALeaseEndsWithItsRunner(t *testing.T) {
	t.Parallel()
	runner := exec.Command("sleep", "60")
	if err := runner.Start(); err != nil {
		t.Fatal(err)
	}
	start, err := startTime(runner.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	boot, err := bootID()
	if err != nil {
		t.Fatal(err)
	}
	namespace, err := os.Readlink(pidNamespace)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	lease := Lease{PID: runner.Process.Pid, Start: start, Boot: boot, Namespace: namespace, Deadline: now.Add(time.Hour)}
	if !lease.alive(now) {
		t.Error("the lease of a running Runner is dead")
	}
	for name, dead := range map[string]Lease{
		"after its deadline":                    {lease.PID, lease.Start, lease.Boot, namespace, now.Add(-time.Second)},
		"another boot":                          {lease.PID, lease.Start, "another", namespace, lease.Deadline},
		"the pid now belongs to someone else":   {lease.PID, "1", lease.Boot, namespace, lease.Deadline},
		"a pid that the kernel never gives out": {1 << 30, lease.Start, lease.Boot, namespace, lease.Deadline},
	} {
		if dead.alive(now) {
			t.Errorf("%s: the lease is alive", name)
		}
	}
	_ = runner.Process.Kill()
	_ = runner.Wait()
	if lease.alive(now) {
		t.Error("the Runner has ended, its lease has not")
	}
}

// A Runner in a container of its own may share our state directory; its process ids mean nothing here.
func TestALeaseOfAnotherPIDNamespaceHoldsUntilItsDeadline(t *testing.T) {
	t.Parallel()
	boot, err := bootID()
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	lease := Lease{PID: 1 << 30, Start: "1", Boot: boot, Namespace: "pid:[1]", Deadline: now.Add(time.Hour)}
	if !lease.alive(now) || lease.alive(now.Add(2*time.Hour)) {
		t.Error("want it alive until its deadline, and no longer")
	}
}

// TestMain doubles as the stage in the next test: it tells whom it takes for the Runner.
func TestMain(m *testing.M) {
	if payload := os.Getenv("TEST_TELL_RUNNER"); payload != "" {
		pid, err := runnerPID(payload)
		fmt.Println(pid, err)
		return
	}
	leaktest.Main(m)
}

func TestAWrapperAroundUsIsNotTakenForTheRunner(t *testing.T) {
	t.Parallel()
	payload := filepath.Join(t.TempDir(), "response.json")
	if err := os.WriteFile(payload, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	time.Sleep(20 * time.Millisecond) // two ticks: config runs before prepare
	for name, wrapper := range map[string][]string{
		"none":                         {os.Args[0]},
		"a script":                     {"sh", "-c", "sleep 0; \"$0\"; true", os.Args[0]},
		"a session of its own":         {"setsid", "-w", os.Args[0]},
		"a script around such a thing": {"sh", "-c", "setsid -w sh -c 'setsid -w \"$0\"; true' \"$0\"; true", os.Args[0]},
	} {
		cmd := exec.Command(wrapper[0], wrapper[1:]...)
		cmd.Env = append(os.Environ(), "TEST_TELL_RUNNER="+payload)
		cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // as Runner does
		out, err := cmd.CombinedOutput()
		if want := fmt.Sprintf("%d <nil>\n", os.Getpid()); err != nil || string(out) != want {
			t.Errorf("%s: takes %q for the Runner, want %q (%v)", name, out, want, err)
		}
	}
}

func TestSignalsAreToldApartByTheClock(t *testing.T) {
	t.Parallel()
	began := time.Now()
	for _, c := range []struct {
		after, limit time.Duration
		want         bool
	}{
		{time.Minute, time.Hour, false},
		{time.Hour - 20*time.Second, time.Hour, true}, // our clock starts a little after the Runner's
		{time.Hour, time.Hour, true},
		{7 * time.Second, 8 * time.Second, true},
		{2 * time.Second, 8 * time.Second, false},
	} {
		if got := outOfTime(began, began.Add(c.after), c.limit); got != c.want {
			t.Errorf("%s of %s: out of time is %v", c.after, c.limit, got)
		}
	}
}
