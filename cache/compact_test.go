package cache

import (
	"cmp"
	"fmt"
	"math/rand/v2"
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
			layers = append(layers, sized{digest: fmt.Sprint(i), size: s, alive: s, needed: s})
		}
		return layers
	}
	using := func(layers []sized, alive ...int64) []sized {
		for i, a := range alive {
			layers[i].alive, layers[i].needed = a, a
		}
		return layers
	}
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
		{"a fifth of it wasted", using(sizes(400*mb, 50*mb, 50*mb), 400*mb, 10*mb, 10*mb), 1 << 40, ""},
		{"a third of it wasted, in small ones", using(sizes(400*mb, 70*mb, 80*mb, mb), 400*mb, 0, 10*mb, mb), 1 << 40, "1 2"},
		{"as little as will do", using(sizes(400*mb, 70*mb, 80*mb, mb), 390*mb, 0, 0, mb), 1 << 40, "1 2"},
		{"in a big one", using(sizes(400*mb, mb), 300*mb, mb), 1 << 40, "0"},
		{"the small ones first", using(sizes(400*mb, 40*mb, 40*mb), 340*mb, 0, 0), 1 << 40, "1 2"},
		{"and then the big one", using(sizes(400*mb, 3*mb, mb), 300*mb, 3*mb, mb), 1 << 40, "0"},
		{"in a big one, while a job waits", using(sizes(400*mb, 3*mb, 2*mb), 300*mb, mb, 2*mb), foreground, "1"},
		{"nothing is needed", using(sizes(400*mb, 3*mb), 0, 0), 1 << 40, "0"},
		{"what older builds needed has room", []sized{{"0", 400 * mb, 400 * mb, 300 * mb}}, 1 << 40, ""},
	}
	for _, test := range tests {
		got := rewritable(test.layers, test.limit)
		slices.SortFunc(got, func(a, b string) int { return cmp.Or(len(a)-len(b), strings.Compare(a, b)) })
		if strings.Join(got, " ") != test.want {
			t.Errorf("%s: %v, want %v", test.name, got, test.want)
		}
	}
}

func numbers(n int) (all []string) {
	for i := range n {
		all = append(all, fmt.Sprint(i))
	}
	return all
}

// However many jobs each add a little, and make as much of what was there useless, a pool keeps few layers and little waste, and a byte is not
// rewritten every time.
func TestAPoolStaysShallowAndSmallAndIsSeldomRewritten(t *testing.T) {
	t.Parallel()
	const mb, jobs = 1 << 20, 500
	for name, share := range map[string]float64{"all that is added lasts": 0, "half of it is replaced": 0.5, "all of it is replaced": 1} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			random := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // a test's
			layers := []sized{{"base", 400 * mb, 400 * mb, 400 * mb}}
			replace := func(bytes int64) { // what changes is mostly what has changed before
				for bytes > 0 {
					l := &layers[len(layers)-1-min(int(random.ExpFloat64()*4), len(layers)-1)]
					n := min(bytes, l.alive, mb)
					l.alive, l.needed, bytes = l.alive-n, l.needed-n, bytes-max(n, mb/100)
				}
			}
			var added, rewritten, most int64
			deepest := 0
			for i := range jobs {
				size := int64(random.IntN(20*mb) + 1)
				replace(int64(float64(size) * share))
				layers = append(layers, sized{fmt.Sprint(i), size, size, size})
				added += size
				for picked := rewritable(layers, 1<<40); len(picked) > 0; picked = rewritable(layers, 1<<40) {
					old := func(l sized) bool { return slices.Contains(picked, l.digest) }
					kept := total(slices.DeleteFunc(slices.Clone(layers), func(l sized) bool { return !old(l) }), aliveOf)
					layers = append(slices.DeleteFunc(layers, old), sized{fmt.Sprint("merged", i, rewritten), kept, kept, kept})
					rewritten += kept
				}
				deepest = max(deepest, len(layers))
				most = max(most, total(layers, sizeOf)*100/total(layers, aliveOf))
			}
			t.Logf("%d layers, %d %% of what is needed, %d MB added, %d MB rewritten", deepest, most, added/mb, rewritten/mb)
			if deepest > 16 || most > 100+wasteAt || rewritten > 6*added {
				t.Errorf("%d layers, %d %% of what is needed, %d MB added, %d MB rewritten", deepest, most, added/mb, rewritten/mb)
			}
		})
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
		got := ""
		for _, i := range alive(test.entries, []indexed{{held: held{LayerRef: LayerRef{Digest: digestOf("a")}}, all: items}}, wordsKept)[0] {
			got += i.ID
		}
		if got != test.want {
			t.Errorf("%s: %q is alive, want %q", test.name, got, test.want)
		}
	}
}

func TestWhatOlderBuildsUsedIsKeptWhereThereIsRoom(t *testing.T) {
	t.Parallel()
	now := time.Now()
	made := added("a", "g")
	made.Speaker, made.Created = "build", now
	entries := []Entry{using("build", 0b0001), using("build", 0b0010), using("build", 0b0001), using("build", 0b0001), made}
	for i := range entries {
		entries[i].Created = now
	}
	items := func(older int64) []kind.Item {
		return []kind.Item{{ID: "newest", Size: 1000}, {ID: "older", Size: older}, {ID: "never again", Size: 1000}, {ID: "neither", Size: 1000}}
	}
	for older, want := range map[int64]string{100: "newest older ", 101: "newest "} {
		layers := []indexed{{held: held{LayerRef: LayerRef{Digest: digestOf("a"), Size: 4000}}, all: items(older)}}
		sizes := part(entries, layers)
		got := ""
		for _, item := range layers[0].items {
			got += item.ID + " "
		}
		if got != want || sizes[0].needed < 1280 || sizes[0].needed > 1300 {
			t.Errorf("kept %q, want %q; %d of 4000 bytes needed", got, want, sizes[0].needed)
		}
	}
}

func TestWhatTwoLayersHoldIsNeededOnce(t *testing.T) {
	t.Parallel()
	now := time.Now()
	upper, lower := added("a", "g"), added("b", "g")
	upper.Created, lower.Created = now, now
	layer := func(name string, ids ...string) (l indexed) {
		l.LayerRef = LayerRef{Digest: digestOf(name), Size: 1000}
		for _, id := range ids {
			l.all = append(l.all, kind.Item{ID: id, Size: 500})
		}
		return l
	}
	sizes := part([]Entry{upper, lower}, []indexed{layer("a", "x", "y"), layer("b", "y", "z")})
	if sizes[0].alive != 1000 || sizes[1].alive != 500 {
		t.Errorf("%+v", sizes)
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
	host, store, available := hits(base, opened, []string{"again", "new"}, kind.Build().Counts)
	if host != 2 || store != 1 || available != 5 {
		t.Errorf("%d on the host, %d in the store, %d available; want 2, 1, 5", host, store, available)
	}
}
