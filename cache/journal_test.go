package cache

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"
)

// digestOf makes a digest out of a letter.
func digestOf(letter string) string { return strings.Repeat(letter, 64) }

// added is an entry with a layer of its own; it replaces what it is given.
func added(letter, graph string, replaces ...string) Entry {
	e := Entry{Key: letter, Graphs: []string{graph}, Layer: &LayerRef{Digest: digestOf(letter), Size: 1}}
	for _, r := range replaces {
		if e.Replaces == nil {
			e.Replaces = map[string]time.Time{}
		}
		e.Replaces[digestOf(r)] = time.Time{}
	}
	return e
}

func letters(layers []LayerRef) string {
	var all string
	for _, l := range layers {
		all += l.Digest[:1]
	}
	return all
}

func TestALineageIsTheLayersThatNoNewerEntryHasReplaced(t *testing.T) {
	t.Parallel()
	g, h := digestOf("0"), digestOf("1")
	tests := []struct {
		name    string
		entries []Entry // newest first
		graph   string
		depth   int
		want    string
		exact   bool
	}{
		{"nothing", nil, g, 32, "", false},
		{"newest on top", []Entry{added("c", g), added("b", g), added("a", g)}, g, 32, "cba", true},
		{"its own graph is above newer ones", []Entry{added("c", h), added("b", g), added("a", h)}, g, 32, "bca", true},
		{"another graph alone", []Entry{added("b", h), added("a", h)}, g, 32, "ba", false},
		{"no graph", []Entry{added("b", "none"), added("a", h)}, "", 32, "ba", true},
		{"replaced by a newer one", []Entry{added("c", g, "a", "b"), added("b", g), added("a", g)}, g, 32, "c", true},
		{"saved again after it was replaced", []Entry{added("a", g), added("c", g, "a"), added("a", g)}, g, 32, "ac", true},
		{"an older entry replaces nothing newer", []Entry{added("b", g), added("a", g, "b")}, g, 32, "ba", true},
		{"two jobs saved the same", []Entry{added("a", g), added("a", g)}, g, 32, "a", true},
		{"no deeper than it may be", []Entry{added("c", h), added("b", h), added("a", g)}, g, 2, "ac", true},
		{"an entry without a layer makes its graph known", []Entry{{Graphs: []string{g}}, added("a", h)}, g, 32, "a", true},
		{"a compaction stands for many graphs", []Entry{{Graphs: []string{h, g}, Layer: &LayerRef{Digest: digestOf("a")}}}, g, 32, "a", true},
	}
	for _, test := range tests {
		layers, exact := living(test.entries, test.graph, test.depth)
		if letters(layers) != test.want || exact != test.exact {
			t.Errorf("%s: %q exact %v, want %q %v", test.name, letters(layers), exact, test.want, test.exact)
		}
	}
}

func TestAnEntryThatIsNotOneIsCorrupt(t *testing.T) {
	t.Parallel()
	good := added("a", digestOf("0"), "b")
	good.Used = map[string]Bits{digestOf("c"): {1}}
	encode := func(e Entry) []byte {
		data, err := json.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	got, err := parseEntry("key", encode(good))
	if err != nil || got.Layer.Digest != digestOf("a") || got.Key != "key" || !got.Used[digestOf("c")].has(0) {
		t.Errorf("%+v, %v", got, err)
	}
	bad := map[string][]byte{"no JSON": []byte("{"), "a number": []byte("1")}
	for name, change := range map[string]func(*Entry){
		"digest":   func(e *Entry) { e.Layer = &LayerRef{Digest: "../../etc/passwd", Size: 1} },
		"size":     func(e *Entry) { e.Layer = &LayerRef{Digest: digestOf("a"), Size: -1} },
		"replaces": func(e *Entry) { e.Replaces = map[string]time.Time{"x": {}} },
		"used":     func(e *Entry) { e.Used = map[string]Bits{"x": nil} },
	} {
		e := good
		change(&e)
		bad[name] = encode(e)
	}
	for name, data := range bad {
		if _, err := parseEntry("key", data); ReasonOf(err) != Corrupt {
			t.Errorf("%s: %v, want corrupt", name, err)
		}
	}
}

func TestTheNewestEntryIsListedFirstAndEveryPoolHasItsOwn(t *testing.T) {
	t.Parallel()
	r := Request{Instance: "gitlab.example.com+8443", Project: "7", Platform: "linux-amd64-v1", Toolchain: "go1.26.8"}
	p := r.pool("protected", "build")
	if p.prefix != "v1/gitlab.example.com+8443/7/protected/build/linux-amd64-v1/go1.26.8/" {
		t.Error(p.prefix)
	}
	if m := r.pool("protected", "modules"); m.prefix != "v1/gitlab.example.com+8443/7/protected/modules/" {
		t.Error(m.prefix)
	}
	if key := p.layerKey(digestOf("a")); key != "v1/gitlab.example.com+8443/7/protected/layers/"+digestOf("a")+".sqfs" {
		t.Error(key)
	}
	var keys []string
	now := time.Now()
	for i := range 5 {
		keys = append(keys, p.entryKey(now.Add(time.Duration(i)*time.Nanosecond), digestOf("0"), "1"))
	}
	keys = append(keys, p.entryKey(now.Add(time.Hour), "", "2"))
	for _, key := range keys {
		if !p.isEntry(key) {
			t.Errorf("%s is no entry of its pool", key)
		}
		if p.isEntry(strings.Replace(key, "protected", "ref-x", 1)) {
			t.Errorf("%s is taken for another tier's", key)
		}
	}
	sorted := slices.Sorted(slices.Values(keys))
	slices.Reverse(sorted)
	if !slices.Equal(keys, sorted) {
		t.Errorf("not the newest first: %q", keys)
	}
}

func TestARequestThatCannotBeAKeyIsRefused(t *testing.T) {
	t.Parallel()
	good := Request{
		Instance: "gitlab.example.com", Project: "7", Tier: "ref-0123-main", Below: "protected", Job: "1", Platform: "linux-amd64-v1",
		Toolchain: "go1.26.8", Kinds: Kinds(),
	}
	if err := good.check(); err != nil {
		t.Error(err)
	}
	for name, change := range map[string]func(*Request){
		"path":      func(r *Request) { r.Project = "../8" },
		"empty":     func(r *Request) { r.Tier = "" },
		"below":     func(r *Request) { r.Below = "a/b" },
		"toolchain": func(r *Request) { r.Toolchain = "go 1" },
		"platform":  func(r *Request) { r.Platform = "." },
		"graph":     func(r *Request) { r.Graph = "main" },
		"kind":      func(r *Request) { r.Kinds = []string{"layers"} },
	} {
		r := good
		change(&r)
		if r.check() == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}
