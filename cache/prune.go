package cache

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"sync"
	"time"

	"github.com/dustin/go-humanize"
	"golang.org/x/sync/errgroup"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/crash"
	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/store"
)

// PruneOptions say what goes from the store: what any of them says, each by itself.
type PruneOptions struct {
	Project   string          // only this one's: its number, or <instance>/<number>; empty is all
	OlderThan time.Duration   // pools that no job has used for so long; 0 is none. Who uses a pool says so at most once an hour
	MaxSize   int64           // bytes that the layers may take, the tiers that were used last first; 0 is no limit
	Tiers     map[string]bool // the tiers of the project that stay; nil is all
	DryRun    bool            // only tell
}

// Pruned is what went, or would have.
type Pruned struct {
	Entries int   // of the store's journals
	Layers  int   // in the store those that nothing had named for a day
	Bytes   int64 // of these layers
	Waiting int   // layers that nothing in the store names any more, and that go a day after this was noticed first
	InUse   int   // layers of this host that would have gone if no job used them
}

// PruneStore removes what is old from the store, and layers that no entry names: what crashed uploads left, and what entries named that
// went before. Entries go first. A layer goes a day later, by a later call, since another host may just be reading it, or writing the
// entry that names it. What fails for one object is told in the end and does not stop the rest.
//
// tell is called with each thing that has gone, progress with how many objects of how many a step is through with; the calls come
// one at a time.
func (c *Cache) PruneStore(ctx context.Context, o PruneOptions, tell func(what string), progress func(step string, done, all int)) (Pruned, error) {
	direct := *c
	direct.store = c.Store // what a spool knows, and would keep of what is read, says nothing here
	p := &pruning{cache: &direct, o: o, tell: tell, progress: progress, now: time.Now()}
	tiers, err := p.tiers(ctx)
	if err != nil {
		return Pruned{}, err
	}
	p.pick(tiers)
	p.removeEntries(ctx, tiers)
	crash.At(crash.EntriesPruned)
	p.readEntries(ctx, tiers)
	p.removeLayers(ctx, tiers)
	if ctx.Err() != nil {
		p.problems = append(p.problems, fmt.Errorf("not everything was looked at; prune again to go on: %w", context.Cause(ctx)))
	}
	if p.untold > 0 {
		p.problems = append(p.problems, fmt.Errorf("and %d more such errors", p.untold))
	}
	return p.done, errors.Join(p.problems...)
}

type pruning struct {
	cache    *Cache
	o        PruneOptions
	tell     func(string)
	progress func(string, int, int)
	now      time.Time
	done     Pruned
	problems []error
	untold   int // how many more there were
}

// problemsTold is how many errors of single objects are told: when the store refuses one, it will refuse thousands.
const problemsTold = 10

// each does something with every key, side by side, and gives the keys that it failed for, or had no time for.
func (p *pruning) each(ctx context.Context, step string, keys []string, do func(ctx context.Context, key string) error) map[string]bool {
	var mu sync.Mutex
	failed := map[string]bool{}
	done := 0
	var group errgroup.Group
	group.SetLimit(readAtOnce)
	for _, key := range keys {
		group.Go(func() error {
			err := ctx.Err()
			if err == nil {
				err = do(ctx, key)
			}
			mu.Lock()
			defer mu.Unlock()
			done++
			p.progress(step, done, len(keys))
			if err != nil {
				failed[key] = true
				p.note(ctx, err)
			}
			return nil
		})
	}
	_ = group.Wait()
	return failed
}

// note keeps the error of one object. That the time is over is told once, in the end.
func (p *pruning) note(ctx context.Context, err error) {
	switch {
	case ctx.Err() != nil:
	case len(p.problems) < problemsTold:
		p.problems = append(p.problems, err)
	default:
		p.untold++
	}
}

func (p *pruning) remove(ctx context.Context, step string, keys []string) (failed map[string]bool) {
	if p.o.DryRun {
		return nil
	}
	return p.each(ctx, step, keys, func(ctx context.Context, key string) error { return storeError(ctx, p.cache.store.Delete(ctx, key)) })
}

// removeEntries removes the pools that go. An entry that cannot be removed stays in its pool, and what it names in the store.
func (p *pruning) removeEntries(ctx context.Context, tiers []*storedTier) {
	var keys []string
	for pool := range poolsOf(tiers) {
		if pool.goes {
			keys = append(keys, pool.entries...)
		}
	}
	failed := p.remove(ctx, "removing entries", keys)
	for pool := range poolsOf(tiers) {
		if !pool.goes {
			continue
		}
		before := len(pool.entries)
		pool.entries = slices.DeleteFunc(pool.entries, func(key string) bool { return !failed[key] })
		if gone := before - len(pool.entries); gone > 0 {
			p.tell(fmt.Sprintf("%s: %d entries, last used %s", pool.prefix, gone, pool.used.Format(time.DateOnly)))
			p.done.Entries += gone
		}
	}
}

// readEntries notes which layers the entries that stay name, alive or replaced. Entries that no job believes name nothing. An entry that
// cannot be read may name any layer of its tier.
func (p *pruning) readEntries(ctx context.Context, tiers []*storedTier) {
	var keys []string
	tierOf := map[string]*storedTier{}
	for _, t := range tiers {
		for _, pool := range t.pools {
			for _, key := range pool.entries {
				if len(t.layers) > 0 {
					keys = append(keys, key)
					tierOf[key] = t
				}
			}
		}
	}
	var mu sync.Mutex
	failed := p.each(ctx, "reading entries", keys, func(ctx context.Context, key string) error {
		e, err := p.cache.entry(ctx, key)
		if reason := ReasonOf(err); errors.Is(err, fs.ErrNotExist) || reason == Corrupt || reason == Unsigned {
			return nil
		}
		if err != nil {
			return fmt.Errorf("the layers of %s stay, since not all entries can be read: %w", tierOf[key].prefix, err)
		}
		mu.Lock()
		defer mu.Unlock()
		if e.Layer != nil {
			tierOf[key].named[e.Layer.Digest] = true
		}
		for digest := range e.Replaces {
			tierOf[key].named[digest] = true
		}
		return nil
	})
	for key := range failed {
		tierOf[key].unread = true
	}
}

// removeLayers removes the layers that nothing has named for a day, and notes which others nothing names. A layer's note goes after it: without, the layer
// would have another day.
func (p *pruning) removeLayers(ctx context.Context, tiers []*storedTier) {
	var fresh, idle, due []string
	layers := map[string]store.Object{} // those that are due
	notes := map[string]string{}        // and their notes
	for _, t := range tiers {
		if t.unread {
			continue
		}
		for digest, note := range t.dead {
			if _, there := t.layers[digest]; !there || t.named[digest] {
				idle = append(idle, note.Key)
			}
		}
		for digest, layer := range t.layers {
			note, noted := t.dead[digest]
			switch {
			case t.named[digest]:
			case !noted:
				fresh = append(fresh, deadNote(t.prefix, digest, p.now))
			case p.now.Sub(noteTime(note.Key)) < doomedFor:
				p.done.Waiting++
			default:
				due = append(due, layer.Key)
				layers[layer.Key], notes[layer.Key] = layer, note.Key
			}
		}
	}
	p.done.Waiting += len(fresh)
	if !p.o.DryRun {
		p.each(ctx, "noting layers that nothing names", fresh, func(ctx context.Context, key string) error {
			return storeError(ctx, p.cache.store.Put(ctx, key, nil))
		})
	}
	crash.At(crash.DeadNoted)
	slices.Sort(due)
	failed := p.remove(ctx, "removing layers", due)
	for _, key := range due {
		if failed[key] {
			continue
		}
		p.tell(fmt.Sprintf("%s: %s", key, humanize.Bytes(uint64(layers[key].Size))))
		p.done.Layers++
		p.done.Bytes += layers[key].Size
		idle = append(idle, notes[key])
	}
	crash.At(crash.LayersPruned)
	p.remove(ctx, "removing notes", idle)
}
