package cache

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/store"
)

// PruneOptions say what goes from the store.
type PruneOptions struct {
	Project   string        // only this one's; empty is all
	OlderThan time.Duration // pools that no job has used for so long; 0 is none. Who uses a pool says so at most once an hour
	MaxSize   int64         // bytes that the layers may take, the tiers that were used last first; 0 is no limit
	DryRun    bool          // only tell
}

// Pruned is what went, or would have.
type Pruned struct {
	Entries int   // of the journals
	Layers  int   // that nothing had named for a day
	Bytes   int64 // of these layers
	Waiting int   // layers that nothing names any more, and that go a day after this was noticed first
}

// PruneStore removes what is old from the store, and layers that no entry names: what crashed uploads left, and what entries named that
// went before. Entries go first. A layer goes a day later, by a later call, since another host may just be reading it, or writing the
// entry that names it. tell is called with each thing that goes.
func (c *Cache) PruneStore(ctx context.Context, o PruneOptions, tell func(what string)) (Pruned, error) {
	prune := &pruning{cache: c, o: o, tell: tell, now: time.Now()}
	objects, err := c.Store.List(ctx, keyVersion+"/", 0)
	if err != nil {
		return Pruned{}, storeError(ctx, err)
	}
	tiers := prune.sort(objects)
	prune.pick(tiers)
	var problems []error
	for _, t := range tiers {
		if err := prune.tier(ctx, t); err != nil {
			problems = append(problems, err)
		}
		if ctx.Err() != nil {
			break
		}
	}
	return prune.done, errors.Join(problems...)
}

type pruning struct {
	cache *Cache
	o     PruneOptions
	tell  func(string)
	now   time.Time
	done  Pruned
}

// storedTier is what the store has of one tier.
type storedTier struct {
	prefix string
	pools  map[string]*storedPool // by their prefix
	layers map[string]store.Object
	dead   map[string]store.Object // notes of layers that nothing named, by digest
	used   time.Time
	size   int64
}

type storedPool struct {
	entries []string
	used    time.Time // when its newest entry was written
	goes    bool
}

// deadNote is a note of the time at which nothing named a layer. Its key says it all.
func deadNote(tier, digest string, now time.Time) string {
	return fmt.Sprintf("%sdead/%d-%s.json", tier, now.Unix(), digest)
}

// noteTime is the time in such a key.
func noteTime(key string) time.Time {
	seconds, _, _ := strings.Cut(path.Base(key), "-")
	since, err := strconv.ParseInt(seconds, 10, 64)
	if err != nil {
		return time.Now() // it is none of ours
	}
	return time.Unix(since, 0)
}

// sort makes tiers of keys. What is none of ours is left alone.
func (p *pruning) sort(objects []store.Object) []*storedTier {
	byPrefix := map[string]*storedTier{}
	var all []*storedTier
	for _, o := range objects {
		parts := strings.SplitN(o.Key, "/", 5)
		if len(parts) < 5 || p.o.Project != "" && parts[2] != p.o.Project {
			continue
		}
		prefix := strings.Join(parts[:4], "/") + "/"
		t := byPrefix[prefix]
		if t == nil {
			t = &storedTier{prefix: prefix, pools: map[string]*storedPool{}, layers: map[string]store.Object{}, dead: map[string]store.Object{}}
			byPrefix[prefix] = t
			all = append(all, t)
		}
		t.add(o, parts[4])
	}
	return all
}

func (t *storedTier) add(o store.Object, rest string) {
	name := path.Base(rest)
	switch folder := path.Dir(rest); {
	case folder == "layers":
		t.layers[strings.TrimSuffix(name, ".sqfs")] = o
		t.size += o.Size
	case folder == "dead":
		_, digest, _ := strings.Cut(strings.TrimSuffix(name, ".json"), "-")
		t.dead[digest] = o
	case entryName.MatchString(name):
		prefix := t.prefix + folder + "/"
		if t.pools[prefix] == nil {
			t.pools[prefix] = &storedPool{}
		}
		pool := t.pools[prefix]
		pool.entries = append(pool.entries, o.Key)
		if at := entryTime(name); at.After(pool.used) {
			pool.used = at
		}
		if pool.used.After(t.used) {
			t.used = pool.used
		}
	}
}

// entryTime is when an entry was written, see entryKey.
func entryTime(name string) time.Time {
	inverted, err := strconv.ParseInt(name[:19], 10, 64)
	if err != nil {
		return time.Time{}
	}
	return time.Unix(0, math.MaxInt64-inverted)
}

// pick decides which pools go: those that are old, and all of the tiers beyond the limit.
func (p *pruning) pick(tiers []*storedTier) {
	byUse := slices.SortedFunc(slices.Values(tiers), func(a, b *storedTier) int { return b.used.Compare(a.used) })
	var total int64
	for _, t := range byUse {
		total += t.size
		beyond := p.o.MaxSize > 0 && total > p.o.MaxSize
		if beyond {
			total -= t.size // a smaller one may still fit
		}
		for _, pool := range t.pools {
			pool.goes = beyond || p.o.OlderThan > 0 && p.now.Sub(pool.used) > p.o.OlderThan
		}
	}
}

func (p *pruning) tier(ctx context.Context, t *storedTier) error {
	var kept []string
	for prefix, pool := range t.pools {
		if !pool.goes {
			kept = append(kept, pool.entries...)
			continue
		}
		p.tell(fmt.Sprintf("%s: %d entries, last used %s", prefix, len(pool.entries), pool.used.Format(time.DateOnly)))
		p.done.Entries += len(pool.entries)
		if err := p.remove(ctx, pool.entries...); err != nil {
			return err
		}
	}
	named, err := p.cache.named(ctx, kept)
	if err != nil {
		return fmt.Errorf("%s: its layers stay, since not all entries can be read: %w", t.prefix, err)
	}
	for digest, layer := range t.layers {
		if err := p.layer(ctx, t, digest, layer, named[digest]); err != nil {
			return err
		}
	}
	return nil
}

// layer removes a layer that nothing has named for a day, or notes that nothing does.
func (p *pruning) layer(ctx context.Context, t *storedTier, digest string, layer store.Object, named bool) error {
	note, noted := t.dead[digest]
	switch {
	case named && noted:
		return p.remove(ctx, note.Key)
	case named:
		return nil
	case !noted:
		p.done.Waiting++
		if p.o.DryRun {
			return nil
		}
		return storeErrorOrNil(ctx, p.cache.Store.Put(ctx, deadNote(t.prefix, digest, p.now), nil))
	}
	if p.now.Sub(noteTime(note.Key)) < doomedFor {
		p.done.Waiting++
		return nil
	}
	p.tell(fmt.Sprintf("%s: %d bytes", layer.Key, layer.Size))
	p.done.Layers++
	p.done.Bytes += layer.Size
	return p.remove(ctx, layer.Key, note.Key)
}

func (p *pruning) remove(ctx context.Context, keys ...string) error {
	if p.o.DryRun {
		return nil
	}
	direct := *p.cache
	direct.store = p.cache.Store
	return direct.forget(ctx, keys)
}

// named are the layers that entries name, alive or replaced. Entries that no job believes name nothing.
func (c *Cache) named(ctx context.Context, keys []string) (map[string]bool, error) {
	all := make([]Entry, len(keys))
	var group errgroup.Group
	group.SetLimit(readAtOnce)
	for i, key := range keys {
		group.Go(func() (err error) {
			all[i], err = c.entry(ctx, key)
			if reason := ReasonOf(err); errors.Is(err, fs.ErrNotExist) || reason == Corrupt || reason == Unsigned {
				return nil
			}
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	named := map[string]bool{}
	for _, e := range all {
		if e.Layer != nil {
			named[e.Layer.Digest] = true
		}
		for digest := range e.Replaces {
			named[digest] = true
		}
	}
	return named, nil
}

func storeErrorOrNil(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	return storeError(ctx, err)
}
