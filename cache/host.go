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

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/flock"
	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/layer"
)

// Discard unmounts the caches of a job whose folder is dir and removes them, whatever there is of them.
func (c *Cache) Discard(ctx context.Context, dir string) error {
	work := WorkOf(dir)
	if err := c.driver.Unmount(ctx, work); err != nil {
		return fmt.Errorf("unmount the caches of a job: %w", err) // what is mounted must not be removed file by file
	}
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
	if err != nil || p.Request.Mode == NoSave {
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
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return err
	}
	return os.Rename(work.Dir, WorkOf(folder).Dir)
}

// salvageable lists what Abandon kept, the oldest first.
func (c *Cache) salvageable() ([]string, error) {
	entries, err := os.ReadDir(filepath.Join(c.Dir, salvageFolder))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	var folders []string
	for _, e := range entries {
		if e.IsDir() {
			folders = append(folders, filepath.Join(c.Dir, salvageFolder, e.Name()))
		}
	}
	return folders, nil
}

// Salvage saves what killed jobs have made. Each is tried once: what cannot be saved now is dropped. done is called with each
// result.
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
		saved, err := c.salvage(ctx, folder)
		if ctx.Err() != nil {
			return nil // the next prepare goes on
		}
		done(saved, err)
	}
	return nil
}

func (c *Cache) salvage(ctx context.Context, folder string) (Saved, error) {
	saved, err := c.mountAndSave(ctx, folder)
	if ctx.Err() != nil {
		return saved, errors.Join(err, c.driver.Unmount(context.WithoutCancel(ctx), WorkOf(folder)))
	}
	if left := c.Discard(ctx, folder); left != nil {
		return saved, errors.Join(err, left)
	}
	return saved, errors.Join(err, os.RemoveAll(folder))
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
	return c.save(ctx, work, false)
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
	return done, errors.Join(unmounted, err, c.host.Sweep(ctx, staleStaging))
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
