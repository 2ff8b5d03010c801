package cache

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/store"
)

// pruned prunes the store and tells what was said.
func pruned(t *testing.T, c *Cache, o PruneOptions) (Pruned, string) {
	t.Helper()
	var said []string
	done, err := c.PruneStore(t.Context(), o, func(what string) { said = append(said, what) }, func(string, int, int) {})
	must(t, err)
	return done, strings.Join(said, "\n")
}

// aged takes the entries of a request's pool for as much older.
func aged(t *testing.T, c *Cache, r Request, by time.Duration) {
	t.Helper()
	p := r.pool(r.Tier, "build")
	for _, e := range journalOf(t, c, r) {
		key := e.Key
		e.Created = e.Created.Add(-by)
		must(t, c.write(t.Context(), p, e))
		must(t, c.Store.Delete(t.Context(), key))
	}
}

// aDayLater takes the notes of layers that nothing names for older.
func aDayLater(t *testing.T, c *Cache) {
	t.Helper()
	objects, err := c.Store.List(t.Context(), "", 0)
	must(t, err)
	for _, o := range objects {
		tier, name, found := strings.Cut(o.Key, "dead/")
		if !found {
			continue
		}
		_, digest, _ := strings.Cut(strings.TrimSuffix(name, ".json"), "-")
		must(t, c.Store.Put(t.Context(), deadNote(tier, digest, time.Now().Add(-25*time.Hour)), nil))
		must(t, c.Store.Delete(t.Context(), o.Key))
	}
}

func keysIn(t *testing.T, s store.Store) string {
	t.Helper()
	objects, err := s.List(t.Context(), "", 0)
	must(t, err)
	var keys []string
	for _, o := range objects {
		keys = append(keys, o.Key)
	}
	return strings.Join(keys, "\n")
}

func TestWhatNoJobHasUsedForLongGoesFromTheStoreEntriesFirst(t *testing.T) {
	t.Parallel()
	c := newCache(t)
	old := request("1")
	old.Tier, old.Below = "ref-gone", ""
	compiled(t, c, old, "old")
	aged(t, c, old, 40*24*time.Hour)
	compiled(t, c, request("2"), "kept")
	before := keysIn(t, c.Store)
	month := PruneOptions{OlderThan: 30 * 24 * time.Hour}

	dry := month
	dry.DryRun = true
	if done, said := pruned(t, c, dry); done.Entries != 1 || done.Waiting != 1 || !strings.Contains(said, "ref-gone") || keysIn(t, c.Store) != before {
		t.Errorf("a dry run: %+v %q", done, said)
	}
	if done, _ := pruned(t, c, PruneOptions{OlderThan: month.OlderThan, Project: "8"}); done != (Pruned{}) || keysIn(t, c.Store) != before {
		t.Errorf("another project: %+v", done)
	}
	if done, _ := pruned(t, c, month); done.Entries != 1 || done.Layers != 0 || done.Waiting != 1 {
		t.Errorf("at first: %+v", done)
	}
	if keys := keysIn(t, c.Store); strings.Count(keys, "ref-gone/layers/") != 1 {
		t.Errorf("the layer has gone with its entry:\n%s", keys)
	}
	if done, _ := pruned(t, c, month); done.Layers != 0 || done.Waiting != 1 {
		t.Errorf("an hour later: %+v", done)
	}
	aDayLater(t, c)
	if done, _ := pruned(t, c, month); done.Layers != 1 || done.Bytes == 0 || done.Waiting != 0 {
		t.Errorf("a day later: %+v", done)
	}
	if keys := keysIn(t, c.Store); strings.Contains(keys, "ref-gone") {
		t.Errorf("left:\n%s", keys)
	}
	if found, _ := sees(t, c, request("3"), "kept"); found != "kept" {
		t.Errorf("found %q", found)
	}
}

func TestALayerThatIsNamedAgainStays(t *testing.T) {
	t.Parallel()
	c := newCache(t)
	compiled(t, c, request("1"), "a")
	entry := journalOf(t, c, request(""))[0]
	must(t, c.Store.Delete(t.Context(), entry.Key)) // as if its job had crashed before it wrote the entry
	pruned(t, c, PruneOptions{})
	aDayLater(t, c)
	p := request("").pool("protected", "build")
	must(t, c.write(t.Context(), p, entry))                                             // it had only been slow
	must(t, c.Store.Put(t.Context(), deadNote(p.tier, digestOf("b"), time.Now()), nil)) // a compaction has removed this one
	if done, _ := pruned(t, c, PruneOptions{}); done != (Pruned{}) {
		t.Errorf("%+v", done)
	}
	must(t, c.Housekeep(t.Context(), true))
	if found, _ := sees(t, c, request("3"), "a"); found != "a" {
		t.Errorf("found %q", found)
	}
	if keys := keysIn(t, c.Store); strings.Contains(keys, "/dead/") {
		t.Errorf("a note is left:\n%s", keys)
	}
}

func TestLayersThatWereReplacedTodayStay(t *testing.T) {
	t.Parallel()
	c := newCache(t)
	for n := range 2 * mergeAt {
		compiled(t, c, request(fmt.Sprint(n)), fmt.Sprint("w", n))
	}
	if done, said := pruned(t, c, PruneOptions{}); done != (Pruned{}) {
		t.Errorf("%+v: %s", done, said)
	}
}

func TestBeyondItsSizeTheStoreDropsTheTiersThatWereUsedLongestAgo(t *testing.T) {
	t.Parallel()
	c := newCache(t)
	for i, tier := range []string{"ref-a", "ref-b", "protected"} {
		r := request(tier)
		r.Tier = tier
		compiled(t, c, r, tier)
		aged(t, c, r, time.Duration(10-i)*time.Hour)
	}
	layer := int64(4096) // of a small one
	done, said := pruned(t, c, PruneOptions{MaxSize: 2 * layer})
	if done.Entries != 1 || !strings.Contains(said, "ref-a") {
		t.Errorf("%+v: %s", done, said)
	}
}

func TestTiersOfRefsThatAreGoneGoFromOneProjectAlone(t *testing.T) {
	t.Parallel()
	c := newCache(t)
	fork := ofRef("ref-gone")
	fork.Project = "8"
	other := ofRef("ref-gone")
	other.Instance = "gitlab.example.org"
	for _, r := range []Request{request("1"), ofRef("ref-there"), ofRef("ref-gone"), fork} {
		crowd(t, c, r, 1, time.Hour)
	}
	stay := map[string]bool{"protected": true, "ref-there": true}
	quiet := func(string) {}
	for name, o := range map[string]PruneOptions{"of all projects": {Tiers: stay}, "all tiers": {Project: "7", Tiers: map[string]bool{}}} {
		if done, err := c.PruneStore(t.Context(), o, quiet, func(string, int, int) {}); err == nil || done != (Pruned{}) {
			t.Errorf("%s: %+v, %v", name, done, err)
		}
	}
	if done, said := pruned(t, c, PruneOptions{Project: "7", Tiers: stay}); done.Entries != 1 || !strings.Contains(said, "gitlab.example.com/7/ref-gone/") {
		t.Errorf("%+v %q", done, said)
	}
	if keys := keysIn(t, c.Store); strings.Count(keys, "/build/") != 3 {
		t.Errorf("left:\n%s", keys)
	}

	crowd(t, c, other, 1, time.Hour)
	_, err := c.PruneStore(t.Context(), PruneOptions{Project: "7", Tiers: stay}, quiet, func(string, int, int) {})
	if err == nil || !strings.Contains(err.Error(), "gitlab.example.com/7, gitlab.example.org/7") {
		t.Errorf("two GitLabs have a project 7: %v", err)
	}
	if done, said := pruned(t, c, PruneOptions{Project: "gitlab.example.org/7", Tiers: stay}); done.Entries != 1 || !strings.Contains(said, "gitlab.example.org/7/ref-gone/") {
		t.Errorf("%+v %q", done, said)
	}
}
