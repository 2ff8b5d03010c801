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

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/kind"
	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/layer"
)

// Numbers of compaction.
const (
	mergeAt       = 8                   // layers of a pool from which on small ones are merged
	tooDeep       = 24                  // layers of a pool from which on they are merged whatever it costs
	foreground    = 64 << 20            // bytes that may be rewritten while a job waits
	tidyAt        = 64                  // entries of a pool from which on superfluous ones go even without a merge
	wordsKept     = 3                   // of each speaker, the newest ones: what none of them used is dead
	wordsFor      = 30 * 24 * time.Hour // how long a word counts
	speakersKept  = 50                  // whose word is carried, those that spoke last
	graphsOfEntry = 50                  // that a compaction's entry stands for
	doomedFor     = 24 * time.Hour      // before a layer that nobody names is deleted
)

// sized is a layer in the eyes of mergeable.
type sized struct {
	digest string
	size   int64 // of the layer file
	dead   bool  // more than half of what is in it is not used any more
}

// mergeable picks the layers that one new layer shall replace: the small ones, as long as each is no bigger than those before it
// together, so that every byte is rewritten a logarithmic number of times; and those that are mostly dead. None is picked if that would
// rewrite more than limit, unless the pool is too deep.
func mergeable(layers []sized, limit int64) []string {
	var picked []string
	var size int64
	byTurn := slices.SortedFunc(slices.Values(layers), func(a, b sized) int { return int(min(max(a.size-b.size, -1), 1)) })
	if len(layers) >= mergeAt {
		for _, l := range byTurn {
			if len(picked) >= 2 && l.size > size {
				break
			}
			picked = append(picked, l.digest)
			size += l.size
		}
	}
	for _, l := range byTurn {
		if l.dead && !slices.Contains(picked, l.digest) {
			picked = append(picked, l.digest)
			size += l.size
		}
	}
	if size > limit && len(layers) < tooDeep {
		return nil
	}
	return picked
}

// compact keeps a pool small, under its lock: it merges layers and forgets what has not been used of them, as far as limit bytes
// allow. Whoever is mounted over the old layers stays so.
func (c *Cache) compact(ctx context.Context, p pool, entries []Entry, limit int64) error {
	refs, _ := living(entries, "", maxEntries)
	layers := map[string]indexed{}
	var sizes []sized
	for _, ref := range refs {
		if !c.atHand(ref) {
			sizes = append(sizes, sized{ref.Digest, ref.Size, false}) // whoever has it here can tell
			continue
		}
		l, err := c.parted(ctx, p, entries, ref)
		if err != nil {
			return fmt.Errorf("compact: %w", err)
		}
		layers[ref.Digest] = l
		sizes = append(sizes, sized{ref.Digest, ref.Size, bytesOf(l.items) < bytesOf(l.all)/2})
	}
	picked := mergeable(sizes, limit)
	if len(picked) == 0 || len(picked) == 1 && !sizes[slices.IndexFunc(sizes, func(s sized) bool { return s.digest == picked[0] })].dead {
		return c.tidy(ctx, entries)
	}
	var merged []indexed
	for _, ref := range refs {
		if !slices.Contains(picked, ref.Digest) {
			continue
		}
		l, ok := layers[ref.Digest]
		if !ok {
			var err error
			if l, err = c.parted(ctx, p, entries, ref); err != nil {
				return fmt.Errorf("compact: %w", err)
			}
		}
		merged = append(merged, l)
	}
	return c.merge(ctx, p, entries, merged)
}

// atHand says whether a layer is on this host, or so small that it may as well be fetched.
func (c *Cache) atHand(ref LayerRef) bool {
	_, err := os.Stat(c.host.File(ref.Digest))
	return err == nil || ref.Size <= foreground
}

// parted is a layer, brought here if need be, with what of it is alive.
func (c *Cache) parted(ctx context.Context, p pool, entries []Entry, ref LayerRef) (indexed, error) {
	err := c.host.Adopt(ctx, ref.Digest, func(path string, have func(int64)) error {
		return c.store.GetFile(ctx, p.layerKey(ref.Digest), path, have)
	})
	if err != nil {
		return indexed{}, &lost{ref.Digest, fetchError(ctx, err)}
	}
	l, err := c.index(ctx, held{LayerRef: ref, Kind: p.kind.Name()})
	if err != nil {
		return indexed{}, err
	}
	l.items, l.all = split(l.items, aliveBits(entries, ref.Digest, len(l.items)))
	return l, nil
}

// wordsOn are the newest words of each speaker on a layer of n items. Who added it is taken to use all of it, until it has said otherwise
// often enough: nobody has spoken of what is new.
func wordsOn(entries []Entry, digest string, n int) map[string][]Word {
	words := map[string][]Word{}
	say := func(speaker string, w Word) {
		if len(words[speaker]) < wordsKept && len(entries) > 0 && entries[0].Created.Sub(w.At) < wordsFor {
			words[speaker] = append(words[speaker], w)
		}
	}
	for _, e := range entries {
		if used := e.Used[digest]; used != nil {
			say(e.Speaker, Word{e.Created, used})
		}
		switch {
		case e.Layer == nil || e.Layer.Digest != digest:
		case e.Carried != nil:
			for speaker, w := range e.Carried {
				say(speaker, w)
			}
		default:
			say(e.Speaker, Word{e.Created, allBits(n)})
		}
	}
	return words
}

// united is one word for all of a speaker's: of the newest one's time.
func united(words []Word) Word {
	all := words[0]
	for _, w := range words[1:] {
		all.Used = all.Used.with(w.Used)
	}
	return all
}

// aliveBits is what any speaker uses of a layer of n items.
func aliveBits(entries []Entry, digest string, n int) Bits {
	var alive Bits
	for _, words := range wordsOn(entries, digest, n) {
		alive = alive.with(united(words).Used)
	}
	return alive
}

// carry is what a compaction passes on: what each speaker has said of the items of its layer.
func carry(entries []Entry, layers []indexed, items []kind.Item) map[string]Word {
	place := make(map[string]int, len(items))
	for i, item := range items {
		place[item.ID] = i
	}
	carried := map[string]Word{}
	for _, l := range layers {
		for speaker, words := range wordsOn(entries, l.Digest, len(l.all)) {
			word := united(words)
			mine, ok := carried[speaker]
			if !ok {
				mine.Used = makeBits(len(items))
			}
			if word.At.After(mine.At) {
				mine.At = word.At
			}
			for i, item := range l.all {
				if at, ok := place[item.ID]; ok && word.Used.has(i) {
					mine.Used.set(at)
				}
			}
			carried[speaker] = mine
		}
	}
	speakers := slices.SortedFunc(maps.Keys(carried), func(a, b string) int { return carried[b].At.Compare(carried[a].At) })
	for _, speaker := range speakers[min(len(speakers), speakersKept):] {
		delete(carried, speaker)
	}
	return carried
}

// split gives the living items and all of them.
func split(items []kind.Item, alive Bits) (living, all []kind.Item) {
	for i, item := range items {
		if alive.has(i) {
			living = append(living, item)
		}
	}
	return living, items
}

func bytesOf(items []kind.Item) int64 {
	var sum int64
	for _, item := range items {
		sum += item.Size
	}
	return sum
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
	keys := superfluous(append([]Entry{e}, entries...))
	for _, digest := range doomed {
		keys = append(keys, p.layerKey(digest))
	}
	return c.forget(ctx, keys)
}

// tidy removes entries that tell nothing any more where nothing is merged. What they have replaced would be forgotten with them, so those
// that have replaced anything wait for a merge.
func (c *Cache) tidy(ctx context.Context, entries []Entry) error {
	if len(entries) < tidyAt {
		return nil
	}
	keys := superfluous(entries)
	for _, e := range entries {
		if len(e.Replaces) > 0 {
			keys = slices.DeleteFunc(keys, func(key string) bool { return key == e.Key })
		}
	}
	return c.forget(ctx, keys)
}

func (c *Cache) forget(ctx context.Context, keys []string) error {
	for _, key := range keys {
		if err := c.store.Delete(ctx, key); err != nil {
			return storeError(ctx, err)
		}
	}
	return nil
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
	root, err := os.OpenRoot(filepath.Join(l.dir, layer.Tree, k.Name()))
	if err != nil {
		return yield(layer.File{}, err)
	}
	defer root.Close()
	for f, err := range k.Files(root, items) {
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
// word on what is used does not count, and their graph has another entry.
func superfluous(entries []Entry) (keys []string) {
	alive, _ := living(entries, "", maxEntries)
	counts := map[string]bool{}
	spoken := map[string]int{}
	for _, e := range entries {
		if e.Used != nil && spoken[e.Speaker] < wordsKept && entries[0].Created.Sub(e.Created) < wordsFor {
			spoken[e.Speaker]++
			counts[e.Key] = true
		}
	}
	known := map[string]bool{}
	for i, e := range entries {
		news := false
		for _, g := range e.Graphs {
			news = news || !known[g]
			known[g] = true
		}
		holds := e.Layer != nil && slices.ContainsFunc(alive, func(r LayerRef) bool { return r.Digest == e.Layer.Digest })
		if i > 0 && !holds && !counts[e.Key] && !news {
			keys = append(keys, e.Key)
		}
	}
	return keys
}
