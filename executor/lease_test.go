package executor

import (
	"os"
	"os/exec"
	"testing"
	"time"
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
	now := time.Now()
	lease := Lease{PID: runner.Process.Pid, Start: start, Boot: boot, Deadline: now.Add(time.Hour)}
	if !lease.alive(now) {
		t.Error("the lease of a running Runner is dead")
	}
	for name, dead := range map[string]Lease{
		"after its deadline":                    {lease.PID, lease.Start, lease.Boot, now.Add(-time.Second)},
		"another boot":                          {lease.PID, lease.Start, "another", lease.Deadline},
		"the pid now belongs to someone else":   {lease.PID, "1", lease.Boot, lease.Deadline},
		"a pid that the kernel never gives out": {1 << 30, lease.Start, lease.Boot, lease.Deadline},
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

// The Runner makes each command the leader of a process group, so a wrapper script around ours must not be taken for it.
func TestANewLeaseIsTheRunners(t *testing.T) {
	t.Parallel()
	now := time.Now()
	lease, err := newLease(time.Hour, now)
	if err != nil {
		t.Fatal(err)
	}
	if lease.PID == os.Getpid() {
		t.Error("the lease is this process's own, which ends with the stage")
	}
	if !lease.alive(now.Add(time.Hour)) || lease.alive(now.Add(time.Hour+leaseSlack+time.Second)) {
		t.Errorf("the deadline is %s after the start, want the job's hour and some slack", lease.Deadline.Sub(now))
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
		{time.Hour - 2*time.Second, time.Hour, true}, // our clock starts a little after the Runner's
		{time.Hour, time.Hour, true},
		{7 * time.Second, 8 * time.Second, true},
		{2 * time.Second, 8 * time.Second, false},
	} {
		if got := outOfTime(began, began.Add(c.after), c.limit); got != c.want {
			t.Errorf("%s of %s: out of time is %v", c.after, c.limit, got)
		}
	}
}
