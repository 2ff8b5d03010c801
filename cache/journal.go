package cache

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"time"

	"github.com/dustin/go-humanize"
	"golang.org/x/sync/errgroup"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/store"
)

// Entry is what a job tells those after it: which layer it added to the pool, and what it used of the layers that were there. It
// names no layers but its own and those that its own replaces: what it was mounted over is evidence of use, never a reason to
// mount that again.
type Entry struct {
	Key     string    `json:"-"`
	Created time.Time `json:"created"`
	Job     string    `json:"job"`
	Speaker string    `json:"speaker"` // whose word on what is used this is: jobs of one name and ref
	Graphs  []string  `json:"graphs"`  // graph hashes that it stands for, the newest first; a compaction's has several
	Layer   *LayerRef `json:"layer"`   // null if the job had nothing to add
	// Cold is how long a job that began with nothing took until it saved, in seconds; 0 if it had something.
	Cold float64 `json:"cold_seconds,omitempty"`
	// Used has a bit for each item of a layer, by the layer's digest, in the order of the layer's index: whether the job opened it.
	// A compaction has none, and neither has a job that failed or could not be watched.
	Used map[string]Bits `json:"used,omitempty"`
	// Carried is what speakers had said of the items of Layer before a compaction made it.
	Carried map[string]Word `json:"carried,omitempty"`
	// Replaces are the digests of layers of older entries that are no part of the pool any more, and since when. Their objects are
	// deleted a day later: another host may just be reading them.
	Replaces map[string]time.Time `json:"replaces,omitempty"`
}

// Word is what a speaker says of a layer: a bit for each item that it used.
type Word struct {
	At   time.Time `json:"at"`
	Used Bits      `json:"used"`
}

// LayerRef is a layer in the words of a journal.
type LayerRef struct {
	Digest  string   `json:"digest"`
	Size    int64    `json:"size"`              // bytes of the layer file
	Items   int      `json:"items"`             // in its index
	Counted int      `json:"counted"`           // of these, those that hits are counted by: modules, compiled packages
	Modules []string `json:"modules,omitempty"` // the modules that it holds, path@version
}

// Limits of what is read of a journal. Compaction keeps it far shorter.
const (
	maxEntries   = 500
	maxEntrySize = 8 << 20   // bytes
	maxRead      = 128 << 20 // bytes of all entries together: what is read is kept in memory
	readAtOnce   = 32
)

func parseEntry(key string, data []byte) (Entry, error) {
	e := Entry{Key: key}
	if err := json.Unmarshal(data, &e); err != nil {
		return Entry{}, Because(Corrupt, "entry %s: %w", key, err)
	}
	if err := e.check(); err != nil {
		return Entry{}, Because(Corrupt, "entry %s: %w", key, err)
	}
	return e, nil
}

// Limits of what an entry may say of its layer: memory is taken and sums are made by its word.
const (
	maxItems     = 4 << 20
	maxLayerSize = 1 << 40 // bytes
)

// check says what is wrong with an entry, which anybody may have written who can write to the store.
func (e *Entry) check() error {
	if len(e.Graphs) == 0 {
		return errors.New("it stands for no graph")
	}
	for _, graph := range e.Graphs {
		if graph != graphKey("") && !hash.MatchString(graph) {
			return fmt.Errorf("%.80q is no graph", graph)
		}
	}
	digests := slices.Collect(maps.Keys(e.Replaces))
	if l := e.Layer; l != nil {
		digests = append(digests, l.Digest)
		if l.Size <= 0 || l.Size > maxLayerSize || l.Items < 0 || l.Items > maxItems || l.Counted < 0 || l.Counted > l.Items {
			return fmt.Errorf("its layer has size %d, %d items, %d counted", l.Size, l.Items, l.Counted)
		}
	}
	for digest := range e.Used {
		digests = append(digests, digest)
	}
	for _, digest := range digests {
		if !hash.MatchString(digest) {
			return fmt.Errorf("%.80q is no digest", digest)
		}
	}
	return nil
}

// journal reads the entries of a pool, the newest first. Entries that cannot be read are left out and told in problems. An error
// means that the store could not be asked; what this host knows by itself comes with it.
func (c *Cache) journal(ctx context.Context, p pool) (entries []Entry, problems []error, err error) {
	objects, err := c.store.List(ctx, p.prefix, maxEntries)
	if err != nil {
		err = storeError(ctx, err)
	}
	entries, problems = c.entries(ctx, p, objects)
	if ctx.Err() != nil {
		return nil, nil, context.Cause(ctx)
	}
	return entries, problems, err
}

// entries reads those of a pool that a listing names.
func (c *Cache) entries(ctx context.Context, p pool, objects []store.Object) (entries []Entry, problems []error) {
	all := make([]Entry, len(objects))
	failed := make([]error, len(objects))
	var group errgroup.Group
	group.SetLimit(readAtOnce)
	var bytes int64
	for i, o := range objects {
		if !p.isEntry(o.Key) {
			continue
		}
		if bytes += o.Size; bytes > maxRead {
			problems = append(problems, Because(Corrupt, "the entries %s* have more than %s: older ones are not read", p.prefix, humanize.IBytes(maxRead)))
			break
		}
		group.Go(func() error {
			all[i], failed[i] = c.entry(ctx, o.Key)
			return nil
		})
	}
	_ = group.Wait()
	for i, e := range all {
		switch {
		case failed[i] == nil && e.Key != "":
			entries = append(entries, e)
		case errors.Is(failed[i], fs.ErrNotExist): // removed since the listing
		case failed[i] != nil:
			problems = append(problems, failed[i])
		}
	}
	return entries, problems
}

func (c *Cache) entry(ctx context.Context, key string) (Entry, error) {
	object, err := c.store.Get(ctx, key, maxEntrySize)
	if err != nil {
		return Entry{}, storeError(ctx, err)
	}
	data, err := c.verified(key, object)
	if err != nil {
		return Entry{}, c.distrust(ctx, key, err)
	}
	e, err := parseEntry(key, data)
	return e, c.distrust(ctx, key, err)
}

// distrust has an entry that is wrong read from the store again the next time: what was broken on its way may be right there.
func (c *Cache) distrust(ctx context.Context, key string, wrong error) error {
	if wrong == nil || c.spool == nil {
		return wrong
	}
	return errors.Join(wrong, c.spool.Forget(ctx, key))
}

// storeError gives an error of the store its reason.
func storeError(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		return fmt.Errorf("%w (%w)", context.Cause(ctx), err)
	}
	return Because(StoreUnreachable, "the store: %w", err)
}

// write publishes an entry. What it names has to be in the store already.
func (c *Cache) write(ctx context.Context, p pool, e Entry) error {
	data, err := json.Marshal(e)
	if err != nil {
		return err
	}
	key := p.entryKey(e.Created, e.Graphs[0], e.Job)
	if err := c.store.Put(ctx, key, c.sign(key, data)); err != nil {
		return storeError(ctx, err)
	}
	return nil
}

// living are the layers of a journal that no newer entry has replaced, those of the graph first, then the newest first: near is on
// top. A layer that several entries name comes once. No more than depth of them: what is left out is only missed.
func living(entries []Entry, graph string, depth int) (layers []LayerRef, exact bool) {
	replaced, seen := map[string]bool{}, map[string]bool{}
	var near, far []LayerRef
	for _, e := range entries {
		mine := e.isFor(graph)
		exact = exact || mine
		if l := e.Layer; l != nil && !replaced[l.Digest] && !seen[l.Digest] {
			seen[l.Digest] = true
			if mine {
				near = append(near, *l)
			} else {
				far = append(far, *l)
			}
		}
		for digest := range e.Replaces {
			replaced[digest] = true
		}
	}
	layers = slices.Concat(near, far)
	return layers[:min(len(layers), depth)], exact
}

func (e Entry) isFor(graph string) bool { return slices.Contains(e.Graphs, graphKey(graph)) }
