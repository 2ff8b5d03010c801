package cache

import (
	"maps"
	"slices"
	"strings"
	"time"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/kind"
)

// What jobs say of what they used, and for how long it counts.
const (
	wordsKept    = 3                   // of each speaker, the newest ones: what none of them used is dead
	wordsFor     = 30 * 24 * time.Hour // how long a word counts
	dayCounts    = 5 * 24 * time.Hour  // likewise, of what was used of an extra cache in a day; its tools keep what they have not used as long
	speakersKept = 50                  // whose words are carried each by itself, those that spoke last
)

// wordsOn are the newest words of each speaker on a layer of n items. Who added it is taken to use all of it, until it has said otherwise
// often enough: nobody has spoken of what is new.
func wordsOn(entries []Entry, digest string, n int) map[string][]Word {
	words := map[string][]Word{}
	say := func(speaker string, w Word) {
		if len(words[speaker]) < wordsKept && len(entries) > 0 && entries[0].Created.Sub(w.At) < countsFor(speaker) {
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

// A linter opens what it has found out of a package's imports only when it has to look at the package again. That a job did not open
// something therefore says little. So the speakers of extra caches are days of speakers, and each of their words says what was used in the whole day.

// dayMark stands in the name of a speaker of an extra cache, before the day.
const dayMark = "@"

func ofDay(speaker string, now time.Time) string {
	return speaker + dayMark + now.UTC().Format(time.DateOnly)
}

// countsFor is how long the words of a speaker count.
func countsFor(speaker string) time.Duration {
	if strings.Contains(speaker, dayMark) {
		return dayCounts
	}
	return wordsFor
}

// remember adds to what an entry says that a job used what its speaker has said before.
func (e *Entry) remember(entries []Entry) {
	if e.Used == nil {
		return // nobody knows, and what was said before stands
	}
	layers, _ := living(entries, "", maxEntries)
	for _, l := range layers {
		if words := wordsOn(entries, l.Digest, l.Items)[e.Speaker]; len(words) > 0 {
			e.Used[l.Digest] = e.Used[l.Digest].with(united(words).Used)
		}
	}
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
	unite(carried)
	return carried
}

// unite leaves those that spoke last, and unites what the others said in the last days, by the day: a pipeline may have more jobs than there is room
// for, as those of a parallel matrix, and the next one wants what all of them have built.
func unite(carried map[string]Word) {
	speakers := slices.SortedFunc(maps.Keys(carried), func(a, b string) int { return carried[b].At.Compare(carried[a].At) })
	for _, speaker := range speakers[min(len(speakers), speakersKept):] {
		word := carried[speaker]
		delete(carried, speaker)
		if carried[speakers[0]].At.Sub(word.At) >= dayCounts {
			continue
		}
		day := ofDay("", word.At)
		all := carried[day]
		if word.At.After(all.At) {
			all.At = word.At
		}
		all.Used = all.Used.with(word.Used)
		carried[day] = all
	}
}
