package executor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/crash"
	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/flock"
	"gitlab.com/gitlab-go-executor/gitlab-go-executor/executor/docker"
	"gitlab.com/gitlab-go-executor/gitlab-go-executor/executor/runner"
)

// Limits of what happens under the lock of the job records.
const (
	lockTimeout   = 3 * time.Minute
	removeTimeout = 2 * time.Minute
	reapTimeout   = 30 * time.Second
	reapAtOnce    = 8
)

// lockJobs makes this process the only one that claims slots and reaps jobs in the state directory. The kernel gives the
// lock back when the process dies.
func lockJobs(ctx context.Context, t tree) (unlock func(), err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, lockTimeout,
		fmt.Errorf("waited %s for another job of this host to be prepared: %w", lockTimeout, context.DeadlineExceeded))
	defer cancel()
	unlock, err = flock.Lock(ctx, filepath.Join(t.jobs(), ".lock"), flock.Exclusive)
	if err != nil && ctx.Err() == nil {
		return nil, stateError(err)
	}
	return unlock, err
}

// allJobs reads the records of all jobs of the state directory. It is an error if any cannot be listed: what is not known
// to be alive is removed. unreadable are the labels of jobs whose record says nothing, such as one of another release.
func allJobs(t tree) (jobs []*store, unreadable []string, err error) {
	instances, err := subfolders(t.jobs())
	if err != nil {
		return nil, nil, err
	}
	for _, instance := range instances {
		names, err := subfolders(filepath.Join(t.jobs(), instance))
		if err != nil {
			return nil, nil, err
		}
		for _, name := range names {
			s, err := openStore(filepath.Join(t.jobs(), instance, name))
			switch {
			case errors.Is(err, fs.ErrNotExist): // removed meanwhile
			case err != nil:
				unreadable = append(unreadable, jobLabel(instance, name))
			default:
				jobs = append(jobs, s)
			}
		}
	}
	return jobs, unreadable, nil
}

// subfolders lists the folders in one, but for those that are half made or half gone. A folder that does not exist has none.
func subfolders(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, stateError(err)
	}
	var names []string
	for _, e := range entries {
		if e.IsDir() && !strings.HasPrefix(e.Name(), ".") {
			names = append(names, e.Name())
		}
	}
	return names, nil
}

// census is who of the jobs of a state directory is alive.
type census struct {
	living  []*store
	dead    []*store
	labels  map[string]bool // of the living, and of those whose record says nothing: these are left alone
	unknown []string        // the labels of the latter
}

// takeCensus decides under lockJobs who is alive. The job that is being prepared is not: what there is of it is an earlier
// attempt's.
func takeCensus(t tree, self string, now time.Time) (census, error) {
	jobs, unreadable, err := allJobs(t)
	c := census{labels: map[string]bool{}, unknown: unreadable}
	for _, label := range unreadable {
		c.labels[label] = label != self
	}
	for _, job := range jobs {
		if r := job.get(); r.Owner.Job != self && !job.ended() && r.Lease.alive(now) {
			c.labels[r.Owner.Job] = true
			c.living = append(c.living, job)
		} else {
			c.dead = append(c.dead, job)
		}
	}
	return c, err
}

// reap removes, under lockJobs, what no living job owns: what the given job left of an earlier attempt, all jobs whose lease
// is dead, and objects without a record, which a daemon that was just creating them when everything else was killed leaves.
// A record exists before the first object of its job, so an object without one is nobody's. What cannot be removed of other
// jobs is no failure of this one; it is returned for the log, and the next prepare tries again.
func (j *job) reap(ctx context.Context, self docker.Owner) (c census, others []error, err error) {
	now := time.Now()
	if c, err = takeCensus(j.tree, self.Job, now); err != nil {
		return c, nil, err
	}
	labels, err := j.docker.Jobs(ctx, self.State)
	if err != nil {
		return c, nil, err
	}
	failed := removeJobs(ctx, j.docker, self.State, slices.DeleteFunc(labels, func(label string) bool { return c.labels[label] }))
	crash.At(crash.DeadRemoved)
	if err := failed[self.Job]; err != nil {
		return c, nil, err
	}
	for label, err := range failed {
		others = append(others, fmt.Errorf("job %s: %w", label, err))
	}
	for _, dead := range c.dead {
		r := dead.get()
		if failed[r.Owner.Job] != nil {
			c.living = append(c.living, dead) // its containers may still write to its slot
			continue
		}
		j.bookDead(ctx, dead)
		crash.At(crash.LostEntered)
		if err := errors.Join(j.tree.dropFiles(r), j.clear(ctx, dead.dir)); err != nil {
			others = append(others, fmt.Errorf("job %s: %w", r.Identity, err))
		}
	}
	sweep(j.tree)
	sweepTools(j.tree, c, now)
	sweepImages(j.tree, now)
	for _, label := range c.unknown {
		if label != self.Job {
			others = append(others, fmt.Errorf("job %s: its record cannot be read, so it is left alone; if it is not running, remove %s",
				label, filepath.Join(j.tree.jobs(), label)))
		}
	}
	return c, others, nil
}

// bookDead enters a dead job into the ledger. One whose cleanup has begun says itself how it ended, and what it says stays; that cleanup may have been
// killed before it did. One whose cleanup was there since the census has no record any more.
func (j *job) bookDead(ctx context.Context, dead *store) {
	r := dead.get()
	switch {
	case dead.ended():
		j.enter(ctx, r.Row, dead.verdict(), dead.endedAt())
	case dead.abandoned():
		j.logLost(ctx, r)
	}
}

// filesInSlot is where Runner's scripts keep contents of file variables, and the job's token, in the slot's folder: beside the checkout.
func (j *job) filesInSlot() string {
	within, err := filepath.Rel(runner.BuildsDir, j.env.FileVariableDir())
	if err != nil || !filepath.IsLocal(within) || within == "." {
		return ""
	}
	return within
}

// dropFiles removes that folder when nothing of the job runs any more. Runner's last stage does so, but not when a job is aborted or out of time, and the
// slot is kept for the next job of the tier, which is not to have them. What is there is a job's and hostile: no link is followed out of the slot.
func (t tree) dropFiles(r Record) error {
	if r.Files == "" {
		return nil
	}
	slot, err := os.OpenRoot(t.builds(r.Identity, r.Slot))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer slot.Close()
	return slot.RemoveAll(r.Files)
}

// clear removes the folder of a job that has ended and whose containers are gone. What is mounted in it is unmounted, and what the job
// made in its caches is kept.
func (j *job) clear(ctx context.Context, dir string) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), reapTimeout)
	defer cancel()
	if err := j.caches.Abandon(ctx, dir); err != nil {
		return stateError(err)
	}
	crash.At(crash.CachesAbandoned)
	return bury(dir)
}

// removeJobs removes the objects of jobs side by side, within the time that other prepares can be kept waiting.
func removeJobs(ctx context.Context, d *docker.Client, state string, labels []string) map[string]error {
	ctx, cancel := context.WithTimeout(ctx, reapTimeout)
	defer cancel()
	var mu sync.Mutex
	failed := map[string]error{}
	var group errgroup.Group
	group.SetLimit(reapAtOnce)
	for _, label := range labels {
		group.Go(func() error {
			if err := d.RemoveJob(ctx, docker.Owner{State: state, Job: label}, reapTimeout); err != nil {
				mu.Lock()
				failed[label] = err
				mu.Unlock()
			}
			return nil
		})
	}
	_ = group.Wait()
	return failed
}

// sweep deletes, under lockJobs, folders that a crash left half made or half deleted: nobody else makes one meanwhile.
func sweep(t tree) {
	instances, _ := subfolders(t.jobs())
	for _, instance := range instances {
		dir := filepath.Join(t.jobs(), instance)
		entries, _ := os.ReadDir(dir)
		for _, e := range entries {
			if name := e.Name(); strings.HasPrefix(name, deadPrefix) || strings.HasPrefix(name, stagingPrefix) {
				_ = os.RemoveAll(filepath.Join(dir, name))
			}
		}
	}
}

// freeSlot is the lowest number that no living job of the same project and tier has claimed. Where a record says nothing, its
// slot may be any that exists. It is called under lockJobs.
func freeSlot(c census, t tree, id runner.Identity) int {
	taken := map[int]bool{}
	for _, job := range c.living {
		r := job.get()
		if r.Identity.Instance == id.Instance && r.Identity.Project == id.Project && r.Identity.Tier == id.Tier {
			taken[r.Slot] = true
		}
	}
	used := func(slot int) bool {
		if len(c.unknown) == 0 {
			return false
		}
		_, err := os.Lstat(t.builds(id, slot))
		return err == nil
	}
	slot := 0
	for taken[slot] || used(slot) {
		slot++
	}
	return slot
}
