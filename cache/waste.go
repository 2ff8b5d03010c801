package cache

import (
	"cmp"
	"slices"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/kind"
)

// When layers are rewritten. A pool that is compacted whenever it has grown holds at most a quarter more than its jobs' newest builds need, and
// what a few of the older ones needed is part of that quarter.
const (
	mergeAt   = 8  // layers of a pool from which on small ones are merged
	tooDeep   = 24 // layers of a pool from which on they are merged whatever it costs
	wasteAt   = 25 // percent more than is needed, from which on wasteful layers are rewritten
	wasteLeft = 10 // percent more than is needed, at which that is enough
)

// sized is a layer in the eyes of rewritable.
type sized struct {
	digest string
	size   int64 // of the layer file
	alive  int64 // of these bytes, those that a rewrite would keep
	needed int64 // of these, those that the newest builds need
}

// rewritable picks the layers that one new layer shall replace. None is picked if that would rewrite more than limit, unless the pool
// is too deep.
func rewritable(layers []sized, limit int64) []string {
	picked := small(layers)
	if len(picked) == 0 || total(picked, sizeOf) > limit && len(layers) < tooDeep {
		picked = wasteful(layers, limit)
	}
	var digests []string
	for _, l := range picked {
		digests = append(digests, l.digest)
	}
	return digests
}

// small are the small ones of many layers, as long as each is no bigger than those before it together, so that every byte is rewritten
// a logarithmic number of times.
func small(layers []sized) (picked []sized) {
	if len(layers) < mergeAt {
		return nil
	}
	bySize := func(a, b sized) int { return cmp.Compare(a.size, b.size) }
	for _, l := range slices.SortedFunc(slices.Values(layers), bySize) {
		if len(picked) >= 2 && l.size > total(picked, sizeOf) {
			break
		}
		picked = append(picked, l)
	}
	return picked
}

// wasteful are the layers to rewrite if the pool holds too much that is not needed: first those that hold the least else. The biggest one
// is rewritten by itself: what is left in it has lasted long, and would only be rewritten again with what changes every day.
func wasteful(layers []sized, limit int64) (picked []sized) {
	needed := total(layers, func(l sized) int64 { return l.needed })
	surplus := total(layers, sizeOf) - needed
	if surplus*100 <= needed*wasteAt {
		return nil
	}
	waste := func(l sized) float64 { return float64(l.size-l.alive) / float64(l.size) }
	var biggest sized
	for _, l := range layers {
		if l.size > biggest.size {
			biggest = l
		}
	}
	for _, l := range slices.SortedFunc(slices.Values(layers), func(a, b sized) int { return cmp.Compare(waste(b), waste(a)) }) {
		switch {
		case surplus*100 <= needed*wasteLeft || l.alive >= l.size:
			return picked
		case l.size > limit:
		case l == biggest && len(picked) > 0:
			return picked // its turn is next, if there is still too much
		case l == biggest:
			return []sized{l}
		default:
			picked = append(picked, l)
			surplus -= l.size - l.alive
			limit -= l.size
		}
	}
	return picked
}

func sizeOf(l sized) int64 { return l.size }

func total(layers []sized, of func(sized) int64) (all int64) {
	for _, l := range layers {
		all += of(l)
	}
	return all
}

// part leaves in each layer's items what is alive, and estimates what that means for the layer's file. What jobs used some builds ago is kept
// as far as there is room for it. Layers that nobody has looked into count as if all of them were needed: whoever has them can tell.
func part(entries []Entry, layers []indexed) []sized {
	needed := sizesOf(layers, alive(entries, layers, 1))
	newest := wordsKept
	kept := alive(entries, layers, newest)
	for newest > 1 && total(sizesOf(layers, kept), aliveOf)*100 > total(needed, aliveOf)*(100+wasteLeft) {
		newest--
		kept = alive(entries, layers, newest)
	}
	sizes := sizesOf(layers, kept)
	for i := range layers {
		layers[i].items = kept[i]
		sizes[i].needed = needed[i].alive
	}
	return sizes
}

func aliveOf(l sized) int64 { return l.alive }

// alive are the items of each layer that any speaker uses by its newest words, and that no upper layer keeps.
func alive(entries []Entry, layers []indexed, newest int) [][]kind.Item {
	kept := make([][]kind.Item, len(layers))
	held := map[string]bool{}
	for i, l := range layers {
		bits := aliveBits(entries, l.Digest, len(l.all), newest)
		for at, item := range l.all {
			if bits.has(at) && !held[item.ID] {
				kept[i] = append(kept[i], item)
				held[item.ID] = true
			}
		}
	}
	return kept
}

// sizesOf estimates what of each layer's file those items take.
func sizesOf(layers []indexed, kept [][]kind.Item) []sized {
	sizes := make([]sized, len(layers))
	for i, l := range layers {
		sizes[i] = sized{digest: l.Digest, size: l.Size, alive: l.Size}
		if all := bytesOf(l.all); all > 0 {
			sizes[i].alive = int64(float64(l.Size) * float64(bytesOf(kept[i])) / float64(all))
		}
	}
	return sizes
}

func bytesOf(items []kind.Item) (all int64) {
	for _, item := range items {
		all += item.Size
	}
	return all
}
