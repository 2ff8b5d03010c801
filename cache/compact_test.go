package cache

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/kind"
)

func TestSmallLayersAreMergedAndBigOnesLeftAlone(t *testing.T) {
	t.Parallel()
	const mb = 1 << 20
	sizes := func(all ...int64) (layers []sized) {
		for i, s := range all {
			layers = append(layers, sized{digest: fmt.Sprint(i), size: s})
		}
		return layers
	}
	dead := sizes(400*mb, mb)
	dead[0].dead = true
	tests := []struct {
		name   string
		layers []sized
		limit  int64
		want   string
	}{
		{"few", sizes(400*mb, 1, 1, 1), foreground, ""},
		{"one big and seven small", sizes(400*mb, mb, mb, mb, mb, mb, mb, mb), foreground, "1 2 3 4 5 6 7"},
		{"as big as the rest together", sizes(7*mb, mb, mb, mb, mb, mb, mb, mb), foreground, "0 1 2 3 4 5 6 7"},
		{"too much while a job waits", sizes(40*mb, 40*mb, 40*mb, 40*mb, 40*mb, 40*mb, 40*mb, 40*mb), foreground, ""},
		{"too deep not to", sizes(slices.Repeat([]int64{40 * mb}, tooDeep)...), foreground, strings.Join(numbers(tooDeep), " ")},
		{"mostly dead, in the background", dead, 1 << 40, "0"},
		{"mostly dead, while a job waits", dead, foreground, ""},
	}
	for _, test := range tests {
		got := mergeable(test.layers, test.limit)
		slices.SortFunc(got, func(a, b string) int { return len(a)*1000 + int(a[0]) - len(b)*1000 - int(b[0]) })
		want := strings.Fields(test.want)
		if len(got) != len(want) {
			t.Errorf("%s: %v, want %v", test.name, got, want)
			continue
		}
		for _, w := range want {
			if !slices.Contains(got, w) {
				t.Errorf("%s: %v, want %v", test.name, got, want)
			}
		}
	}
}

func numbers(n int) (all []string) {
	for i := range n {
		all = append(all, fmt.Sprint(i))
	}
	return all
}

// However many jobs each add a little, a pool keeps few layers, and a byte is not rewritten every time.
func TestAPoolStaysShallowAndIsSeldomRewritten(t *testing.T) {
	t.Parallel()
	const mb = 1 << 20
	layers := []sized{{digest: "base", size: 400 * mb}}
	var rewritten int64
	deepest := 0
	const jobs = 500
	for i := range jobs {
		layers = append(layers, sized{digest: fmt.Sprint(i), size: mb / 4})
		if picked := mergeable(layers, foreground); len(picked) > 1 {
			var sum int64
			layers = slices.DeleteFunc(layers, func(l sized) bool {
				if slices.Contains(picked, l.digest) {
					sum += l.size
					return true
				}
				return false
			})
			rewritten += sum
			layers = append(layers, sized{digest: "merged" + fmt.Sprint(i), size: sum})
		}
		deepest = max(deepest, len(layers))
	}
	if deepest > 16 {
		t.Errorf("%d layers", deepest)
	}
	if added := int64(jobs) * mb / 4; rewritten > 10*added {
		t.Errorf("%d MB were added and %d MB rewritten", added/mb, rewritten/mb)
	}
}

// using is an entry that tells what a speaker used of layer a, which has 4 items.
func using(speaker string, bits byte) Entry {
	return Entry{Speaker: speaker, Graphs: []string{"g"}, Used: map[string]Bits{digestOf("a"): {bits}}}
}

func TestWhatNoJobUsesOfLateIsDead(t *testing.T) {
	t.Parallel()
	now := time.Now()
	items := []kind.Item{{ID: "0"}, {ID: "1"}, {ID: "2"}, {ID: "3"}}
	made := added("a", "g")
	made.Speaker = "build"
	old := using("nightly", 0b1000)
	old.Created = now.Add(-wordsFor - time.Hour)
	carried := made
	carried.Carried = map[string]Word{"lint": {now, Bits{0b0010}}, "build": {now, Bits{0b0001}}}
	tests := []struct {
		name    string
		entries []Entry // the newest first
		want    string
	}{
		{"nobody has spoken", []Entry{made}, "0123"},
		{"another job uses less of it", []Entry{using("lint", 0b0001), using("lint", 0b0001), using("lint", 0b0001), made}, "0123"},
		{"its own job has not yet said so often enough", []Entry{using("build", 0b0001), using("build", 0b0001), made}, "0123"},
		{"its own job has", []Entry{using("build", 0b0001), using("build", 0b0001), using("build", 0b0001), made}, "0"},
		{
			"one job uses what another does not",
			[]Entry{using("lint", 0b0100), using("build", 0b0001), using("build", 0b0001), using("build", 0b0001), made},
			"02",
		},
		{
			"once upon a time",
			[]Entry{using("build", 0b0001), using("build", 0b0001), using("build", 0b0001), using("build", 0b1000), made},
			"0",
		},
		{"the word of jobs before a compaction", []Entry{carried}, "01"},
		{"and since", []Entry{using("build", 0b1000), using("build", 0b1000), using("build", 0b1000), carried}, "13"},
		{"a job that nobody watched, or that failed", []Entry{{Speaker: "build"}, {Speaker: "build"}, {Speaker: "build"}, made}, "0123"},
		{"a job that has not run for a month", []Entry{using("build", 1), using("build", 1), using("build", 1), old, made}, "0"},
	}
	for _, test := range tests {
		for i := range test.entries {
			if test.entries[i].Created.IsZero() {
				test.entries[i].Created = now
			}
		}
		alive, _ := split(items, aliveBits(test.entries, digestOf("a"), len(items)))
		got := ""
		for _, i := range alive {
			got += i.ID
		}
		if got != test.want {
			t.Errorf("%s: %q is alive, want %q", test.name, got, test.want)
		}
	}
}

func TestACompactionCarriesWhatWasSaidToItsOwnItems(t *testing.T) {
	t.Parallel()
	now := time.Now()
	item := func(id string) kind.Item { return kind.Item{ID: id} }
	a, b := added("a", "g"), added("b", "g")
	a.Speaker, b.Speaker, a.Created, b.Created = "build", "lint", now, now
	layers := []indexed{
		{held: held{LayerRef: *b.Layer}, all: []kind.Item{item("x"), item("y")}},
		{held: held{LayerRef: *a.Layer}, all: []kind.Item{item("p"), item("q"), item("x")}},
	}
	said := Entry{Speaker: "test", Created: now.Add(time.Minute), Used: map[string]Bits{digestOf("a"): {0b010}, digestOf("b"): {0b01}}}
	got := carry([]Entry{said, b, a}, layers, []kind.Item{item("p"), item("q"), item("x"), item("y")})
	want := map[string]byte{"build": 0b0111, "lint": 0b1100, "test": 0b0110}
	for speaker, bits := range want {
		if w := got[speaker]; len(w.Used) != 1 || w.Used[0] != bits {
			t.Errorf("%s: %b, want %b", speaker, w.Used, bits)
		}
	}
	if len(got) != len(want) || !got["test"].At.Equal(said.Created) {
		t.Errorf("%+v", got)
	}
}

func TestEntriesGoWhenTheyTellNothingAnyMore(t *testing.T) {
	t.Parallel()
	merged := added("m", "g", "a", "b")
	entries := []Entry{merged, added("b", "g"), added("a", "old")}
	if got := superfluous(entries); !slices.Equal(got, []string{"b"}) {
		t.Errorf("%v: want the entry of b alone, since that of a is the only one of its graph", got)
	}
	merged.Graphs = append(merged.Graphs, "old")
	entries[0] = merged
	if got := superfluous(entries); !slices.Equal(got, []string{"b", "a"}) {
		t.Errorf("%v: want both that are replaced", got)
	}
	entries = []Entry{merged}
	for i := range wordsKept + 5 {
		for _, speaker := range []string{"build", "lint"} {
			e := using(speaker, 1)
			e.Key = speaker + fmt.Sprint(i)
			entries = append(entries, e)
		}
	}
	got := superfluous(entries)
	if len(got) != 10 || slices.Contains(got, "lint"+fmt.Sprint(wordsKept-1)) || !slices.Contains(got, "build"+fmt.Sprint(wordsKept)) {
		t.Errorf("%v: want all but the newest %d words of each", got, wordsKept)
	}
}

func TestOneWordAnHourAboutWhatIsUsedIsEnough(t *testing.T) {
	t.Parallel()
	now := time.Now()
	g := digestOf("0")
	said := func(ago time.Duration) []Entry {
		return []Entry{{Graphs: []string{g}, Created: now.Add(-ago), Speaker: "s", Used: map[string]Bits{}}}
	}
	bare := Entry{Created: now, Speaker: "s", Used: map[string]Bits{}}
	other := bare
	other.Speaker = "t"
	unknown := Entry{Created: now}
	withLayer := added("a", g)
	withLayer.Created = now
	tests := []struct {
		name    string
		e       Entry
		entries []Entry
		want    bool
	}{
		{"a layer", withLayer, said(0), true},
		{"a replacement", Entry{Created: now, Replaces: map[string]time.Time{g: now}}, said(0), true},
		{"first of its graph", bare, []Entry{{Graphs: []string{digestOf("1")}, Created: now}}, true},
		{"said just now", bare, said(time.Minute), false},
		{"said long ago", bare, said(evidenceEvery + time.Minute), true},
		{"another job", other, said(time.Minute), true},
		{"nothing to say", unknown, said(evidenceEvery + time.Minute), false},
	}
	for _, test := range tests {
		if got := test.e.worthWriting(test.entries, g); got != test.want {
			t.Errorf("%s: %v, want %v", test.name, got, test.want)
		}
	}
}

func TestHitsAreWhatTheBaseHeldAndTheJobOpened(t *testing.T) {
	t.Parallel()
	item := func(id string, class kind.Class) kind.Item { return kind.Item{ID: id, Class: class} }
	base := []indexed{
		{held: held{}, items: []kind.Item{item("host", kind.Package), item("both", kind.Package), item("log", kind.TestLog)}},
		{held: held{FromStore: true}, items: []kind.Item{item("both", kind.Package), item("store", kind.Package), item("idle", kind.Package), item("again", kind.Package)}},
	}
	opened := map[string]bool{"host": true, "both": true, "store": true, "log": true, "again": true, "elsewhere": true}
	host, store, available := hits(base, opened, []string{"again", "new"}, isPackage)
	if host != 2 || store != 1 || available != 5 {
		t.Errorf("%d on the host, %d in the store, %d available; want 2, 1, 5", host, store, available)
	}
}
