package cache

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/layer"
)

// fetchAtOnce is for stores that take their time for each answer; most layers are small.
const fetchAtOnce = 16

// fetch brings the plan's layers to the host. One that cannot be had is dropped from the plan and told in failed.
func (c *Cache) fetch(ctx context.Context, p *plan) (failed []error, err error) {
	began := time.Now()
	var mu sync.Mutex
	var bytes, lacking int64
	var group errgroup.Group
	group.SetLimit(fetchAtOnce)
	for i := range p.Layers {
		l := &p.Layers[i]
		group.Go(func() error {
			if c.host.Touch(l.Digest) == nil {
				return nil // it is here
			}
			pool := p.Request.pool(l.Tier, l.Kind)
			err := c.host.Adopt(ctx, l.Digest, func(path string, have func(int64)) error {
				return c.store.GetFile(ctx, pool.layerKey(l.Digest), path, have)
			})
			mu.Lock()
			defer mu.Unlock()
			lacking += l.Size
			if err == nil {
				l.FromStore = true
				bytes += l.Size
			} else {
				failed = append(failed, &lost{l.Digest, fetchError(ctx, err)})
			}
			return nil
		})
	}
	_ = group.Wait()
	if ctx.Err() != nil {
		if errors.Is(context.Cause(ctx), context.DeadlineExceeded) {
			err = c.noteRate(lacking/2, time.Since(began))
		}
		return nil, errors.Join(context.Cause(ctx), err)
	}
	if err := c.noteRate(bytes, time.Since(began)); err != nil {
		return nil, err
	}
	for _, err := range failed {
		if errors.Is(err, os.ErrPermission) || ReasonOf(err) == DiskFull {
			return nil, err // of the host: it would be the same for all
		}
		var l *lost
		if errors.As(err, &l) {
			p.drop(l.digest, l.err)
		}
	}
	return failed, nil
}

// lost says which layer cannot be had.
type lost struct {
	digest string
	err    error
}

func (l *lost) Error() string { return fmt.Sprintf("layer %.12s: %v", l.digest, l.err) }
func (l *lost) Unwrap() error { return l.err }

func fetchError(ctx context.Context, err error) error {
	var known *failure
	switch {
	case errors.Is(err, layer.ErrCorrupt), errors.As(err, &known), ReasonOf(err) != Bug:
		return err
	case errors.Is(err, fs.ErrNotExist):
		return Because(Corrupt, "an entry names it and the store does not have it: %w", err)
	}
	return storeError(ctx, err)
}

// holdsItsKind refuses a layer that holds anything but the folder of the kind as whose it is mounted: whoever can write to the store would have the caches of
// one kind altered by a layer of another.
func (p *plan) holdsItsKind(dir, digest string) error {
	tree, err := os.Open(filepath.Join(dir, layer.Tree))
	if err != nil {
		return err
	}
	defer tree.Close()
	entries, err := tree.ReadDir(2)
	if err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("%w: %w", layer.ErrCorrupt, err)
	}
	for _, l := range p.Layers {
		if l.Digest == digest && (len(entries) != 1 || entries[0].Name() != l.Kind || !entries[0].IsDir()) {
			return fmt.Errorf("%w: it holds something else than a folder %s", layer.ErrCorrupt, l.Kind)
		}
	}
	return nil
}

// readable makes every layer of the plan readable, so that one that is damaged costs itself alone.
func (c *Cache) readable(ctx context.Context, p *plan) (problems []error, err error) {
	for _, digest := range p.digests() {
		dir, err := c.driver.Layer(ctx, digest)
		if err == nil {
			err = p.holdsItsKind(dir, digest)
		}
		switch {
		case err == nil:
		case errors.Is(err, layer.ErrCorrupt), errors.Is(err, fs.ErrNotExist):
			bad := &lost{digest, Because(Corrupt, "%w", err)}
			p.drop(digest, bad)
			problems = append(problems, bad, c.host.Remove(digest))
		default:
			return nil, err
		}
	}
	return slices.DeleteFunc(problems, func(err error) bool { return err == nil }), nil
}
