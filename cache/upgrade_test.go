package cache

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/kind"
	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/layer"
	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/store"
)

// Two releases share a store, or a host, while one is rolled out, and when it is rolled back. The later one here is made up: it writes what it
// may by the rules of docs/design.md and this one knows nothing of: fields of entries, classes of items, keys of another version and kind.

// laterRelease is a host of it.
type laterRelease struct {
	*testing.T
	c *Cache
}

// saves is what one of its jobs does that has compiled a package, and made something that only later releases know.
func (l laterRelease) saves(r Request, word string) (digest string) {
	l.Helper()
	output := "!<arch>\n" + word
	action := fmt.Sprintf("v1 %s %s %20d %20d\n", sum(word), sum(output), len(output), time.Now().UnixNano())
	items := []kind.Item{
		{ID: sum(word), Class: kind.Package, Detail: sum(output), Size: int64(len(output))},
		{ID: "tomorrow/" + word, Class: "tree-2", Detail: "anything", Size: 8},
	}
	content := map[string]string{
		sum(word)[:2] + "/" + sum(word) + "-a": action, sum(output)[:2] + "/" + sum(output) + "-d": output, "tomorrow/" + word: "tomorrow",
	}
	p := r.pool(r.Tier, r.headline())
	ref, err := l.c.writeLayer(l.Context(), p, items, func(yield func(layer.File, error) bool) {
		for name, text := range content {
			open := func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(text)), nil }
			if !yield(layer.File{Name: name, Mode: 0o666, ModTime: time.Now(), Size: int64(len(text)), Open: open}, nil) {
				return
			}
		}
	})
	must(l.T, err)
	e := Entry{Created: time.Now(), Job: r.Job, Speaker: "later", Graphs: []string{graphKey(r.Graph)}, Layer: ref}
	known, err := json.Marshal(e)
	must(l.T, err)
	data := append(bytes.TrimSuffix(known, []byte("}")), `,"tomorrow":{"a":[1,2]},"layers_2":"x"}`...)
	key := p.entryKey(e.Created, e.Graphs[0], e.Job)
	must(l.T, l.c.store.Put(l.Context(), key, l.c.sign(key, data)))
	return ref.Digest
}

// keysOfLater are objects that this release has no name for.
var keysOfLater = []string{
	"v2/gitlab.example.com/7/protected/anything", "v2/gitlab.example.com/7/protected/layers/" + digestOf("f") + ".sqfs",
	"v2/gitlab.example.com/7/protected/build/7459000000000000000-none-1.json", "v1/gitlab.example.com/7/protected/tomorrow/" + digestOf("d") + ".bin",
	"v1/gitlab.example.com/7/protected/layers/" + digestOf("e") + ".erofs", "v1/tomorrow.json",
}

func (l laterRelease) putsMore() {
	l.Helper()
	for _, key := range keysOfLater {
		must(l.T, l.c.Store.Put(l.Context(), key, []byte("of a later release")))
	}
}

func (l laterRelease) hasAll(digests ...string) {
	l.Helper()
	for _, key := range keysOfLater {
		if data, err := l.c.Store.Get(l.Context(), key, 100); err != nil || string(data) != "of a later release" {
			l.Errorf("%s: %q, %v", key, data, err)
		}
	}
	r := request("x")
	layers, _ := living(journalOf(l.T, l.c, r), r.Graph, maxEntries)
	for _, digest := range digests {
		if !slices.ContainsFunc(layers, func(l LayerRef) bool { return l.Digest == digest }) {
			l.Errorf("layer %.12s of the later release is no part of the pool any more", digest)
		}
		if _, err := l.c.Store.Get(l.Context(), r.pool(r.Tier, "build").layerKey(digest), 1<<20); err != nil {
			l.Error(err)
		}
	}
}

func TestTwoReleasesShareAStoreAndLoseNothing(t *testing.T) {
	t.Parallel()
	remote := store.NewDirectory(t.TempDir())
	options := Options{Store: remote, Far: true, SigningKey: "key"}
	old, other := hostOf(t, options), hostOf(t, options)
	next := laterRelease{t, other}
	next.putsMore()
	var words, digests []string
	for i := range mergeAt + 4 { // so often that pools are compacted
		mine, theirs := fmt.Sprintf("<old%d>", i), fmt.Sprintf("<next%d>", i)
		running := begin(t, old, request(fmt.Sprint("o", i))) // while the other one saves
		running.compile(mine)
		if i%4 == 0 {
			digests = append(digests, next.saves(request(fmt.Sprint("n", i)), theirs))
			words = append(words, theirs)
		}
		next.c.sends(t)
		if saved := running.end(); saved.Items == 0 || saved.Reason != "" {
			t.Errorf("%+v", saved)
		}
		words = append(words, mine)
		must(t, old.Tend(t.Context(), true))
		next.hasAll(digests...)
	}
	for name, c := range map[string]*Cache{"that was there": old, "of the later release": other, "that is new": hostOf(t, options)} {
		j := begin(t, c, request("last"))
		if found := j.has(words...); found != strings.Join(words, "") || j.got.Reason != Exact || len(j.got.Problems) > 0 {
			t.Errorf("a host %s finds %q of %+v", name, found, j.got)
		}
		j.opened(words...)
		if saved := j.end(); saved.Build.Hit == nil || *saved.Build.Hit != len(words) {
			t.Errorf("a host %s has hit %v of %d", name, saved.Build.Hit, len(words))
		}
	}
	if layers, _ := living(journalOf(t, old, request("x")), "", maxEntries); len(layers) >= len(words)-2 {
		t.Errorf("%d layers: nothing was compacted", len(layers))
	}
	if _, err := old.PruneStore(t.Context(), PruneOptions{OlderThan: time.Hour}, func(string) {}, func(string, int, int) {}); err != nil {
		t.Error(err)
	}
	next.hasAll(digests...)
}

func TestPruningEverythingLeavesWhatOtherReleasesHaveInAStore(t *testing.T) {
	t.Parallel()
	c := newCache(t)
	next := laterRelease{t, c}
	next.putsMore()
	next.saves(request("1"), "a")
	for range 2 {
		if _, err := c.PruneStore(t.Context(), PruneOptions{OlderThan: time.Nanosecond, MaxSize: 1}, func(string) {}, func(string, int, int) {}); err != nil {
			t.Error(err)
		}
	}
	next.hasAll()
	if entries := journalOf(t, c, request("x")); len(entries) > 0 {
		t.Errorf("%d entries are left", len(entries))
	}
}

func TestWhatALaterReleaseHasSavedIsNothingThatAJobOfThisOneHas(t *testing.T) {
	t.Parallel()
	items := itemsOf([]indexed{
		{items: []kind.Item{{ID: "a", Class: "tree-2"}}}, {items: []kind.Item{{ID: "a", Class: kind.Package}, {ID: "b", Class: "tree-2"}}},
	})
	if len(items) != 1 || items["a"].Class != kind.Package {
		t.Errorf("%v", items)
	}
}

// A plan of another release is a lease like any other, and its job can be saved by this one.
func TestAJobThatBeganUnderAnotherReleaseEndsUnderThisOne(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(plan map[string]any){
		"a later one": func(plan map[string]any) { plan["tomorrow"] = []int{1} },
		"an earlier one": func(plan map[string]any) {
			delete(plan, "damaged")
			delete(plan, "cold_seconds")
			delete(plan["request"].(map[string]any), "max_sizes")
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCache(t)
			compiled(t, c, request("1"), "a")
			j := begin(t, c, request("2"))
			j.compile("b")
			file := filepath.Join(WorkOf(j.dir).Dir, planName)
			data, err := os.ReadFile(file)
			must(t, err)
			var p map[string]any
			must(t, json.Unmarshal(data, &p))
			change(p)
			data, err = json.Marshal(p)
			must(t, err)
			must(t, os.WriteFile(file, data, 0o600))
			must(t, c.Housekeep(t.Context(), true))
			if found := j.has("a", "b"); found != "ab" {
				t.Errorf("its caches hold %q", found)
			}
			if saved := j.end(); saved.Items != 1 {
				t.Errorf("%+v", saved)
			}
			if found, _ := sees(t, c, request("3"), "a", "b"); found != "ab" {
				t.Errorf("the next job finds %q", found)
			}
		})
	}
}

// What a later release has left on a host to be done.
func TestAHostThatIsRolledBackDoesWhatTheLaterReleaseLeftAsFarAsItCan(t *testing.T) {
	t.Parallel()
	remote := store.NewDirectory(t.TempDir())
	c := farHost(t, remote)
	next := laterRelease{t, c}
	digest := next.saves(request("1"), "a") // it waits in the spool
	must(t, c.store.Put(t.Context(), "v2/waits", []byte("x")))
	const pool = "v2/t/k/00-none-1.json"
	must(t, remote.Put(t.Context(), pool, []byte("{}")))
	marks := []string{filepath.Join(c.Dir, grownFolder, "tomorrow.json"), filepath.Join(c.Dir, grownFolder, "crashed.json") + takenMark}
	must(t, os.MkdirAll(filepath.Join(c.Dir, grownFolder), 0o700))
	for _, mark := range marks {
		must(t, os.WriteFile(mark, []byte(`{"tier":"v2/t/","prefix":"v2/t/k/","kind":"build","tomorrow":1}`), 0o600))
	}
	must(t, c.Tend(t.Context(), true))
	if objects, _, err := c.Waiting(t.Context()); objects != 0 || err != nil {
		t.Errorf("%d objects wait, %v", objects, err)
	}
	for _, key := range []string{"v2/waits", pool} {
		if _, err := remote.Get(t.Context(), key, 9); err != nil {
			t.Error(err)
		}
	}
	for _, mark := range marks {
		if _, err := os.Stat(mark); err != nil {
			t.Errorf("the later release will not know that a pool of its own has grown: %v", err)
		}
	}
	fresh := begin(t, farHost(t, remote), request("2"))
	if found := fresh.has("a"); found != "a" || fresh.got.Reason != Exact {
		t.Errorf("found %q of layer %.12s, %+v", found, digest, fresh.got)
	}
}
