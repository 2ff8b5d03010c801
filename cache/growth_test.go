package cache

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/store"
)

// What grows with each job, graph, ref or toolchain, and must not do so for ever.

// remoteOf is a store in a folder, which is given too: thousands of entries are written there faster than by the store, which has each be on disk.
func remoteOf(t *testing.T) (*store.Directory, string) {
	t.Helper()
	dir := t.TempDir()
	return store.NewDirectory(dir), dir
}

// writeEntries puts n entries into a pool, one an hour, the newest an hour ago.
func writeEntries(t *testing.T, dir string, p pool, n int, entry func(i int) Entry) {
	t.Helper()
	must(t, os.MkdirAll(filepath.Join(dir, p.prefix), 0o700))
	for i := range n {
		e := entry(i)
		e.Created, e.Job = time.Now().Add(-time.Hour*time.Duration(n-i)), fmt.Sprint(i)
		data, err := json.Marshal(e)
		must(t, err)
		must(t, os.WriteFile(filepath.Join(dir, p.entryKey(e.Created, e.Graphs[0], e.Job)), data, 0o600))
	}
}

func entriesLeft(t *testing.T, c *Cache, p pool) []store.Object {
	t.Helper()
	objects, err := c.Store.List(t.Context(), p.prefix, 0)
	must(t, err)
	return objects
}

func TestAPoolDoesNotKeepEachGraphThatItEverHad(t *testing.T) {
	t.Parallel()
	remote, dir := remoteOf(t)
	c := farHost(t, remote)
	r := request("1")
	p := r.pool(r.Tier, "build")
	const n = maxEntries + 200
	writeEntries(t, dir, p, n, func(i int) Entry {
		e := Entry{Graphs: []string{sum(fmt.Sprint(i))}}
		if i == 0 { // what the first job saved is still of use, and comes into view again when the others have gone
			e.Layer = &LayerRef{Digest: digestOf("a"), Size: foreground + 1}
		}
		return e
	})
	must(t, c.noteGrown(p))
	must(t, c.Compact(t.Context(), true))
	entries := journalOf(t, c, r)
	if len(entries) != graphsKept+1 || entries[graphsKept].Layer == nil || !entries[0].isFor(sum(fmt.Sprint(n-1))) {
		t.Errorf("%d entries are left", len(entries))
	}
}

func TestEntriesThatNobodyReadsAnyMoreGo(t *testing.T) {
	t.Parallel()
	remote, dir := remoteOf(t)
	c := farHost(t, remote)
	r := request("1")
	p := r.pool(r.Tier, "build")
	g := []string{sum("g")}
	const n = maxEntries + 100 // within thirty days, so that every word counts
	writeEntries(t, dir, p, n, func(i int) Entry {
		return Entry{Graphs: g, Speaker: fmt.Sprint(i), Used: map[string]Bits{digestOf("a"): {1}}}
	})
	before := entriesLeft(t, c, p)
	must(t, c.noteGrown(p))
	must(t, c.Compact(t.Context(), true))
	if left := entriesLeft(t, c, p); !slices.Equal(left, before[:maxEntries]) {
		t.Errorf("%d entries are left, want the newest %d", len(left), maxEntries)
	}
}

func TestAJournalOfHugeEntriesIsReadAsFarAsMemoryIsForIt(t *testing.T) {
	t.Parallel()
	remote, dir := remoteOf(t)
	r := request("1")
	p := r.pool(r.Tier, "build")
	const n = 2 * maxRead / maxEntrySize
	writeEntries(t, dir, p, n, func(int) Entry { return Entry{Graphs: []string{sum("g")}} })
	c := farHost(t, remote)
	objects := entriesLeft(t, c, p)
	for _, o := range objects[1:] { // the newest one is as it should be
		must(t, os.Truncate(filepath.Join(dir, o.Key), maxEntrySize))
	}
	var asked atomic.Int32
	c.store = faulty{Store: remote, get: func(key string) error {
		if key == objects[0].Key {
			return nil
		}
		asked.Add(1)
		return errDown
	}}
	entries, problems, err := c.journal(t.Context(), p)
	last := problems[len(problems)-1]
	told := slices.ContainsFunc(problems, func(err error) bool { return strings.Contains(err.Error(), "more than") })
	if err != nil || len(entries) != 1 || asked.Load() >= n/2 || !told {
		t.Errorf("%d entries, %d asked for, %v, %v", len(entries), asked.Load(), last, err)
	}
}

func TestAPoolThatCannotBeCompactedKeepsNoOtherFromItsTurn(t *testing.T) {
	t.Parallel()
	c := newCache(t)
	mark := func(p pool) string { return filepath.Join(c.Dir, grownFolder, p.name()+".json") }
	pools := make([]pool, 3)
	for i := range pools {
		pools[i] = ofRef(fmt.Sprint("ref-", i)).pool(fmt.Sprint("ref-", i), "build")
		must(t, c.noteGrown(pools[i]))
		at := time.Now().Add(-time.Hour * time.Duration(1+i)) // not in the order of their names
		must(t, os.Chtimes(mark(pools[i]), at, at))
	}
	must(t, c.noteGrown(pools[1])) // again, which costs it nothing
	var order []string
	note := func(prefix string) error {
		for i, p := range pools {
			if p.prefix == prefix && !slices.Contains(order, fmt.Sprint(i)) {
				order = append(order, fmt.Sprint(i))
			}
		}
		if prefix == pools[2].prefix {
			return errDown
		}
		return nil
	}
	c.Store = listed{c.Store, note}
	if err := c.Compact(t.Context(), true); !errors.Is(err, errDown) {
		t.Error(err)
	}
	if got := strings.Join(order, ""); got != "210" {
		t.Errorf("in the order %s", got)
	}
	if time.Since(turnOf(mark(pools[2]))) > time.Minute {
		t.Error("what failed comes first again")
	}
}

func TestWhatAHostKeepsOfPoolsThatAreGoneGoesToo(t *testing.T) {
	t.Parallel()
	remote, _ := remoteOf(t)
	a, b := farHost(t, remote), farHost(t, remote)
	compiled(t, a, request("1"), "a")
	compiled(t, a, ofRef("ref-1"), "b")
	a.sends(t)
	for _, r := range []Request{request("2"), ofRef("ref-1")} {
		if _, reason := sees(t, b, r); reason != Exact {
			t.Fatal(reason)
		}
	}
	copies := func(tier string) string {
		return filepath.Join(b.Dir, "spool", "known", "v1", "gitlab.example.com", "7", tier)
	}
	locks := func() (names []string) {
		entries, err := os.ReadDir(filepath.Join(b.Dir, "locks"))
		must(t, err)
		for _, e := range entries {
			if !strings.HasPrefix(e.Name(), ".") {
				names = append(names, e.Name())
			}
		}
		return names
	}
	compiled(t, b, request("3"), "c") // which locks its pool
	old := time.Now().Add(-8 * 24 * time.Hour)
	must(t, filepath.WalkDir(b.Dir, func(path string, e fs.DirEntry, err error) error {
		if err == nil && e.Type().IsRegular() && (strings.Contains(path, "/known/") || strings.Contains(path, "/locks/")) {
			err = os.Chtimes(path, old, old)
		}
		return err
	}))
	if _, reason := sees(t, b, request("4")); reason != Exact { // which is still used
		t.Fatal(reason)
	}
	if len(locks()) == 0 {
		t.Fatal("there are no locks")
	}
	must(t, b.Housekeep(t.Context(), false))
	if _, err := os.Stat(copies("ref-1")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("copies of a pool that nobody reads stay: %v", err)
	}
	if _, err := os.Stat(copies("protected")); err != nil {
		t.Error(err)
	}
	if left := locks(); len(left) > 0 {
		t.Errorf("locks stay: %v", left)
	}
	compiled(t, b, request("5"), "d")
	if found, _ := sees(t, b, request("6"), "a", "c", "d"); found != "acd" {
		t.Errorf("found %q", found)
	}
}
