package cache

import (
	"context"
	"errors"
	"path"

	"golang.org/x/sync/errgroup"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/kind"
)

// Prefetch brings to this host, from a store that is far away, what Restore will probably want for the job whose own folder is dir: the
// layers of the pools that the project's tiers have used last. Of r it needs neither a platform nor a graph, so that it can be
// called before the image and the sources are here. What it brings counts as come from the store for this job.
func (c *Cache) Prefetch(ctx context.Context, dir string, r Request) error {
	if c.spool == nil || r.Mode == FromNewest {
		return nil
	}
	r.Mode = NoSave // should the job be killed before Restore there is nothing to save
	p := &plan{Request: r}
	var problems []error
	for _, name := range r.Kinds {
		for _, tier := range r.tiers() {
			layers, cold, err := c.latest(ctx, r.pool(tier, name))
			problems = append(problems, err)
			p.Cold = max(p.Cold, cold)
			for _, l := range layers {
				p.Layers = append(p.Layers, held{LayerRef: l, Kind: name, Tier: tier})
			}
		}
	}
	problems = append(problems, c.weigh(ctx, p))
	if len(p.Layers) == 0 {
		return errors.Join(problems...)
	}
	if err := c.lease(ctx, dir, p); err != nil {
		return err
	}
	failed, err := c.fetch(ctx, p)
	problems = append(append(problems, failed...), err, c.lease(context.WithoutCancel(ctx), dir, p))
	return errors.Join(problems...)
}

// latest are the layers of the newest pool of one kind and tier, and what is known there of cold jobs.
func (c *Cache) latest(ctx context.Context, p pool) ([]LayerRef, float64, error) {
	if p.kind.Name() == kind.Build().Name() {
		p.prefix = p.tier + p.kind.Name() + "/"
		objects, err := c.store.List(ctx, p.prefix, maxEntries)
		if err != nil {
			return nil, 0, storeError(ctx, err)
		}
		newest := ""
		for _, o := range objects {
			if name := path.Base(o.Key); entryName.MatchString(name) && (newest == "" || name < newest) {
				newest, p.prefix = name, path.Dir(o.Key)+"/"
			}
		}
		if newest == "" {
			return nil, 0, nil
		}
	}
	entries, problems, err := c.journal(ctx, p)
	layers, _ := living(entries, "", maxDepth)
	return layers, coldest(entries), errors.Join(append(problems, err)...)
}

// journals reads several journals at the same time, since each takes a far store two round trips.
func (c *Cache) journals(ctx context.Context, pools []pool) []read {
	all := make([]read, len(pools))
	var group errgroup.Group
	for i, p := range pools {
		group.Go(func() error {
			all[i].entries, all[i].problems, all[i].err = c.journal(ctx, p)
			return nil
		})
	}
	_ = group.Wait()
	return all
}

// read is a journal that was read, see (*Cache).journal.
type read struct {
	entries  []Entry
	problems []error
	err      error
}
