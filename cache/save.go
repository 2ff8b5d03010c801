package cache

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/crash"
	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/flock"
	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/kind"
	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/layer"
)

// Saved is what a job got of its caches and gave to them.
type Saved struct {
	Modules  ModuleCount
	Build    BuildCount
	Extras   map[string]BuildCount // of tools' caches, by their names
	Items    int                   // that were saved
	Bytes    int64                 // of the layer files that were saved
	Refused  map[string]int        // why what the job left was not taken → how many files
	Compiled []string              // packages that the job compiled, as far as they can be told, sorted
	Seconds  float64               // in all, of which
	Harvest  float64               // finding out what is new, and
	Write    float64               // making it a layer and an entry
	Reason   Reason                // why not all was saved; empty if it was
	Problems []error               // what went wrong and cost no more than warmth

	// Whose it is, and when that job's caches were restored: where Salvage tells of jobs.
	Instance, Job string
	Restored      time.Time
}

// ModuleCount counts module versions. What nobody knows is null.
type ModuleCount struct {
	Wanted   *int `json:"wanted"`    // hit or missed
	HitHost  *int `json:"hit_host"`  // in the base and opened; the layer was on the host
	HitStore *int `json:"hit_store"` // likewise, and the layer came from the store for this job
	Missed   *int `json:"missed"`    // fetched by the job
}

// BuildCount counts compiled packages, or all entries of a tool's cache. What nobody knows is null.
type BuildCount struct {
	Available *int `json:"available"` // in the base
	Hit       *int `json:"hit"`       // in the base and opened
	New       *int `json:"new"`       // made by the job
}

// Save takes what the job left in its caches, adds it to the journal of its tier, and removes the caches. It may be called only when all
// that could write to them has ended. complete says that the job did all that jobs like it do, so that what it did not open is
// evidence too. When ctx ends it before the layers are written, what the job made is kept for Salvage.
func (c *Cache) Save(ctx context.Context, dir string, complete bool) (Saved, error) {
	began := time.Now()
	saved, err := c.save(ctx, WorkOf(dir), complete)
	if ctx.Err() != nil {
		err = errors.Join(err, c.Abandon(context.WithoutCancel(ctx), dir))
	} else {
		err = errors.Join(err, c.Discard(ctx, dir))
	}
	if err != nil {
		saved.Reason = ReasonOf(err)
	}
	saved.Seconds = time.Since(began).Seconds()
	return saved, err
}

// Count tells what the job has hit and made so far, between two of its scripts, and changes nothing. It takes as long as a Save that finds nothing
// new to write.
func (c *Cache) Count(ctx context.Context, dir string) (Saved, error) {
	work := WorkOf(dir)
	p, err := readPlan(work.Dir)
	if err != nil {
		return Saved{}, err
	}
	p.Request.Mode = NoSave
	return c.harvest(ctx, work, p, false)
}

func (c *Cache) save(ctx context.Context, work layer.Work, complete bool) (Saved, error) {
	p, err := readPlan(work.Dir)
	if err != nil {
		return Saved{}, err
	}
	return c.harvest(ctx, work, p, complete)
}

func (c *Cache) harvest(ctx context.Context, work layer.Work, p *plan, complete bool) (Saved, error) {
	saved := Saved{Refused: map[string]int{}, Extras: map[string]BuildCount{}}
	if p.Request.Mode == NoSave {
		saved.Reason = ReadOnly
	}
	began := time.Now()
	changes, err := c.driver.Changes(ctx, work, p.digests())
	if err != nil {
		return saved, err
	}
	saved.Refused = strays(changes, p.Request.Kinds)
	opened, err := used(work, p.Request.Kinds)
	if err != nil {
		saved.Problems = append(saved.Problems, err)
	}
	for _, name := range p.Request.Kinds {
		s := &saving{cache: c, plan: p, kind: kind.Named(name), opened: opened[name], complete: complete, saved: &saved}
		if s.kind == nil {
			return saved, fmt.Errorf("the plan of job %s names %q, which can be no kind of cache", p.Request.Job, name)
		}
		if err := s.run(ctx, work, changes.Files); err != nil {
			return saved, fmt.Errorf("save %s: %w", name, err)
		}
	}
	saved.Harvest = time.Since(began).Seconds() - saved.Write
	return saved, nil
}

// saving is the save of one kind.
type saving struct {
	cache    *Cache
	plan     *plan
	kind     kind.Kind
	opened   map[string]bool // nil if nobody knows
	complete bool
	saved    *Saved
	base     []indexed // the topmost first
}

func (s *saving) run(ctx context.Context, work layer.Work, changed []string) error {
	for _, l := range s.plan.of(s.kind.Name()) {
		x, err := s.cache.index(ctx, l)
		switch {
		case err == nil:
			s.base = append(s.base, x)
		case ctx.Err() == nil && ReasonOf(err) == Corrupt: // somebody has forged it: it is whole
			s.saved.Problems = append(s.saved.Problems, err)
			s.plan.damaged(l)
		default:
			return err
		}
	}
	root, err := openKind(work.Merged(), s.kind.Name())
	if errors.Is(err, fs.ErrNotExist) {
		root, err = nil, nil // the job removed it, or put something else in its place, which is counted as a stray
	}
	if err != nil {
		return err
	}
	harvest := kind.Harvest{}
	if root != nil {
		defer root.Close()
		harvest, err = s.kind.Harvest(ctx, kind.Input{
			Root: root, Changed: below(s.kind.Name(), changed), Sums: s.plan.Request.Sums,
			Known: itemsOf(s.base), MaxSize: s.plan.Request.MaxSizes[s.kind.Name()],
		})
		if err != nil {
			return err
		}
	}
	s.count(harvest)
	if s.plan.Request.Mode == NoSave {
		return nil
	}
	began := time.Now()
	defer func() { s.saved.Write += time.Since(began).Seconds() }()
	return s.publish(ctx, root, harvest.Items)
}

// strays counts what a job left in its caches that is neither a file nor a folder, and files outside of all kinds.
func strays(changes layer.Changes, kinds []string) map[string]int {
	found := map[string]int{}
	if changes.Other > 0 {
		found[kind.RefusedType] = changes.Other
	}
	for _, name := range changes.Files {
		folder, _, inside := strings.Cut(name, "/")
		if !inside || !slices.Contains(kinds, folder) {
			found[kind.RefusedName]++
		}
	}
	return found
}

// below are the names in a folder.
func below(folder string, names []string) []string {
	var found []string
	for _, name := range names {
		if rest, ok := strings.CutPrefix(name, folder+"/"); ok {
			found = append(found, rest)
		}
	}
	return found
}

// publish writes what is new into a layer of its own and the entry that names it, one job of the pool after the other, so that jobs
// that end at the same time do not save the same things.
func (s *saving) publish(ctx context.Context, root *os.Root, items []kind.Item) error {
	c, r := s.cache, s.plan.Request
	p := r.pool(r.Tier, s.kind.Name())
	unlock, err := flock.Lock(ctx, c.poolLock(p), flock.Exclusive)
	if err != nil {
		return err
	}
	defer unlock()
	entries, problems, err := c.journal(ctx, p)
	if err != nil && (c.spool == nil || ctx.Err() != nil) {
		return err
	}
	s.saved.Problems = append(s.saved.Problems, problems...)
	if err == nil { // else it is saved all the same, and sent when the store is there again
		entries, err = s.disown(ctx, p, entries)
	}
	if err != nil {
		s.saved.Problems = append(s.saved.Problems, err)
	}
	items, err = s.withoutKnown(ctx, p, entries, items)
	if err != nil {
		return err
	}
	e := Entry{Created: time.Now(), Job: r.Job, Speaker: r.Speaker, Graphs: []string{graphKey(r.Graph)}, Cold: s.coldSeconds(), Used: s.bits(), Replaces: map[string]time.Time{}}
	if !slices.Contains(Kinds(), s.kind.Name()) {
		e.Speaker = ofDay(r.Speaker, e.Created)
		e.remember(entries)
	}
	if len(items) > 0 {
		if e.Layer, err = c.writeLayer(ctx, p, items, s.kind.Files(root, items)); err != nil {
			return err
		}
		s.saved.Items += len(items)
		s.saved.Bytes += e.Layer.Size
	}
	if r.Mode == FromNewest {
		for _, old := range entries {
			if old.Layer != nil && old.Created.Before(s.plan.Created) {
				e.Replaces[old.Layer.Digest] = e.Created
			}
		}
	}
	if !e.worthWriting(entries, r.Graph) {
		return nil
	}
	if err := c.write(ctx, p, e); err != nil {
		return err
	}
	crash.At(crash.EntryWritten)
	return c.noteGrown(p)
}

// othersLimit is for fetching what others have saved meanwhile.
const othersLimit = 10 * time.Second

// withoutKnown leaves out what other jobs have saved since the restore. A layer of theirs that cannot be had, or that would take long to
// fetch, only means that some things are kept twice.
func (s *saving) withoutKnown(ctx context.Context, p pool, entries []Entry, items []kind.Item) ([]kind.Item, error) {
	if len(items) == 0 || s.plan.Request.Mode == FromNewest {
		return items, nil
	}
	had := map[string]bool{}
	for _, l := range s.base {
		had[l.Digest] = true
	}
	c := s.cache
	layers, _ := living(entries, s.plan.Request.Graph, maxDepth)
	others := newPlan(s.plan.Request)
	others.add(p, slices.DeleteFunc(layers, func(l LayerRef) bool { return had[l.Digest] || !c.atHand(l) }))
	bounded, cancel := context.WithTimeoutCause(ctx, othersLimit, context.DeadlineExceeded)
	defer cancel()
	failed, err := c.fetch(bounded, others)
	switch {
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case err != nil:
		s.saved.Problems = append(s.saved.Problems, err)
		return items, nil
	}
	s.saved.Problems = append(s.saved.Problems, failed...)
	known := map[string]kind.Item{}
	for _, l := range others.Layers {
		x, err := c.index(ctx, l)
		if err != nil {
			s.saved.Problems = append(s.saved.Problems, err)
			continue
		}
		maps.Copy(known, itemsOf([]indexed{x}))
	}
	var rest []kind.Item
	for _, item := range items {
		if other, ok := known[item.ID]; !ok || other.Class != item.Class || other.Detail != item.Detail {
			rest = append(rest, item)
		}
	}
	return rest, nil
}

// writeLayer makes a layer of items and stores it.
func (c *Cache) writeLayer(ctx context.Context, p pool, items []kind.Item, files iter.Seq2[layer.File, error]) (*LayerRef, error) {
	info, err := c.host.Write(ctx, kind.MarshalIndex(items), func(yield func(layer.File, error) bool) {
		for f, err := range files {
			f.Name = p.kind.Name() + "/" + f.Name
			if !yield(f, err) {
				return
			}
		}
	})
	if err != nil {
		return nil, err
	}
	if err := c.store.PutFile(ctx, p.layerKey(info.Digest), c.host.File(info.Digest)); err != nil {
		return nil, storeError(ctx, err)
	}
	crash.At(crash.LayerStored)
	ref := &LayerRef{Digest: info.Digest, Size: info.Size, Items: len(items)}
	for _, item := range items {
		if !p.kind.Counts(item.Class) {
			continue
		}
		ref.Counted++
		if portable(p.kind.Name()) {
			ref.Modules = append(ref.Modules, item.ID)
		}
	}
	return ref, nil
}

// evidenceEvery is how often a job that adds nothing tells what it used. It bounds the entries that jobs with nothing to say
// write.
const evidenceEvery = time.Hour

// worthWriting says whether an entry tells anything that the journal does not: a layer, a replacement, a graph that has no entry yet, or what
// its speaker uses of late.
func (e Entry) worthWriting(entries []Entry, graph string) bool {
	if e.Layer != nil || len(e.Replaces) > 0 {
		return true
	}
	known, said := false, false
	for _, old := range entries {
		known = known || old.isFor(graph)
		said = said || old.Speaker == e.Speaker && old.Used != nil && e.Created.Sub(old.Created) < evidenceEvery
	}
	return !known || e.Used != nil && !said
}

// poolLock is the lock of those who write to a pool.
func (c *Cache) poolLock(p pool) string {
	return filepath.Join(c.Dir, "locks", p.name())
}
