package cache

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"sync/atomic"
	"time"

	"github.com/dustin/go-humanize"
	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/crash"
	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/kind"
	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/layer"
	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/stats"
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
	Extras   []RestoredExtra
	// Downloaded is what came from the store for this job, by Prefetch or Restore, in bytes.
	Downloaded int64
	Seconds    float64 // in all, of which
	Lookup     float64 // reading the journals,
	Download   float64 // fetching layers,
	Mount      float64
	Bases      []stats.Base   // the journals that were asked
	Changed    []stats.Change // wanted modules that the base does not hold
	Merged     string         // the folder to show to the job
	Problems   []error        // what went wrong and cost no more than warmth
	headline   string
}

// RestoredExtra is what a tool's cache begins with.
type RestoredExtra struct {
	Name    string
	Reason  Reason
	Entries int
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
	began := time.Now()
	readable, err := c.readable(ctx, p)
	problems = append(problems, readable...)
	if err != nil {
		return Restored{}, err
	}
	if err := c.lease(ctx, dir, p); err != nil { // with what could be had
		return Restored{}, err
	}
	if err := c.room(); err != nil {
		return Restored{}, err
	}
	if err := c.driver.Mount(ctx, work, p.digests()); err != nil {
		return Restored{}, err
	}
	crash.At(crash.OverlayMounted)
	for _, name := range r.Kinds {
		if err := kind.Named(name).Prepare(filepath.Join(work.Merged(), name)); err != nil {
			return Restored{}, err
		}
	}
	doubted, err := c.doubt(ctx, work, p)
	if err != nil {
		return Restored{}, err
	}
	restored := p.summary(work, append(problems, doubted...))
	restored.Mount = time.Since(began).Seconds()
	return restored, nil
}

// LeastRoom is what has to be free on the host for a job's caches, in bytes: a job that finds no space in them fails, and without
// them it may not.
const LeastRoom = 256 << 20

func (c *Cache) room() error {
	var stat unix.Statfs_t
	if err := unix.Statfs(c.Dir, &stat); err != nil {
		return fmt.Errorf("free space of %s: %w", c.Dir, err)
	}
	if free := stat.Bavail * uint64(stat.Bsize); free < LeastRoom {
		return Because(DiskFull, "%s has %s free, and a job's caches need %s: make space there, or lower max_size", c.Dir, humanize.Bytes(free), humanize.Bytes(LeastRoom))
	}
	return nil
}

// fetched chooses the layers, leases them and brings them to the host. If one has gone meanwhile, another job may have replaced it:
// the journal is read once more. Then it goes without.
func (c *Cache) fetched(ctx context.Context, dir string, r Request) (*plan, []error, error) {
	before, err := readPlan(WorkOf(dir).Dir)
	if err != nil {
		before = &plan{} // nothing was prefetched
	}
	var lookup time.Duration
	for attempt := 1; ; attempt++ {
		began := time.Now()
		p, problems := c.choose(ctx, r)
		lookup += time.Since(began)
		p.lookup = lookup.Seconds()
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
		began = time.Now()
		crash.At(crash.PlanLeased)
		failed, err := c.fetch(ctx, p)
		if err != nil {
			return nil, nil, err
		}
		p.download = time.Since(began).Seconds()
		gone := slices.ContainsFunc(failed, func(err error) bool { return errors.Is(err, fs.ErrNotExist) })
		if !gone || attempt == 2 {
			return p, append(problems, failed...), nil
		}
	}
}

// choose reads the journals and decides about the layers. A journal that cannot be read costs its layers and no more.
func (c *Cache) choose(ctx context.Context, r Request) (*plan, []error) {
	p := newPlan(r)
	if r.Mode == FromNewest {
		for _, name := range r.Kinds {
			p.Reasons[name] = Refreshed
		}
		return p, nil
	}
	journals := inParallel(ctx, r.pools(), c.journal)
	for _, j := range journals {
		p.Cold = max(p.Cold, coldest(j.entries))
	}
	var problems []error
	for i, name := range r.Kinds {
		reason, bad := c.chooseKind(ctx, p, name, journals[i*len(r.tiers()):])
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
		p.noteBase(name, tier, of)
		problems = append(problems, of.problems...)
		switch {
		case of.err != nil:
			failed, problems = ReasonOf(of.err), append(problems, of.err)
		case len(of.entries) == 0 && len(of.problems) > 0: // there is something, and nothing of it can be used
			failed = ReasonOf(of.problems[0])
		}
		layers, exact := living(of.entries, p.Request.Graph, maxDepth)
		p.add(p.Request.pool(tier, name), layers)
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
	if portable(name) { // there is but one pool, which is empty
		return FirstRun
	}
	var platform, project atomic.Bool
	var group errgroup.Group
	for _, tier := range r.tiers() {
		of := r.pool(tier, name).ofKind()
		for prefix, found := range map[string]*atomic.Bool{of + r.Platform + "/": &platform, of: &project} {
			group.Go(func() error {
				if objects, _ := c.store.List(ctx, prefix, 1); len(objects) > 0 {
					found.Store(true)
				}
				return nil
			})
		}
	}
	_ = group.Wait()
	switch {
	case platform.Load():
		return NewToolchain
	case project.Load():
		return NewPlatform
	}
	return FirstRun
}

func (p *plan) summary(work layer.Work, problems []error) Restored {
	r := Restored{
		Reason: p.Reasons[p.Request.headline()], Layers: len(p.Layers), Wanted: len(p.Request.Modules), Lookup: p.lookup, Download: p.download,
		Bases: p.bases, headline: p.Request.headline(), Changed: p.changed(), Merged: work.Merged(), Problems: problems,
	}
	r.There = r.Wanted - len(r.Changed)
	extras := map[string]int{}
	for _, l := range p.Layers {
		r.Bytes += l.Size
		if l.FromStore {
			r.Fetched++
			r.Downloaded += l.Size
		}
		switch l.Kind {
		case kind.Modules().Name():
		case kind.Build().Name():
			r.Packages += l.Counted
		default:
			extras[l.Kind] += l.Counted
		}
	}
	for _, name := range p.Request.Kinds {
		if !slices.Contains(Kinds(), name) {
			r.Extras = append(r.Extras, RestoredExtra{name, p.Reasons[name], extras[name]})
		}
	}
	return r
}
