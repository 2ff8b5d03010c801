package cache

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/kind"
	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/layer"
)

// maxDepth is how many layers of one pool are mounted. The kernel takes 500 in all (fs/overlayfs/super.c, OVL_MAX_STACK);
// compaction keeps a pool below this.
const maxDepth = 32

// Restored is what a job's caches begin with.
type Restored struct {
	Reason   Reason
	Layers   int
	Fetched  int   // of the layers, those that this host did not have
	Bytes    int64 // of all layer files
	Wanted   int   // modules that the graph names
	There    int   // of these, those that the base holds
	Packages int   // compiled packages in the base
	Seconds  float64
	Merged   string  // the folder to show to the job
	Problems []error // what went wrong and cost no more than warmth
}

// Restore makes the caches of a job below its own folder dir, which lies below the state directory, on one filesystem with it. After an error nothing is left of
// it, and the job has to do without.
func (c *Cache) Restore(ctx context.Context, dir string, r Request) (Restored, error) {
	began := time.Now()
	if err := r.check(); err != nil {
		return Restored{}, err
	}
	restored, err := c.restore(ctx, dir, r)
	if err != nil {
		left := c.Discard(context.WithoutCancel(ctx), dir)
		return Restored{Reason: ReasonOf(err)}, errors.Join(err, left)
	}
	restored.Seconds = time.Since(began).Seconds()
	return restored, nil
}

func (c *Cache) restore(ctx context.Context, dir string, r Request) (Restored, error) {
	work := WorkOf(dir)
	p, problems, err := c.fetched(ctx, dir, r)
	if err != nil {
		return Restored{}, err
	}
	readable, err := c.readable(ctx, p)
	problems = append(problems, readable...)
	if err != nil {
		return Restored{}, err
	}
	if err := c.lease(ctx, dir, p); err != nil { // with what could be had
		return Restored{}, err
	}
	if err := c.driver.Mount(ctx, work, p.digests()); err != nil {
		return Restored{}, err
	}
	for _, name := range r.Kinds {
		if err := kinds[name].Prepare(filepath.Join(work.Merged(), name)); err != nil {
			return Restored{}, err
		}
	}
	return p.summary(work, problems), nil
}

// fetched chooses the layers, leases them and brings them to the host. If one has gone meanwhile, another job may have replaced it:
// the journal is read once more. Then it goes without.
func (c *Cache) fetched(ctx context.Context, dir string, r Request) (*plan, []error, error) {
	before, err := readPlan(WorkOf(dir).Dir)
	if err != nil {
		before = &plan{} // nothing was prefetched
	}
	for attempt := 1; ; attempt++ {
		p, problems := c.choose(ctx, r)
		if ctx.Err() != nil {
			return nil, nil, context.Cause(ctx)
		}
		p.recall(before)
		if err := c.weigh(ctx, p); err != nil {
			problems = append(problems, err)
		}
		if err := c.lease(ctx, dir, p); err != nil {
			return nil, nil, err
		}
		failed, err := c.fetch(ctx, p)
		if err != nil {
			return nil, nil, err
		}
		gone := slices.ContainsFunc(failed, func(err error) bool { return errors.Is(err, fs.ErrNotExist) })
		if !gone || attempt == 2 {
			return p, append(problems, failed...), nil
		}
	}
}

// choose reads the journals and decides about the layers. A journal that cannot be read costs its layers and no more.
func (c *Cache) choose(ctx context.Context, r Request) (*plan, []error) {
	p := &plan{Request: r, Created: time.Now(), Reasons: map[string]Reason{}}
	if r.Mode == FromNewest {
		for _, name := range r.Kinds {
			p.Reasons[name] = Refreshed
		}
		return p, nil
	}
	tiers := r.tiers()
	var pools []pool
	for _, name := range r.Kinds {
		for _, tier := range tiers {
			pools = append(pools, r.pool(tier, name))
		}
	}
	journals := c.journals(ctx, pools)
	for _, j := range journals {
		p.Cold = max(p.Cold, coldest(j.entries))
	}
	var problems []error
	for i, name := range r.Kinds {
		reason, bad := c.chooseKind(ctx, p, name, journals[i*len(tiers):])
		p.Reasons[name] = reason
		problems = append(problems, bad...)
	}
	return p, problems
}

// chooseKind decides about the layers of one kind by the journals of its tiers.
func (c *Cache) chooseKind(ctx context.Context, p *plan, name string, journals []read) (Reason, []error) {
	var problems []error
	var reason, failed Reason
	for i, tier := range p.Request.tiers() {
		of := journals[i]
		problems = append(problems, of.problems...)
		if of.err != nil {
			failed, problems = ReasonOf(of.err), append(problems, of.err)
		}
		layers, exact := living(of.entries, p.Request.Graph, maxDepth)
		for _, l := range layers {
			if !slices.Contains(p.digests(), l.Digest) { // both tiers may have saved the same; no overlay has a layer twice
				p.Layers = append(p.Layers, held{LayerRef: l, Kind: name, Tier: tier})
			}
		}
		switch {
		case exact:
			reason = Exact
		case len(of.entries) > 0 && reason == "":
			reason = Nearest
		}
	}
	if reason = cmp.Or(failed, reason); reason != "" {
		return reason, problems
	}
	return c.whyNothing(ctx, p.Request, name), problems
}

// whyNothing tells a project's first job from one on another platform or toolchain. It is only for people, so what fails on the
// way is no problem.
func (c *Cache) whyNothing(ctx context.Context, r Request, name string) Reason {
	holds := func(prefix string) bool {
		objects, err := c.store.List(ctx, prefix, 1)
		return err == nil && len(objects) > 0
	}
	found := FirstRun
	for _, tier := range r.tiers() {
		base := r.pool(tier, name).tier + name + "/"
		if holds(base + r.Platform + "/") {
			return NewToolchain
		}
		if holds(base) {
			found = NewPlatform
		}
	}
	return found
}

const fetchAtOnce = 4

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

// readable makes every layer of the plan readable, so that one that is damaged costs itself alone.
func (c *Cache) readable(ctx context.Context, p *plan) (problems []error, err error) {
	for _, digest := range p.digests() {
		_, err := c.driver.Layer(ctx, digest)
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

func (p *plan) summary(work layer.Work, problems []error) Restored {
	r := Restored{
		Reason: p.Reasons[p.Request.headline()], Layers: len(p.Layers), Wanted: len(p.Request.Modules), Merged: work.Merged(), Problems: problems,
	}
	there := map[string]bool{}
	for _, l := range p.Layers {
		r.Bytes += l.Size
		if l.FromStore {
			r.Fetched++
		}
		if l.Kind == kind.Build().Name() {
			r.Packages += l.Counted
		}
		for _, m := range l.Modules {
			there[m] = true
		}
	}
	for _, m := range p.Request.Modules {
		if there[m] {
			r.There++
		}
	}
	return r
}
