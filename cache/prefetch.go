package cache

import (
	"context"
	"errors"
	"path"
	"slices"

	"golang.org/x/sync/errgroup"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/store"
)

// Prefetch brings to this host, from a store that is far away, what Restore will probably want for the job whose own folder is dir: the
// layers of the pools that the project's tiers have used last. Of r it needs neither platform nor toolchain nor graph, so that it can be
// called before the image and the sources are here; likely is how "<platform>/<toolchain>" will begin, lest the jobs of a matrix
// bring each other's layers. What it brings counts as come from the store for this job.
func (c *Cache) Prefetch(ctx context.Context, dir string, r Request, likely string) error {
	if c.spool == nil || r.Mode == FromNewest {
		return nil
	}
	r.Mode = NoSave // should the job be killed before Restore there is nothing to save
	p := newPlan(r)
	var problems []error
	pools := r.pools()
	latest := func(ctx context.Context, p pool) ([]Entry, []error, error) { return c.latest(ctx, p, likely) }
	for i, journal := range inParallel(ctx, pools, latest) {
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

// maxListed is how many keys are looked at for the newest pool. They come by platform and toolchain, and those that are not used any more
// stay until they are pruned.
const maxListed = 20 * maxEntries

// latest is the journal of the newest pool of one kind and tier, of those whose platform and toolchain begin as told.
func (c *Cache) latest(ctx context.Context, p pool, likely string) ([]Entry, []error, error) {
	if portable(p.kind.Name()) {
		return c.journal(ctx, p)
	}
	objects, err := c.store.List(ctx, p.ofKind()+likely, maxListed)
	if err != nil {
		err = storeError(ctx, err)
	}
	newest := ""
	for _, o := range objects {
		if name := path.Base(o.Key); entryName.MatchString(name) && (newest == "" || name < newest) {
			newest, p.prefix = name, path.Dir(o.Key)+"/"
		}
	}
	objects = slices.DeleteFunc(objects, func(o store.Object) bool { return !p.isEntry(o.Key) })
	entries, problems := c.entries(ctx, p, objects[:min(len(objects), maxEntries)])
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
