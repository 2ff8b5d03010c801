package executor

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Lease says how long a job may be taken for alive. No process of ours lives between two stages, so what vouches for the
// job is the Runner: its process id, which the kernel reuses, with its start time, within one boot, up to a deadline.
type Lease struct {
	PID      int       `json:"pid"`
	Start    string    `json:"start"` // clock ticks since boot, field 22 of /proc/PID/stat (proc(5))
	Boot     string    `json:"boot"`
	Deadline time.Time `json:"deadline"`
}

// leaseSlack is what a job may take beyond its time limit: after_script, artifacts, the Runner's own kill timeouts.
const leaseSlack = time.Hour

// newLease makes the lease of a job that is being prepared for the Runner that started this process.
func newLease(limit time.Duration, now time.Time) (Lease, error) {
	pid := runnerPID()
	start, err := startTime(pid)
	if err != nil {
		return Lease{}, fmt.Errorf("the Runner's process %d cannot be looked up: %w", pid, err)
	}
	boot, err := bootID()
	return Lease{PID: pid, Start: start, Boot: boot, Deadline: now.Add(limit + leaseSlack)}, err
}

// runnerPID finds the Runner: it makes each command the leader of a process group (helpers/process/group_unix.go), so a
// wrapper script between the two does not matter.
func runnerPID() int {
	leader := syscall.Getpgrp()
	if fields, err := statFields(leader); err == nil {
		if parent, err := strconv.Atoi(fields[1]); err == nil && parent > 0 {
			return parent
		}
	}
	return os.Getppid()
}

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
	return fields[19], nil
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
