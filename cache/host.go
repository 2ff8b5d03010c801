package cache

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/dustin/go-humanize"
	"golang.org/x/sys/unix"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/crash"
	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/flock"
	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/layer"
)

// Discard unmounts the caches of a job whose folder is dir and removes them, whatever there is of them.
func (c *Cache) Discard(ctx context.Context, dir string) error {
	work := WorkOf(dir)
	if err := c.driver.Unmount(ctx, work); err != nil {
		return fmt.Errorf("unmount the caches of a job: %w", err) // what is mounted must not be removed file by file
	}
	crash.At(crash.CachesUnmounted)
	return os.RemoveAll(work.Dir)
}

// salvageFolder holds the caches of jobs that were killed, below the state directory.
const salvageFolder = "salvage"

// Limits of what killed jobs leave behind.
const (
	salvageKept = 8
	salvageAge  = 24 * time.Hour
)

// Abandon takes the caches of a job that was killed away from its folder, so that it can be removed, and keeps what the job made for
// Salvage. All that could write to them has ended. It takes no longer than an unmount.
func (c *Cache) Abandon(ctx context.Context, dir string) error {
	work := WorkOf(dir)
	if err := c.driver.Unmount(ctx, work); err != nil {
		return fmt.Errorf("unmount the caches of a job: %w", err)
	}
	p, err := readPlan(work.Dir)
	if err != nil || p.Request.Mode == NoSave || !made(work) {
		return os.RemoveAll(work.Dir) // there is nothing to save, or nobody knows whose it is
	}
	kept, err := c.salvageable()
	if err != nil {
		return err
	}
	if len(kept) >= salvageKept {
		return os.RemoveAll(work.Dir)
	}
	folder := filepath.Join(c.Dir, salvageFolder, fmt.Sprintf("%d-%s", time.Now().UnixNano(), p.Request.Job))
	for range salvageKept { // an empty folder may be taken for what a crash has left
		if err := os.MkdirAll(folder, 0o700); err != nil {
			return err
		}
		crash.At(crash.SalvageFolderMade)
		if err = os.Rename(work.Dir, WorkOf(folder).Dir); !errors.Is(err, fs.ErrNotExist) {
			break
		}
	}
	return err
}

// made says whether a job has ever had something to write to: its layers may not even have been fetched.
func made(work layer.Work) bool {
	_, err := os.Lstat(work.Merged())
	return !errors.Is(err, fs.ErrNotExist)
}

// salvageable lists what Abandon kept, the oldest first. Folders into which a crash has kept it from moving anything go.
func (c *Cache) salvageable() ([]string, error) {
	entries, err := os.ReadDir(filepath.Join(c.Dir, salvageFolder))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	var folders []string
	for _, e := range entries {
		folder := filepath.Join(c.Dir, salvageFolder, e.Name())
		if e.IsDir() && unix.Rmdir(folder) != nil {
			folders = append(folders, folder)
		}
	}
	return folders, nil
}

// Salvage saves what killed jobs have made. Each is tried once, and once more if the time was over: what cannot be saved then is dropped, lest a job leaves what
// every prepare of the host spends its time on. done is called with each result.
func (c *Cache) Salvage(ctx context.Context, done func(Saved, error)) error {
	folders, err := c.salvageable()
	if err != nil || len(folders) == 0 {
		return err
	}
	now, cancel := context.WithTimeout(ctx, time.Millisecond)
	defer cancel()
	unlock, err := flock.Lock(now, filepath.Join(c.Dir, salvageFolder, ".lock"), flock.Exclusive)
	if err != nil {
		return nil // somebody else is at it
	}
	defer unlock()
	for _, folder := range folders {
		if ctx.Err() != nil {
			return nil // the next prepare goes on
		}
		saved, over, err := c.salvage(ctx, folder)
		if over || ctx.Err() == nil {
			done(saved, err)
		}
	}
	return nil
}

// triedName marks what has been tried to be saved, beside the work folder.
const triedName = "tried"

// salvage saves what one job has made; over says that nothing is left of it.
func (c *Cache) salvage(ctx context.Context, folder string) (saved Saved, over bool, err error) {
	mark := filepath.Join(folder, triedName)
	_, fresh := os.Lstat(mark)
	if err := os.WriteFile(mark, nil, 0o600); err != nil {
		return Saved{}, false, err
	}
	saved, err = c.mountAndSave(ctx, folder)
	limited := context.WithoutCancel(ctx)
	if ctx.Err() != nil {
		if fresh != nil {
			return saved, false, errors.Join(err, c.driver.Unmount(limited, WorkOf(folder)))
		}
		err = Because(TooSlow, "it could not be saved in time, twice: %w", err)
	}
	crash.At(crash.SalvageSaved)
	if left := c.Discard(limited, folder); left != nil {
		return saved, false, errors.Join(err, left)
	}
	return saved, true, errors.Join(err, os.RemoveAll(folder))
}

func (c *Cache) mountAndSave(ctx context.Context, folder string) (Saved, error) {
	work := WorkOf(folder)
	p, err := readPlan(work.Dir)
	if err != nil {
		return Saved{}, err
	}
	if time.Since(p.Created) > salvageAge {
		return Saved{}, Because(TooSlow, "what job %s left is %s old", p.Request.Job, time.Since(p.Created).Round(time.Hour))
	}
	if err := c.driver.Mount(ctx, work, p.digests()); err != nil {
		return Saved{}, err
	}
	crash.At(crash.SalvageMounted)
	saved, err := c.save(ctx, work, false)
	saved.Instance, saved.Job, saved.Restored = p.Request.Instance, p.Request.Job, p.Created
	return saved, err
}

// HostOptions say what goes from the host besides what is beyond the MaxSize of the Options.
type HostOptions struct {
	Unused    bool          // every layer that no job uses
	OlderThan time.Duration // layers that no job has used for so long; 0 is none
	MaxSize   int64         // bytes that the layers may take, those that were used last first; 0 is no limit
	DryRun    bool          // only tell
}

// Housekeep unmounts layers that no job has used for Idle, deletes the oldest of those that no job uses until the rest fits into
// MaxSize, and removes what crashes left half made. With all, every layer that no job uses goes. What is in use stays, and so does
// what the store holds.
func (c *Cache) Housekeep(ctx context.Context, all bool) error {
	_, err := c.PruneHost(ctx, HostOptions{Unused: all}, func(string) {})
	return err
}

// PruneHost is Housekeep with further limits. tell is called with each layer that has gone. A dry run changes nothing, and takes a job that was killed
// for a running one, since it only looks.
func (c *Cache) PruneHost(ctx context.Context, o HostOptions, tell func(what string)) (Pruned, error) {
	if o.DryRun {
		leased, err := c.leased()
		if err != nil {
			return Pruned{}, err
		}
		return c.evict(ctx, leased, o, tell)
	}
	unlock, err := flock.Lock(ctx, c.leaseLock(), flock.Exclusive)
	if err != nil {
		return Pruned{}, err
	}
	defer unlock()
	leased, err := c.leased()
	if err != nil {
		return Pruned{}, err
	}
	unmounted := c.release(ctx, leased, o.Unused)
	done, err := c.evict(ctx, leased, o, tell)
	return done, errors.Join(unmounted, err, c.host.Sweep(ctx, staleStaging), c.sweepStaged(), c.sweepOld(ctx))
}

// What a host keeps of pools, of which each ref has its own, and that go with their refs.
const (
	sweptEvery = time.Hour          // it is looked for
	copiesKept = 7 * 24 * time.Hour // of entries that no job of the host has read
	locksKept  = 24 * time.Hour     // and made anew when they are needed
)

// sweepOld removes what this host keeps of pools that it has nothing to do with any more. With many of them it takes a while to look, and
// there is no hurry.
func (c *Cache) sweepOld(ctx context.Context) error {
	locks := filepath.Join(c.Dir, "locks")
	mark := filepath.Join(locks, ".swept")
	if info, err := os.Stat(mark); err == nil && time.Since(info.ModTime()) < sweptEvery {
		return nil
	}
	problems := errors.Join(flock.Sweep(ctx, locks, locksKept), os.MkdirAll(locks, 0o700), os.WriteFile(mark, nil, 0o600))
	if c.spool != nil {
		problems = errors.Join(problems, c.spool.Sweep(ctx, copiesKept))
	}
	return problems
}

// Layers are the layers on this host: how many, and their bytes.
func (c *Cache) Layers() (layers int, bytes int64, err error) {
	files, err := c.host.Files()
	for _, f := range files {
		bytes += f.Size
	}
	return len(files), bytes, err
}

// staleStaging is the age from which on what is half made is nobody's.
const staleStaging = time.Hour

func (c *Cache) release(ctx context.Context, leased map[string]bool, all bool) error {
	mounted, err := c.driver.Held(ctx)
	if err != nil {
		return err
	}
	for _, digest := range mounted {
		info, err := os.Stat(c.host.File(digest))
		idle := err != nil || time.Since(info.ModTime()) > c.Idle
		if leased[digest] || !all && !idle {
			continue
		}
		if err := c.driver.Release(ctx, digest); err != nil {
			return err
		}
	}
	return nil
}

// evict deletes layers, those that were used longest ago first. What cannot be deleted is told, and does not keep the others.
func (c *Cache) evict(ctx context.Context, leased map[string]bool, o HostOptions, tell func(string)) (done Pruned, err error) {
	files, err := c.host.Files()
	if err != nil {
		return done, err
	}
	var total int64
	for _, f := range files {
		total += f.Size
	}
	beyond := func(limit int64) bool { return limit > 0 && total > limit }
	slices.SortFunc(files, func(a, b layer.FileInfo) int { return a.Used.Compare(b.Used) })
	var problems []error
	for _, f := range files {
		old := o.OlderThan > 0 && time.Since(f.Used) > o.OlderThan
		if !o.Unused && !old && !beyond(c.MaxSize) && !beyond(o.MaxSize) {
			break
		}
		if leased[f.Digest] {
			done.InUse++
			continue
		}
		if !o.DryRun {
			if err := errors.Join(c.driver.Release(ctx, f.Digest), c.host.Remove(f.Digest)); err != nil {
				problems = append(problems, err)
				continue
			}
		}
		tell(fmt.Sprintf("layer %.12s: %s, last used %s", f.Digest, humanize.Bytes(uint64(f.Size)), f.Used.Format(time.DateTime)))
		total -= f.Size
		done.Layers++
		done.Bytes += f.Size
	}
	return done, errors.Join(problems...)
}
