package cache

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"math"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/store"
)

// What PruneStore learns of the store from a listing.

// storedTier is what the store has of one tier.
type storedTier struct {
	name   string
	prefix string
	pools  map[string]*storedPool // by their prefix
	layers map[string]store.Object
	dead   map[string]store.Object // notes of layers that nothing named, by digest
	named  map[string]bool         // layers that entries name
	unread bool                    // not all entries could be read
	used   time.Time
	size   int64
}

type storedPool struct {
	prefix  string
	entries []string
	used    time.Time // when its newest entry was written
	goes    bool
}

// poolsOf are the pools of all tiers, in the order of their keys.
func poolsOf(tiers []*storedTier) iter.Seq[*storedPool] {
	return func(yield func(*storedPool) bool) {
		for _, t := range tiers {
			for _, prefix := range slices.Sorted(maps.Keys(t.pools)) {
				if !yield(t.pools[prefix]) {
					return
				}
			}
		}
	}
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

// tiers lists what the store has of the tiers that the options are about. What is none of ours is left alone.
func (p *pruning) tiers(ctx context.Context) ([]*storedTier, error) {
	if p.o.Tiers != nil && (p.o.Project == "" || len(p.o.Tiers) == 0) {
		return nil, errors.New("to keep some tiers alone takes a project, and a tier to keep") // else all would go
	}
	prefix := keyVersion + "/"
	if strings.Contains(p.o.Project, "/") {
		prefix += p.o.Project + "/"
	}
	objects, err := p.cache.store.List(ctx, prefix, 0)
	if err != nil {
		return nil, storeError(ctx, err)
	}
	byPrefix := map[string]*storedTier{}
	projects := map[string]bool{}
	var all []*storedTier
	for _, o := range objects {
		parts := strings.SplitN(o.Key, "/", 5)
		if len(parts) < 5 || p.o.Project != "" && p.o.Project != parts[2] && p.o.Project != parts[1]+"/"+parts[2] {
			continue
		}
		projects[parts[1]+"/"+parts[2]] = true
		prefix := strings.Join(parts[:4], "/") + "/"
		t := byPrefix[prefix]
		if t == nil {
			t = &storedTier{
				name: parts[3], prefix: prefix, pools: map[string]*storedPool{}, layers: map[string]store.Object{}, dead: map[string]store.Object{},
				named: map[string]bool{},
			}
			byPrefix[prefix] = t
			all = append(all, t)
		}
		t.add(o, parts[4])
	}
	if p.o.Tiers != nil && len(projects) > 1 {
		return nil, fmt.Errorf("the store has several projects of the number %s: say which, one of %s", p.o.Project,
			strings.Join(slices.Sorted(maps.Keys(projects)), ", "))
	}
	return all, nil
}

func (t *storedTier) add(o store.Object, rest string) {
	if store.CheckKey(o.Key) != nil {
		return
	}
	name := path.Base(rest)
	switch folder := path.Dir(rest); {
	case folder == "layers":
		if digest, ok := strings.CutSuffix(name, ".sqfs"); ok && hash.MatchString(digest) {
			t.layers[digest] = o
			t.size += o.Size
		}
	case folder == "dead":
		if _, digest, _ := strings.Cut(strings.TrimSuffix(name, ".json"), "-"); hash.MatchString(digest) {
			t.dead[digest] = o
		}
	case folder != "." && entryName.MatchString(name):
		prefix := t.prefix + folder + "/"
		if t.pools[prefix] == nil {
			t.pools[prefix] = &storedPool{prefix: prefix}
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

// pick decides which pools go: all of the tiers that do not stay or are beyond the limit, and those that are old.
func (p *pruning) pick(tiers []*storedTier) {
	byUse := slices.SortedFunc(slices.Values(tiers), func(a, b *storedTier) int { return b.used.Compare(a.used) })
	var total int64
	for _, t := range byUse {
		goes := p.o.Tiers != nil && !p.o.Tiers[t.name]
		if !goes {
			goes = p.o.MaxSize > 0 && total+t.size > p.o.MaxSize // a smaller one may still fit
		}
		if !goes {
			total += t.size
		}
		for _, pool := range t.pools {
			pool.goes = goes || p.o.OlderThan > 0 && p.now.Sub(pool.used) > p.o.OlderThan
		}
	}
}
