package cache

import (
	"context"
	"fmt"
	"iter"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/crash"
	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/kind"
	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/layer"
	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/store"
)

// Numbers of compaction.
const (
	foreground    = 64 << 20       // bytes that may be rewritten while a job waits
	steps         = 8              // of compaction, at the most, before others have their turn
	tidyAt        = 64             // entries of a pool from which on superfluous ones go even without a merge
	graphsOfEntry = 50             // that a compaction's entry stands for
	graphsKept    = 100            // of a pool, the newest: an entry that only says that there was an older one is not worth its request
	doomedFor     = 24 * time.Hour // before a layer that nobody names is deleted
)

// compact makes one step towards a small pool: one new layer takes the place of some, without what is not used any more, as far as limit
// bytes allow. It says whether it did. Whoever is mounted over the old layers stays so.
func (c *Cache) compact(ctx context.Context, p pool, entries []Entry, limit int64) (did bool, err error) {
	refs, _ := living(entries, "", maxEntries)
	layers := make([]indexed, len(refs)) // the topmost first
	for i, ref := range refs {
		layers[i] = indexed{held: held{LayerRef: ref, Kind: p.kind.Name()}}
	}
	if err := c.bring(ctx, p, layers, func(l indexed) bool { return c.atHand(l.LayerRef) }); err != nil {
		return false, err
	}
	layers = slices.DeleteFunc(layers, indexed.foreign)
	picked := rewritable(part(entries, layers), limit)
	if len(picked) == 0 {
		return false, nil
	}
	replaced := func(l indexed) bool { return slices.Contains(picked, l.Digest) }
	if err := c.bring(ctx, p, layers, replaced); err != nil {
		return false, err
	}
	if slices.ContainsFunc(layers, indexed.foreign) {
		return false, nil // which nobody had looked into; now it is on this host, and the next compaction leaves it out
	}
	part(entries, layers)
	layers = slices.DeleteFunc(layers, func(l indexed) bool { return !replaced(l) })
	return true, c.merge(ctx, p, entries, layers)
}

// foreign says that a later release has put something into a layer: to rewrite it would lose that.
func (l indexed) foreign() bool { return slices.ContainsFunc(l.all, kind.Item.Foreign) }

// bring reads what is in those layers that are wanted, and has them fetched if need be.
func (c *Cache) bring(ctx context.Context, p pool, layers []indexed, wanted func(indexed) bool) error {
	for i := range layers {
		l := &layers[i]
		if l.dir != "" || !wanted(*l) {
			continue
		}
		err := c.host.Adopt(ctx, l.Digest, func(path string, have func(int64)) error {
			return c.store.GetFile(ctx, p.layerKey(l.Digest), path, have)
		})
		if err != nil {
			return fmt.Errorf("compact: %w", &lost{l.Digest, fetchError(ctx, err)})
		}
		if *l, err = c.index(ctx, l.held); err != nil {
			return fmt.Errorf("compact: %w", err)
		}
		l.all = l.items
	}
	return nil
}

// atHand says whether a layer is on this host, or so small that it may as well be fetched.
func (c *Cache) atHand(ref LayerRef) bool {
	_, err := os.Stat(c.host.File(ref.Digest))
	return err == nil || ref.Size <= foreground
}

// merge writes one layer with what the given ones hold, the topmost first, and the entry that puts it into their place.
func (c *Cache) merge(ctx context.Context, p pool, entries []Entry, layers []indexed) error {
	items := slices.SortedFunc(maps.Values(itemsOf(layers)), func(a, b kind.Item) int { return strings.Compare(a.ID, b.ID) })
	now := time.Now()
	e := Entry{Created: now, Job: "compaction", Cold: coldest(entries), Replaces: map[string]time.Time{}}
	for _, l := range layers {
		e.Replaces[l.Digest] = now
	}
	if len(items) > 0 {
		ref, err := c.writeLayer(ctx, p, items, mergedFiles(p.kind, layers))
		if err != nil {
			return fmt.Errorf("compact: %w", err)
		}
		e.Layer, e.Carried = ref, carry(entries, layers, items)
		delete(e.Replaces, ref.Digest) // the same as one of them: nothing was merged into it
	}
	e.Graphs = graphsOf(entries, e.Replaces)
	doomed := c.carryDoomed(&e, entries, now)
	if err := c.write(ctx, p, e); err != nil {
		return err
	}
	crash.At(crash.MergeWritten)
	if err := c.forget(ctx, superfluous(append([]Entry{e}, entries...))); err != nil {
		return err
	}
	var keys []string
	for _, digest := range doomed {
		keys = append(keys, p.layerKey(digest))
	}
	return c.forget(ctx, keys)
}

// tidy removes entries that tell nothing any more where nothing is merged. What they have replaced would be forgotten with them, so those
// that have replaced anything wait for a merge. It says whether any went: others may come into view then.
func (c *Cache) tidy(ctx context.Context, entries []Entry) (did bool, err error) {
	if len(entries) < tidyAt {
		return false, nil
	}
	keys := superfluous(entries)
	for _, e := range entries {
		if len(e.Replaces) > 0 {
			keys = slices.DeleteFunc(keys, func(key string) bool { return key == e.Key })
		}
	}
	return len(keys) > 0, c.forget(ctx, keys)
}

// cut removes entries that come after those that are read of a journal: no job sees them, and they would only become more. Their layers are
// left for prune.
func (c *Cache) cut(ctx context.Context, p pool, unseen []store.Object) error {
	var keys []string
	for _, o := range unseen {
		if p.isEntry(o.Key) {
			keys = append(keys, o.Key)
		}
	}
	return c.forget(ctx, keys)
}

// forget deletes objects, in no order.
func (c *Cache) forget(ctx context.Context, keys []string) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(readAtOnce)
	for _, key := range keys {
		group.Go(func() error {
			if err := c.store.Delete(ctx, key); err != nil {
				return storeError(ctx, err)
			}
			crash.At(crash.ObjectForgotten)
			return nil
		})
	}
	return group.Wait()
}

// mergedFiles are the files of the layers' items; of a file or an item that several hold, the upper one's.
func mergedFiles(k kind.Kind, layers []indexed) iter.Seq2[layer.File, error] {
	return func(yield func(layer.File, error) bool) {
		items, names := map[string]bool{}, map[string]bool{}
		for _, l := range layers {
			mine := slices.DeleteFunc(slices.Clone(l.items), func(i kind.Item) bool { return items[i.ID] })
			for _, i := range mine {
				items[i.ID] = true
			}
			more := l.files(k, mine, func(f layer.File, err error) bool {
				if err == nil && names[f.Name] {
					return true
				}
				names[f.Name] = true
				return yield(f, err)
			})
			if !more {
				return
			}
		}
	}
}

// files yields the files of some of a layer's items; it is false when no more are wanted. They can be opened until it returns.
func (l indexed) files(k kind.Kind, items []kind.Item, yield func(layer.File, error) bool) (more bool) {
	root, err := openKind(filepath.Join(l.dir, layer.Tree), k.Name())
	if err != nil {
		return yield(layer.File{}, err)
	}
	defer root.Close()
	for f, err := range k.Files(root, items) {
		if err != nil {
			err = l.blame(err)
		}
		if !yield(f, err) {
			return false
		}
	}
	return true
}

// graphsOf are the graphs of the entries whose layers are replaced.
func graphsOf(entries []Entry, replaces map[string]time.Time) []string {
	var graphs []string
	for _, e := range entries {
		if e.Layer == nil {
			continue
		}
		if _, ok := replaces[e.Layer.Digest]; !ok {
			continue
		}
		for _, g := range e.Graphs {
			if !slices.Contains(graphs, g) && len(graphs) < graphsOfEntry {
				graphs = append(graphs, g)
			}
		}
	}
	return graphs
}

// carryDoomed moves what older entries have replaced to the new entry, since these entries may go now, and gives what has waited long enough to be
// deleted. What is alive, having been saved again, is neither.
func (c *Cache) carryDoomed(e *Entry, entries []Entry, now time.Time) (due []string) {
	alive, _ := living(append([]Entry{*e}, entries...), "", maxEntries)
	for _, old := range entries {
		for digest, since := range old.Replaces {
			switch {
			case slices.ContainsFunc(alive, func(r LayerRef) bool { return r.Digest == digest }):
			case now.Sub(since) > doomedFor:
				due = append(due, digest)
			default:
				e.Replaces[digest] = since
			}
		}
	}
	return due
}

// superfluous are the keys of entries that tell nothing any more: their layer is replaced, what they replaced is carried on, their
// word on what is used does not count, and their graph has another entry, or is none of the newest.
func superfluous(entries []Entry) (keys []string) {
	alive, _ := living(entries, "", maxEntries)
	counts := map[string]bool{}
	spoken := map[string]int{}
	for _, e := range entries {
		if e.Used != nil && spoken[e.Speaker] < wordsKept && entries[0].Created.Sub(e.Created) < countsFor(e.Speaker) {
			spoken[e.Speaker]++
			counts[e.Key] = true
		}
	}
	known := map[string]bool{}
	for i, e := range entries {
		news := false
		for _, g := range e.Graphs {
			news = news || !known[g] && len(known) < graphsKept
			known[g] = true
		}
		holds := e.Layer != nil && slices.ContainsFunc(alive, func(r LayerRef) bool { return r.Digest == e.Layer.Digest })
		if i > 0 && !holds && !counts[e.Key] && !news {
			keys = append(keys, e.Key)
		}
	}
	return keys
}
