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
	p := newPlan(r)
	var problems []error
	pools := r.pools()
	for i, journal := range inParallel(ctx, pools, c.latest) {
		problems = append(append(problems, journal.problems...), journal.err)
		p.Cold = max(p.Cold, coldest(journal.entries))
		layers, _ := living(journal.entries, "", maxDepth)
		p.add(pools[i], layers)
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

// latest is the journal of the newest pool of one kind and tier, whatever its platform and toolchain.
func (c *Cache) latest(ctx context.Context, p pool) ([]Entry, []error, error) {
	if p.kind.Name() != kind.Build().Name() {
		return c.journal(ctx, p)
	}
	objects, err := c.store.List(ctx, p.ofKind(), maxEntries)
	if err != nil {
		err = storeError(ctx, err)
	}
	newest := ""
	for _, o := range objects {
		if name := path.Base(o.Key); entryName.MatchString(name) && (newest == "" || name < newest) {
			newest, p.prefix = name, path.Dir(o.Key)+"/"
		}
	}
	entries, problems := c.entries(ctx, p, objects)
	return entries, problems, err
}

// inParallel reads several journals at the same time, since each takes a far store two round trips.
func inParallel(ctx context.Context, pools []pool, journal func(context.Context, pool) ([]Entry, []error, error)) []read {
	all := make([]read, len(pools))
	var group errgroup.Group
	for i, p := range pools {
		group.Go(func() error {
			all[i].entries, all[i].problems, all[i].err = journal(ctx, p)
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
