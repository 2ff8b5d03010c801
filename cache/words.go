package cache

import (
	"maps"
	"slices"
	"time"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/kind"
)

// What jobs say of what they used, and for how long it counts.
const (
	wordsKept    = 3                   // of each speaker, the newest ones: what none of them used is dead
	wordsFor     = 30 * 24 * time.Hour // how long a word counts
	speakersKept = 50                  // whose word is carried, those that spoke last
)

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

// aliveBits is what any speaker uses of a layer of n items, by the newest of its words.
func aliveBits(entries []Entry, digest string, n, newest int) Bits {
	var alive Bits
	for _, words := range wordsOn(entries, digest, n) {
		alive = alive.with(united(words[:min(newest, len(words))]).Used)
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
