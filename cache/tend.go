package cache

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strings"
	"time"

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
	marks, err := filepath.Glob(filepath.Join(escapeGlob(c.Dir), grownFolder, "*.json"))
	if err != nil {
		return err
	}
	limit := int64(foreground)
	if thorough {
		limit = math.MaxInt64
	}
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

// grownFolder has a file for each pool that this host has added to since it was compacted last.
const grownFolder = "grown"

// grown is what such a file holds.
type grown struct {
	Tier   string `json:"tier"`
	Prefix string `json:"prefix"`
	Kind   string `json:"kind"`
}

func (p pool) name() string { return strings.ReplaceAll(strings.TrimSuffix(p.prefix, "/"), "/", ",") }

// noteGrown has Tend look at a pool.
func (c *Cache) noteGrown(p pool) error {
	data, err := json.Marshal(grown{p.tier, p.prefix, p.kind.Name()})
	if err != nil {
		return err
	}
	folder := filepath.Join(c.Dir, grownFolder)
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return err
	}
	return replaceFile(filepath.Join(folder, p.name()+".json"), data)
}

func (c *Cache) tendPool(ctx context.Context, mark string, limit int64) error {
	data, err := os.ReadFile(mark)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // another process is at it
	}
	if err != nil {
		return err
	}
	var g grown
	if err := json.Unmarshal(data, &g); err != nil || kind.Named(g.Kind) == nil {
		return errors.Join(fmt.Errorf("%s is not what this program writes: %w", mark, err), os.Remove(mark))
	}
	p := pool{tier: g.Tier, prefix: g.Prefix, kind: kind.Named(g.Kind)}
	// Not the lock of those who save, who would wait. What they add meanwhile is as if another host had added it.
	unlock, err := flock.Lock(ctx, c.poolLock(p)+",compaction", flock.Exclusive)
	if err != nil {
		return err
	}
	defer unlock()
	if err := os.Remove(mark); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := c.compactPool(ctx, p, limit); err != nil {
		return errors.Join(err, c.noteGrown(p))
	}
	return nil
}

// compactPool goes on until nothing is left to do. It works in a far store itself: what a compaction replaces is deleted there at once, so its entry
// must not wait in the spool of a host that may die.
func (c *Cache) compactPool(ctx context.Context, p pool, limit int64) error {
	direct := *c
	direct.store = c.Store
	for range steps {
		entries, _, err := direct.journal(ctx, p)
		if err != nil || len(entries) == 0 {
			return err
		}
		if did, err := direct.compact(ctx, p, entries, limit); !did || err != nil {
			return err
		}
	}
	return nil
}
