package cache

import (
	"fmt"
	"testing"
	"time"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/kind"
)

// A linter's job that finds nothing changed opens one entry of each package, and what it once found out of the imports stays shut. The next change needs it.
func TestWhatALinterDidNotOpenTodayIsAliveForDays(t *testing.T) {
	t.Parallel()
	const items = 3
	monday := time.Date(2026, 11, 2, 9, 0, 0, 0, time.UTC)
	layer := digestOf("a")
	entries := []Entry{{ // the newest first
		Speaker: ofDay("lint", monday), Created: monday, Graphs: []string{"g"}, Used: map[string]Bits{}, Layer: &LayerRef{Digest: layer, Items: items},
	}}
	job := func(at time.Time, opened Bits) {
		e := Entry{Speaker: ofDay("lint", at), Created: at, Graphs: []string{"g"}, Used: map[string]Bits{layer: opened}}
		e.remember(entries)
		entries = append([]Entry{e}, entries...)
	}
	alive := func(day int) (found int) {
		t.Helper()
		for newest := 1; newest <= wordsKept; newest++ {
			bits := aliveBits(entries, layer, items, newest)
			found = 0
			for i := range items {
				if bits.has(i) {
					found++
				}
			}
			if day < 5 && found != items {
				t.Errorf("day %d, the newest %d words: %08b is alive of %d", day, newest, bits, items)
			}
		}
		return found
	}
	for n := range 2 * wordsKept {
		job(monday.Add(time.Duration(n+1)*time.Hour), Bits{0b001})
	}
	alive(0)
	for day := 1; day <= 4; day++ {
		job(monday.AddDate(0, 0, day), Bits{0b001})
		alive(day)
	}
	job(monday.AddDate(0, 0, 6), Bits{0b011})
	if found := alive(6); found != 2 {
		t.Errorf("after five days in which nobody opened it, %d are alive, want 2", found)
	}

	unwatched := Entry{Speaker: ofDay("lint", monday)}
	if unwatched.remember(entries); unwatched.Used != nil {
		t.Errorf("a job that nobody watched says %v", unwatched.Used)
	}
	other := Entry{Speaker: ofDay("other", monday.AddDate(0, 0, 6)), Used: map[string]Bits{}}
	if other.remember(entries); len(other.Used[layer]) != 0 {
		t.Errorf("another job says %08b", other.Used[layer])
	}
}

func TestACompactionPassesOnTheDaysOfALinter(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 2, 9, 0, 0, 0, time.UTC)
	speaker := ofDay("lint", now)
	merged := Entry{
		Created: now.Add(time.Hour), Graphs: []string{"g"}, Layer: &LayerRef{Digest: digestOf("b"), Items: 2}, Carried: map[string]Word{speaker: {now, Bits{0b10}}},
	}
	e := Entry{Speaker: speaker, Created: now.Add(2 * time.Hour), Used: map[string]Bits{digestOf("b"): {0b01}}}
	if e.remember([]Entry{merged}); e.Used[digestOf("b")][0] != 0b11 {
		t.Errorf("it says %08b", e.Used[digestOf("b")])
	}
}

// A pipeline of very many jobs, each of which uses something that no other does, finds all of it again, however often it is compacted between.
func TestACompactionLosesNothingOfAPipelineOfVeryManyJobs(t *testing.T) {
	t.Parallel()
	const jobs = 3 * speakersKept
	began := time.Date(2026, 11, 2, 23, 0, 0, 0, time.UTC) // it goes on after midnight
	digest, items := digestOf("a"), make([]kind.Item, jobs)
	for i := range items {
		items[i].ID = fmt.Sprintf("%03d", i)
	}
	merged := func(at time.Time, carried map[string]Word) []Entry {
		return []Entry{{Created: at, Graphs: []string{"g"}, Layer: &LayerRef{Digest: digest, Items: jobs}, Carried: carried}}
	}
	compacted := func(entries []Entry) map[string]Word {
		return carry(entries, []indexed{{held: held{LayerRef: LayerRef{Digest: digest, Items: jobs}}, items: items, all: items}}, items)
	}
	alive := func(entries []Entry) (n int) {
		bits := aliveBits(entries, digest, jobs, 1)
		for i := range jobs {
			if bits.has(i) {
				n++
			}
		}
		return n
	}
	said := map[string]Word{}
	for i := range jobs {
		used := makeBits(jobs)
		used.set(i)
		said[fmt.Sprint("job ", i)] = Word{began.Add(time.Duration(i) * time.Minute), used}
	}
	entries := merged(began.Add(4*time.Hour), said)
	for day := range 5 {
		carried := compacted(entries)
		if len(carried) > speakersKept+6 {
			t.Errorf("%d words are carried", len(carried))
		}
		if entries = merged(began.Add(4*time.Hour+time.Duration(day)*24*time.Hour), carried); alive(entries) != jobs {
			t.Errorf("after %d days and a compaction %d of %d are alive", day, alive(entries), jobs)
		}
	}
	if n := alive(merged(began.Add(7*24*time.Hour), compacted(entries))); n != speakersKept {
		t.Errorf("after a week without another pipeline %d are alive, want the %d of those that spoke last", n, speakersKept)
	}
	old := map[string]Word{"today": {began.AddDate(0, 0, 6), makeBits(jobs)}}
	for speaker, word := range said {
		old[speaker] = word
	}
	if carried := compacted(merged(began.AddDate(0, 0, 6), old)); len(carried) != speakersKept {
		t.Errorf("%d words are carried, want those of the %d that spoke last", len(carried), speakersKept)
	}
}
