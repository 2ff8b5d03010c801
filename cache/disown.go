package cache

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/crash"
	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/kind"
	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/layer"
)

// disown takes damaged layers, and the entries that name them, off the store, so that what they held is saved anew: the next job
// would stumble over them again, and a layer with the same content has the same name. One that another job has saved anew since is
// left alone. It gives the entries that are left.
func (s *saving) disown(ctx context.Context, p pool, entries []Entry) ([]Entry, error) {
	for _, l := range s.plan.Damaged {
		names := func(e Entry) bool { return e.Layer != nil && e.Layer.Digest == l.Digest }
		anew := func(e Entry) bool { return names(e) && e.Created.After(s.plan.Created) }
		if l.Kind != s.kind.Name() || slices.ContainsFunc(entries, anew) {
			continue
		}
		if err := s.cache.unname(ctx, p, entries, l.Digest); err != nil {
			return nil, err
		}
		entries = slices.DeleteFunc(entries, names)
	}
	return entries, nil
}

// unname takes a layer, and before it the entries that name it, off the store.
func (c *Cache) unname(ctx context.Context, p pool, entries []Entry, digest string) error {
	for _, e := range entries {
		if e.Layer == nil || e.Layer.Digest != digest {
			continue
		}
		if err := c.store.Delete(ctx, e.Key); err != nil {
			return storeError(ctx, err)
		}
	}
	crash.At(crash.DamagedUnnamed)
	return storeError(ctx, c.store.Delete(ctx, p.layerKey(digest)))
}

// hollow says that a layer lacks what its index names: its writer has forged it.
type hollow struct {
	digest string
	err    error
}

func (h *hollow) Error() string { return fmt.Sprintf("layer %.12s: %v", h.digest, h.err) }
func (h *hollow) Unwrap() error { return h.err }

// blame says whether a layer's writer is to blame for a file that cannot be had: not if the whole layer has been released meanwhile.
func (l indexed) blame(err error) error {
	if _, gone := os.Lstat(filepath.Join(l.dir, layer.Index)); gone == nil && kind.Refused(err) {
		return &hollow{l.Digest, Because(Corrupt, "%w", err)}
	}
	return err
}
