package executor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/executor/docker"
	"gitlab.com/gitlab-go-executor/gitlab-go-executor/executor/runner"
)

// Limits of what happens under the lock of the job records.
const (
	lockTimeout   = 3 * time.Minute
	removeTimeout = 2 * time.Minute
	staleStaging  = time.Hour
)

// lockJobs makes this process the only one that claims slots and reaps jobs in the state directory. The kernel gives the
// lock back when the process dies.
func lockJobs(ctx context.Context, t tree) (unlock func(), err error) {
	if err := os.MkdirAll(t.jobs(), 0o700); err != nil {
		return nil, stateError(err)
	}
	file, err := os.OpenFile(filepath.Join(t.jobs(), ".lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, stateError(err)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, lockTimeout,
		fmt.Errorf("waited %s for another job of this host to be prepared: %w", lockTimeout, context.DeadlineExceeded))
	defer cancel()
	for {
		err := unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return func() { _ = file.Close() }, nil
		}
		if !errors.Is(err, unix.EWOULDBLOCK) && !errors.Is(err, unix.EINTR) {
			return nil, errors.Join(stateError(err), file.Close())
		}
		select {
		case <-ctx.Done():
			_ = file.Close()
			return nil, context.Cause(ctx)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// allJobs reads the records of all jobs of the state directory. One that cannot be read is reported and left alone.
func allJobs(t tree) (jobs []*store, problems []error) {
	dirs, err := filepath.Glob(filepath.Join(t.jobs(), "*", "[^.]*"))
	if err != nil {
		return nil, []error{err}
	}
	for _, dir := range dirs {
		s, err := openStore(dir)
		switch {
		case errors.Is(err, fs.ErrNotExist): // removed meanwhile
		case err != nil:
			problems = append(problems, err)
		default:
			jobs = append(jobs, s)
		}
	}
	return jobs, problems
}

// reap removes, under lockJobs, what no living job owns: what the given job left of an earlier attempt, all jobs whose lease
// is dead, and objects without a record, which a daemon that was just creating them when everything else was killed leaves.
// A record exists before the first object of its job, so an object without one is nobody's. What cannot be removed of other
// jobs is no failure of this one; it is returned for the log, and the next prepare tries again.
func reap(ctx context.Context, d *docker.Client, t tree, self docker.Owner, id runner.Identity, lost func(Record)) (alive []*store, others []error, err error) {
	jobs, others := allJobs(t)
	now := time.Now()
	living := map[string]bool{}
	var dead []*store
	for _, job := range jobs {
		if r := job.get(); r.Owner.Job != self.Job && !r.Ended && r.Lease.alive(now) {
			living[r.Owner.Job] = true
			alive = append(alive, job)
		} else {
			dead = append(dead, job)
		}
	}
	labels, err := d.Jobs(ctx, self.State)
	if err != nil {
		return nil, nil, err
	}
	failed := map[string]bool{}
	for _, label := range labels {
		if living[label] {
			continue
		}
		err := d.RemoveJob(ctx, docker.Owner{State: self.State, Job: label}, removeTimeout)
		switch {
		case err != nil && label == self.Job:
			return nil, nil, err
		case err != nil:
			others, failed[label] = append(others, fmt.Errorf("job %s: %w", label, err)), true
		}
	}
	for _, job := range dead {
		r := job.get()
		if failed[r.Owner.Job] {
			alive = append(alive, job) // its containers may still write to its slot
			continue
		}
		if err := job.remove(); err != nil {
			others = append(others, fmt.Errorf("job %s: %w", r.Identity, err))
		}
		if !r.Ended {
			lost(r)
		}
	}
	sweep(t, now)
	return alive, others, bury(t.job(id)) // also where the record of an earlier attempt could not be read
}

// sweep deletes folders that a crash left half made or half deleted.
func sweep(t tree, now time.Time) {
	dirs, _ := filepath.Glob(filepath.Join(t.jobs(), "*", ".*"))
	for _, dir := range dirs {
		name := filepath.Base(dir)
		info, err := os.Lstat(dir)
		if err != nil || !info.IsDir() {
			continue
		}
		if strings.HasPrefix(name, deadPrefix) || strings.HasPrefix(name, stagingPrefix) && now.Sub(info.ModTime()) > staleStaging {
			_ = os.RemoveAll(dir)
		}
	}
}

// freeSlot is the lowest number that no other job of the same project and tier has claimed. It is called under lockJobs.
func freeSlot(jobs []*store, id runner.Identity) int {
	taken := map[int]bool{}
	for _, job := range jobs {
		r := job.get()
		if r.Identity.Instance == id.Instance && r.Identity.Project == id.Project && r.Identity.Tier == id.Tier {
			taken[r.Slot] = true
		}
	}
	slot := 0
	for taken[slot] {
		slot++
	}
	return slot
}
