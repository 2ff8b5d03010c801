package cache

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/crash"
	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/flock"
	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/kind"
	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/store"
)

// Send brings to a far store what jobs of this host have saved, until ctx ends; what is left waits for the next call. Nothing is
// to do for a near one.
func (c *Cache) Send(ctx context.Context) (store.Sent, error) {
	if c.spool == nil {
		return store.Sent{}, nil
	}
	sent, err := c.spool.Send(ctx)
	if err != nil {
		return sent, storeError(ctx, err)
	}
	return sent, nil
}

// Waiting is what Send has still to do: objects and bytes.
func (c *Cache) Waiting(ctx context.Context) (objects int, bytes int64, err error) {
	if c.spool == nil {
		return 0, 0, nil
	}
	waiting, err := c.spool.Waiting(ctx)
	for _, o := range waiting {
		bytes += o.Size
	}
	return len(waiting), bytes, err
}

// WaitingSince is since when Send has something to do; zero if it has not.
func (c *Cache) WaitingSince(ctx context.Context) (time.Time, error) {
	if c.spool == nil {
		return time.Time{}, nil
	}
	return c.spool.WaitingSince(ctx)
}

// Probe asks the store whether it answers. Jobs of this host that believed it to be down will then ask it again.
func (c *Cache) Probe(ctx context.Context) error {
	if c.spool != nil {
		return storeError(ctx, c.spool.Probe(ctx))
	}
	_, err := c.Store.List(ctx, "", 1)
	return storeError(ctx, err)
}

// Tend does what no job shall wait for: Send, then Compact.
func (c *Cache) Tend(ctx context.Context, thorough bool) error {
	if _, err := c.Send(ctx); err != nil {
		return err
	}
	return c.Compact(ctx, thorough)
}

// Compact compacts the pools that jobs of this host have added to. Unless it is thorough it rewrites no more than a job may wait for. A pool
// that fails is tried again the next time.
func (c *Cache) Compact(ctx context.Context, thorough bool) error {
	marks, err := c.marks()
	if err != nil {
		return err
	}
	limit := int64(foreground)
	if thorough {
		limit = math.MaxInt64
	}
	slices.SortFunc(marks, func(a, b string) int { return turnOf(a).Compare(turnOf(b)) }) // lest those that fail keep the others from their turn
	var problems []error
	for _, mark := range marks {
		if err := c.tendPool(ctx, mark, limit); err != nil {
			problems = append(problems, err)
		}
		if ctx.Err() != nil {
			break
		}
	}
	return errors.Join(problems...)
}

// turnOf is since when a pool waits: since it has grown, or since it was tried last.
func turnOf(mark string) (since time.Time) {
	for _, file := range []string{mark + takenMark, mark} {
		if info, err := os.Stat(file); err == nil {
			return info.ModTime()
		}
	}
	return since
}

// grownFolder has a file for each pool that this host has added to since it was compacted last.
const grownFolder = "grown"

// takenMark is what the name of such a file ends with as long as the pool is being compacted. A crash leaves it to the next one.
const takenMark = ".taken"

// marks are the files, each once.
func (c *Cache) marks() ([]string, error) {
	files, err := filepath.Glob(filepath.Join(escapeGlob(c.Dir), grownFolder, "*.json*"))
	marks := map[string]bool{}
	for _, file := range files {
		if mark := strings.TrimSuffix(file, takenMark); strings.HasSuffix(mark, ".json") {
			marks[mark] = true
		}
	}
	return slices.Sorted(maps.Keys(marks)), err
}

// grown is what such a file holds.
type grown struct {
	Tier   string `json:"tier"`
	Prefix string `json:"prefix"`
	Kind   string `json:"kind"`
}

func (p pool) name() string { return strings.ReplaceAll(strings.TrimSuffix(p.prefix, "/"), "/", ",") }

// noteGrown has Tend look at a pool. One that waits for that keeps its turn, however often it grows.
func (c *Cache) noteGrown(p pool) error {
	mark := filepath.Join(c.Dir, grownFolder, p.name()+".json")
	if _, err := os.Stat(mark); err == nil {
		return nil
	}
	data, err := json.Marshal(grown{p.tier, p.prefix, p.kind.Name()})
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(mark), 0o700); err != nil {
		return err
	}
	return replaceFile(mark, data)
}

// tendPool compacts a pool, unless somebody is at it. Then its mark stays for the next time.
func (c *Cache) tendPool(ctx context.Context, mark string, limit int64) error {
	// Not the lock of those who save, who would wait. What they add meanwhile is as if another host had added it, and marks the pool again.
	name := strings.TrimSuffix(filepath.Base(mark), ".json")
	now, cancel := context.WithTimeout(ctx, time.Millisecond)
	defer cancel()
	unlock, err := flock.Lock(now, filepath.Join(c.Dir, "locks", name+",compaction"), flock.Exclusive)
	if errors.Is(err, context.DeadlineExceeded) {
		return context.Cause(ctx)
	}
	if err != nil {
		return err
	}
	defer unlock()
	taken := mark + takenMark
	if _, err := readMark(mark); errors.Is(err, errOtherRelease) {
		return nil
	}
	if err := ignoreGone(os.Rename(mark, taken)); err != nil {
		return err
	}
	tried := time.Now()
	if err := ignoreGone(os.Chtimes(taken, tried, tried)); err != nil {
		return err
	}
	crash.At(crash.MarkTaken)
	p, err := readMark(taken)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, errOtherRelease) {
		return nil // another process was faster, or another release's crashed
	}
	if err != nil {
		return errors.Join(err, os.Remove(taken))
	}
	if err := c.compactPool(ctx, p, limit); err != nil {
		return err
	}
	return os.Remove(taken)
}

// errOtherRelease says that nothing is known of a pool but that it is not to be touched.
var errOtherRelease = errors.New("the pool is another release's")

func readMark(file string) (pool, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return pool{}, err
	}
	var g grown
	err = json.Unmarshal(data, &g)
	if err == nil && !strings.HasPrefix(g.Prefix, keyVersion+"/") {
		return pool{}, errOtherRelease
	}
	if err != nil || kind.Named(g.Kind) == nil {
		return pool{}, fmt.Errorf("%s is not what this program writes: %w", file, err)
	}
	return pool{tier: g.Tier, prefix: g.Prefix, kind: kind.Named(g.Kind)}, nil
}

// compactPool goes on until nothing is left to do, and nothing beyond what is read of the journal. It works in a far store itself: what a compaction
// replaces is deleted there at once, so its entry must not wait in the spool of a host that may die.
func (c *Cache) compactPool(ctx context.Context, p pool, limit int64) error {
	direct := *c
	direct.store = c.Store
	for left := steps; left > 0; {
		objects, err := direct.store.List(ctx, p.prefix, maxListed)
		if err != nil {
			return storeError(ctx, err)
		}
		read := objects[:min(len(objects), maxEntries)]
		entries, _ := direct.entries(ctx, p, read)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if len(entries) == 0 {
			return nil
		}
		merged, err := direct.compact(ctx, p, entries, limit)
		var forged *hollow
		if errors.As(err, &forged) {
			err = errors.Join(err, direct.unname(ctx, p, entries, forged.digest)) // no job notices it, and the next time goes on without it
		}
		if err != nil {
			return err
		}
		if merged {
			left--
			continue
		}
		if tidied, err := direct.tidy(ctx, entries); err != nil {
			return err
		} else if !tidied {
			return direct.cut(ctx, p, objects[len(read):])
		}
	}
	return nil
}
