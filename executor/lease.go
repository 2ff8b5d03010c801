package executor

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Lease says how long a job may be taken for alive. No process of ours lives between two stages, so what vouches for the
// job is the Runner: its process id, which the kernel reuses, with its start time, within one boot and one pid namespace, up
// to a deadline.
type Lease struct {
	PID       int       `json:"pid"`
	Start     string    `json:"start"` // clock ticks since boot, field 22 of /proc/PID/stat (proc(5))
	Boot      string    `json:"boot"`
	Namespace string    `json:"namespace"` // /proc/self/ns/pid: a pid of another one says nothing here
	Deadline  time.Time `json:"deadline"`
}

// leaseSlack is what a job may take beyond its time limit: after_script, artifacts, the Runner's own kill timeouts.
const leaseSlack = time.Hour

// newLease makes the lease of a job that is being prepared. payloadFile tells the Runner from what it started.
func newLease(payloadFile string, limit time.Duration, now time.Time) (Lease, error) {
	pid, err := runnerPID(payloadFile)
	if err != nil {
		return Lease{}, err
	}
	start, err := startTime(pid)
	if err != nil {
		return Lease{}, fmt.Errorf("the Runner's process %d cannot be looked up: %w", pid, err)
	}
	boot, err := bootID()
	if err != nil {
		return Lease{}, err
	}
	namespace, err := os.Readlink(pidNamespace)
	return Lease{PID: pid, Start: start, Boot: boot, Namespace: namespace, Deadline: now.Add(limit + leaseSlack)}, err
}

// runnerPID finds the Runner: the nearest of our ancestors that is older than the payload, which it wrote for this attempt of
// the job before it started anything. A wrapper around this program (a script, sudo, setsid) is younger.
func runnerPID(payloadFile string) (int, error) {
	payload, err := os.Stat(payloadFile)
	if err != nil {
		return 0, err
	}
	for pid := os.Getppid(); pid > 1; {
		fields, err := statFields(pid)
		if err != nil {
			return 0, err
		}
		started, err := startedAt(fields)
		if err != nil {
			return 0, err
		}
		if started.Before(payload.ModTime()) {
			return pid, nil
		}
		if pid, err = strconv.Atoi(fields[statParent]); err != nil {
			return 0, err
		}
	}
	return os.Getppid(), nil // the Runner is the first process of its container, or gone
}

// Fields of /proc/PID/stat, counted from the third (proc(5)).
const (
	statParent = 1
	statStart  = 19
	ticks      = 100 // per second: USER_HZ, the same on every architecture that we build for
)

// startedAt tells when a process began: a tick too early at most, and never too late. So a Runner is never taken to be younger than
// the payload that it wrote, however soon; a wrapper of prepare starts after config has run, which takes longer than a tick.
func startedAt(fields []string) (time.Time, error) {
	since, err := strconv.ParseInt(fields[statStart], 10, 64)
	if err != nil {
		return time.Time{}, err
	}
	var uptime unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &uptime); err != nil {
		return time.Time{}, err
	}
	age := time.Duration(uptime.Nano()) - time.Duration(since)*time.Second/ticks
	return time.Now().Add(-age), nil
}

const pidNamespace = "/proc/self/ns/pid"

// alive says whether the job may still be running.
func (l Lease) alive(now time.Time) bool {
	if now.After(l.Deadline) {
		return false
	}
	boot, err := bootID()
	if err != nil {
		return true // never take away what may be in use
	}
	if boot != l.Boot {
		return false
	}
	if namespace, err := os.Readlink(pidNamespace); err != nil || namespace != l.Namespace {
		return true
	}
	start, err := startTime(l.PID)
	if os.IsNotExist(err) {
		return false
	}
	return err != nil || start == l.Start
}

func startTime(pid int) (string, error) {
	fields, err := statFields(pid)
	if err != nil {
		return "", err
	}
	return fields[statStart], nil
}

// statFields are those of /proc/PID/stat from the third, the state, on: the second, the command's name in brackets, may
// itself hold blanks and brackets.
func statFields(pid int) ([]string, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return nil, err
	}
	fields := strings.Fields(string(data[strings.LastIndexByte(string(data), ')')+1:]))
	if len(fields) < 20 {
		return nil, fmt.Errorf("/proc/%d/stat has %d fields", pid, len(fields))
	}
	return fields, nil
}

func bootID() (string, error) {
	data, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	return strings.TrimSpace(string(data)), err
}
