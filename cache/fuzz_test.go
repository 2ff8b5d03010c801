package cache

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/store"
)

const (
	digestA = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	digestB = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
)

// seedEntries are entries as jobs and compactions write them, and as nobody does.
var seedEntries = []string{
	`{"created":"2026-11-21T10:00:00Z","job":"1","speaker":"test main","graphs":["` + digestA + `"],"layer":{"digest":"` + digestA +
		`","size":4096,"items":3,"counted":2,"modules":["example.com/a@v1.0.0"]},"cold_seconds":12.5,"used":{"` + digestB + `":"Bw=="}}`,
	`{"created":"2026-11-21T10:00:00Z","job":"compaction","speaker":"","graphs":["none"],"layer":{"digest":"` + digestB +
		`","size":4096,"items":9,"counted":9},"carried":{"a@2026-11-20":{"at":"2026-11-20T10:00:00Z","used":"/w=="}},"replaces":{"` + digestA + `":"2026-11-20T10:00:00Z"}}`,
	`{"graphs":["none"],"layer":null}`,
	`{"job":"1"}`,
	`{"created":"2026-11-21T10:00:00Z","graphs":["../x"]}`,
	`{"graphs":["none"],"layer":{"digest":"` + digestA + `","size":1,"items":4611686018427387904,"counted":0}}`,
	`{"graphs":["none"],"layer":{"digest":"` + digestA + `","size":9223372036854775807,"items":1,"counted":2}}`,
	`null`,
}

// FuzzEntry reads an entry that anybody who can write to the store may have put there, and does with it what restores, saves and
// compactions do: none of them may be brought down, or made to hold more than an entry's own size some times over.
func FuzzEntry(f *testing.F) {
	for _, seed := range seedEntries {
		f.Add([]byte(seed), []byte(seedEntries[0]))
	}
	f.Fuzz(func(t *testing.T, newest, before []byte) {
		p := request("1").pool("protected", "build")
		var entries []Entry
		for _, data := range [][]byte{newest, before} {
			e, err := parseEntry(p.entryKey(time.Unix(0, 0), "", "1"), data)
			if err != nil {
				if ReasonOf(err) != Corrupt || strings.ContainsAny(err.Error(), "\n\x1b") {
					t.Fatalf("%q", err)
				}
				continue
			}
			if written, err := json.Marshal(e); err != nil {
				t.Fatalf("it cannot be carried on: %v", err)
			} else if again, err := parseEntry(e.Key, written); err != nil || !reflect.DeepEqual(again.Layer, e.Layer) || again.Graphs[0] != e.Graphs[0] {
				t.Fatalf("%s\nis read as %+v, %v", written, again, err)
			}
			for _, graph := range e.Graphs {
				if key := p.entryKey(e.Created, graph, "1"); !p.isEntry(key) && e.Created.Unix() > 0 {
					t.Fatalf("the graph %q has the key %q, which is none", graph, key)
				}
			}
			entries = append(entries, e)
		}
		layers, _ := living(entries, "", 1)
		if len(layers) > 1 {
			t.Fatalf("%d layers, and 1 is the most", len(layers))
		}
		plan := newPlan(request("1"))
		plan.add(p, layers)
		plan.noteBase("build", "protected", read{entries: entries})
		plan.changed()
		mine := Entry{Speaker: "test main", Used: map[string]Bits{}}
		mine.remember(entries)
		coldest(entries)
		superfluous(entries)
		indexedLayers := make([]indexed, len(layers))
		for i, l := range layers {
			indexedLayers[i] = indexed{held: held{LayerRef: l, Kind: "build"}}
		}
		rewritable(part(entries, indexedLayers), foreground)
		if len(carry(entries, indexedLayers, nil)) > speakersKept+6 { // and a word of each day
			t.Fatal("more words are carried than are kept")
		}
	})
}

// FuzzSignature changes a signed entry, or where it lies: only what the key signed, where it signed it, is believed.
func FuzzSignature(f *testing.F) {
	signing := &Cache{Options: Options{SigningKey: "a key of some length"}}
	const key = "v1/gitlab.example.com/7/protected/build/x.json"
	signed := signing.sign(key, []byte(seedEntries[0]))
	f.Add(key, signed)
	f.Add(key, []byte(seedEntries[0]))
	f.Add(key, append(signed, '\n'))
	f.Add("v1/gitlab.example.com/8/protected/build/x.json", signed)
	f.Add("", []byte("\n"))
	f.Fuzz(func(t *testing.T, at string, object []byte) {
		data, err := signing.verified(at, object)
		if genuine := at == key && bytes.Equal(object, signed); (err == nil) != genuine {
			t.Errorf("%q at %q: %q, %v", object, at, data, err)
		} else if genuine && string(data) != seedEntries[0] {
			t.Errorf("%q is read as %q", object, data)
		}
		if err != nil && ReasonOf(err) != Unsigned {
			t.Errorf("the reason is %s", ReasonOf(err))
		}
	})
}

// FuzzPlan reads back a plan: what a crash or a full disk left of one is an error, and what is read is written and read the same.
func FuzzPlan(f *testing.F) {
	for _, seed := range []string{
		`{"request":{"job":"1"},"created":"2026-11-21T10:00:00Z","layers":[{"digest":"` + digestA + `","size":1,"kind":"build","tier":"protected","from_store":true}],"reasons":{"build":"exact"},"cold_seconds":1,"damaged":null}`,
		`{"layers":[{}]}`, `null`, `{"layers":`, "",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		work := filepath.Join(t.TempDir(), "cache")
		must(t, os.MkdirAll(work, 0o700))
		must(t, replaceFile(filepath.Join(work, planName), data))
		p, err := readPlan(work)
		if err != nil {
			return
		}
		p.drop(digestA, Because(Corrupt, "damaged"))
		for _, l := range p.Layers {
			if l.Digest == digestA {
				t.Error("a layer that was dropped is there")
			}
		}
		written, err := json.Marshal(p)
		must(t, err)
		must(t, replaceFile(filepath.Join(work, planName), written))
		if again, err := readPlan(work); err != nil || len(again.Layers) != len(p.Layers) || len(again.Damaged) != len(p.Damaged) {
			t.Errorf("%s\nis read as %+v, %v", written, again, err)
		}
	})
}

// FuzzStoredKey lists a key that anybody may have put into the bucket: what is none of ours is never taken for an entry.
func FuzzStoredKey(f *testing.F) {
	r := request("1")
	p := r.pool("protected", "build")
	f.Add(strings.TrimPrefix(p.entryKey(time.Unix(1e9, 0), r.Graph, "1"), p.tier))
	f.Add("layers/" + digestA + ".sqfs")
	f.Add(strings.TrimPrefix(deadNote(p.tier, digestA, time.Unix(1e9, 0)), p.tier))
	f.Add("build/9999999999999999999-none-1.json")
	f.Add("layers/" + digestA + ".txt")
	f.Add("layers/README.sqfs")
	f.Add("0000000000000000000-none-0.json")
	f.Add("x/../layers/" + digestA + ".sqfs")
	f.Add("dead/99999999999999999999-")
	f.Add("/")
	f.Fuzz(func(t *testing.T, rest string) {
		tier := &storedTier{
			prefix: p.tier, pools: map[string]*storedPool{}, layers: map[string]store.Object{}, dead: map[string]store.Object{}, named: map[string]bool{},
		}
		tier.add(store.Object{Key: p.tier + rest, Size: 1}, rest)
		noteTime(p.tier + rest)
		for prefix, pool := range tier.pools {
			for _, key := range pool.entries {
				if !strings.HasPrefix(key, prefix) || !entryName.MatchString(strings.TrimPrefix(key, prefix)) || store.CheckPrefix(prefix) != nil {
					t.Errorf("%q is taken for an entry of %q", key, prefix)
				}
			}
		}
		for digest := range tier.layers {
			if !hash.MatchString(digest) || p.layerKey(digest) != p.tier+rest {
				t.Errorf("%q is taken for the layer %q", rest, digest)
			}
		}
		for digest := range tier.dead {
			if !hash.MatchString(digest) {
				t.Errorf("%q is taken for a note on %q", rest, digest)
			}
		}
	})
}
