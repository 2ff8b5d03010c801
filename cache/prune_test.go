package cache

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
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
	must(t, c.write(t.Context(), request("").pool("protected", "build"), entry)) // it had only been slow
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

// faulty is a store whose calls can be watched, and fail as the test says.
type faulty struct {
	store.Store
	get, remove func(key string) error
}

func (f faulty) Get(ctx context.Context, key string, limit int64) ([]byte, error) {
	if f.get != nil {
		if err := f.get(key); err != nil {
			return nil, err
		}
	}
	return f.Store.Get(ctx, key, limit)
}

func (f faulty) Delete(ctx context.Context, key string) error {
	if f.remove != nil {
		if err := f.remove(key); err != nil {
			return err
		}
	}
	return f.Store.Delete(ctx, key)
}

// failsIn fails for the keys of one tier.
func failsIn(tier string) func(key string) error {
	return func(key string) error {
		if strings.Contains(key, "/"+tier+"/") {
			return errDown
		}
		return nil
	}
}

// ofRef is the request of a job of an unprotected ref.
func ofRef(tier string) Request {
	r := request(tier)
	r.Tier, r.Below = tier, "protected"
	return r
}

func TestLayersOfEntriesThatCannotBeReadStay(t *testing.T) {
	t.Parallel()
	c := newCache(t)
	for _, tier := range []string{"ref-a", "ref-b"} {
		compiled(t, c, ofRef(tier), "crashed "+tier)
		must(t, c.Store.Delete(t.Context(), journalOf(t, c, ofRef(tier))[0].Key))
		compiled(t, c, ofRef(tier), tier)
	}
	c.Store = faulty{Store: c.Store, get: failsIn("ref-a")}
	done, err := c.PruneStore(t.Context(), PruneOptions{}, func(string) {}, func(string, int, int) {})
	if ReasonOf(err) != StoreUnreachable || !strings.Contains(err.Error(), "ref-a") || done.Waiting != 1 {
		t.Errorf("%+v, %v", done, err)
	}
	if keys := keysIn(t, c.Store); strings.Contains(keys, "ref-a/dead/") || !strings.Contains(keys, "ref-b/dead/") {
		t.Errorf("noted as dead:\n%s", keys)
	}
}

func TestAnEntryThatCannotBeRemovedKeepsItsLayerAndNothingElse(t *testing.T) {
	t.Parallel()
	c := newCache(t)
	for _, tier := range []string{"ref-a", "ref-b"} {
		for n := range problemsTold + 2 {
			crowd(t, c, ofRef(tier), n, 40*24*time.Hour)
		}
	}
	c.Store = faulty{Store: c.Store, remove: failsIn("ref-a")}
	done, err := c.PruneStore(t.Context(), PruneOptions{OlderThan: time.Hour}, func(string) {}, func(string, int, int) {})
	if ReasonOf(err) != StoreUnreachable || strings.Count(err.Error(), errDown.Error()) != problemsTold || !strings.Contains(err.Error(), "and 2 more such errors") {
		t.Errorf("told: %v", err)
	}
	if done.Entries != problemsTold+2 || done.Waiting != problemsTold+2 {
		t.Errorf("%+v", done)
	}
	if keys := keysIn(t, c.Store); strings.Contains(keys, "ref-a/dead/") || strings.Contains(keys, "ref-b/build/") {
		t.Errorf("left:\n%s", keys)
	}
}

// crowd puts the n-th entry of a pool into the store, with a layer of its own, as if a job had saved it so long ago.
func crowd(t *testing.T, c *Cache, r Request, n int, ago time.Duration) {
	t.Helper()
	p := r.pool(r.Tier, "build")
	digest := sum(fmt.Sprint(p.prefix, n))
	must(t, c.Store.Put(t.Context(), p.layerKey(digest), []byte("layer")))
	e := Entry{
		Created: time.Now().Add(-ago).Add(time.Duration(n)), Job: fmt.Sprint(n), Graphs: []string{"none"},
		Layer: &LayerRef{Digest: digest, Size: 5, Items: 1},
	}
	direct := *c
	direct.store = c.Store
	must(t, direct.write(t.Context(), p, e))
}

func TestHundredsOfEntriesGoSideBySideAndAllBeforeTheirLayers(t *testing.T) {
	t.Parallel()
	c := newCache(t)
	const refs, each = 20, 15
	for n := range refs * each {
		tier := fmt.Sprint("ref-", n%refs)
		age := time.Hour
		if n%refs > 0 {
			age = 40 * 24 * time.Hour
		}
		crowd(t, c, ofRef(tier), n, age)
	}
	month := PruneOptions{OlderThan: 30 * 24 * time.Hour}
	steps := map[string]int{}
	watched, pairs := c.Store, make(chan bool)
	var atWork, most, entriesLeft, tooEarly atomic.Int32
	entriesLeft.Store((refs - 1) * each)
	var first atomic.Int32
	c.Store = faulty{Store: watched, remove: func(key string) error {
		now := atWork.Add(1)
		defer atWork.Add(-1)
		for was := most.Load(); now > was && !most.CompareAndSwap(was, now); was = most.Load() {
		}
		if strings.Contains(key, "/layers/") && entriesLeft.Load() > 0 {
			tooEarly.Add(1)
		}
		if first.Add(1) <= 2 { // the first two meet
			select {
			case pairs <- true:
			case <-pairs:
			case <-time.After(time.Minute):
				return errors.New("nobody removes anything beside it")
			}
		}
		if strings.Contains(key, "/build/") {
			entriesLeft.Add(-1)
		}
		return nil
	}}
	done, err := c.PruneStore(t.Context(), month, func(string) {}, func(step string, done, all int) {
		if done != steps[step]+1 || done > all {
			t.Errorf("%s: %d of %d after %d", step, done, all, steps[step])
		}
		steps[step] = done
	})
	if gone := (refs - 1) * each; err != nil || done.Entries != gone || done.Waiting != gone || steps["removing entries"] != gone || steps["reading entries"] != each {
		t.Errorf("at first: %+v, %v, %v", done, steps, err)
	}
	aDayLater(t, c)
	clear(steps)
	if done, _ := pruned(t, c, month); done.Layers != (refs-1)*each || done.Bytes != 5*int64(done.Layers) || done.Waiting != 0 {
		t.Errorf("a day later: %+v", done)
	}
	if tooEarly.Load() > 0 || most.Load() > readAtOnce {
		t.Errorf("%d layers went before entries, %d calls at once", tooEarly.Load(), most.Load())
	}
	if keys := keysIn(t, watched); strings.Count(keys, "\n")+1 != 2*each || strings.Count(keys, "/ref-0/") != 2*each {
		t.Errorf("left:\n%s", keys)
	}
}

func TestWhoStopsAPruneCanGoOnLater(t *testing.T) {
	t.Parallel()
	c := newCache(t)
	for n := range 50 {
		crowd(t, c, ofRef("ref-a"), n, 40*24*time.Hour)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	old := PruneOptions{OlderThan: time.Hour}
	done, err := c.PruneStore(ctx, old, func(string) {}, func(string, int, int) { cancel(errors.New("that was enough")) })
	if done.Entries == 0 || done.Entries > 2*readAtOnce || done.Layers+done.Waiting > 0 {
		t.Errorf("%+v", done)
	}
	if err == nil || strings.Count(err.Error(), "that was enough") != 1 || !strings.Contains(err.Error(), "prune again") {
		t.Errorf("told: %v", err)
	}
	if rest, _ := pruned(t, c, old); done.Entries+rest.Entries != 50 || rest.Waiting != 50 {
		t.Errorf("the rest: %+v", rest)
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

// filesBelow are the names, sizes and times of all that is in a folder.
func filesBelow(t *testing.T, dir string) string {
	t.Helper()
	var all strings.Builder
	must(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err == nil && !d.IsDir() {
			fmt.Fprintln(&all, path, info.Size(), info.ModTime())
		} else if err == nil {
			fmt.Fprintln(&all, path, info.ModTime())
		}
		return err
	}))
	return all.String()
}

func TestADryRunChangesNothingOnTheHostAndInTheStore(t *testing.T) {
	t.Parallel()
	remote := t.TempDir()
	c := farHost(t, store.NewDirectory(remote))
	crowd(t, c, ofRef("ref-old"), 1, 2*time.Hour)
	crowd(t, c, ofRef("ref-new"), 1, 0)
	compiled(t, c, request("1"), "waits to be sent")
	host, shared := filesBelow(t, c.Dir), filesBelow(t, remote)
	if done, said := pruned(t, c, PruneOptions{OlderThan: time.Hour, DryRun: true}); done != (Pruned{Entries: 1, Waiting: 1}) || !strings.Contains(said, "ref-old") {
		t.Errorf("store: %+v %q", done, said)
	}
	done, err := c.PruneHost(t.Context(), HostOptions{Unused: true, DryRun: true}, func(string) {})
	if err != nil || done.Layers != 1 || done.Bytes == 0 {
		t.Errorf("host: %+v, %v", done, err)
	}
	if is := filesBelow(t, c.Dir); is != host {
		t.Errorf("the host was\n%s\nand is\n%s", host, is)
	}
	if is := filesBelow(t, remote); is != shared {
		t.Errorf("the store was\n%s\nand is\n%s", shared, is)
	}
}

func TestOldLayersGoFromTheHostUnlessAJobUsesThem(t *testing.T) {
	t.Parallel()
	c := newCache(t)
	var digests []string
	for i, tier := range []string{"ref-a", "ref-b", "ref-c", "ref-d"} {
		compiled(t, c, ofRef(tier), tier)
		digests = append(digests, journalOf(t, c, ofRef(tier))[0].Layer.Digest)
		used := time.Now().Add(time.Duration(i-10) * time.Hour)
		must(t, os.Chtimes(c.host.File(digests[i]), used, used))
	}
	busy := ofRef("ref-a")
	busy.Job = "busy"
	j := begin(t, c, busy)
	long := time.Now().Add(-100 * time.Hour)
	must(t, os.Chtimes(c.host.File(digests[0]), long, long))
	there := func() (found string) {
		for i, digest := range digests {
			if _, err := os.Stat(c.host.File(digest)); err == nil {
				found += string(rune('a' + i))
			}
		}
		return found
	}
	var said string
	prune := func(o HostOptions) Pruned {
		said = ""
		done, err := c.PruneHost(t.Context(), o, func(what string) { said += what + "\n" })
		must(t, err)
		return done
	}
	dry := prune(HostOptions{OlderThan: 8*time.Hour + 30*time.Minute, DryRun: true})
	if dry.Layers != 1 || dry.InUse != 1 || !strings.Contains(said, digests[1][:12]) || there() != "abcd" {
		t.Errorf("a dry run: %+v %q, on the host %s", dry, said, there())
	}
	if done := prune(HostOptions{OlderThan: 8*time.Hour + 30*time.Minute}); done != dry || !strings.Contains(said, digests[1][:12]) || there() != "acd" {
		t.Errorf("older than: %+v %q, on the host %s", done, said, there())
	}
	size, err := os.Stat(c.host.File(digests[0]))
	must(t, err)
	c.MaxSize = 100 * size.Size()
	if done := prune(HostOptions{MaxSize: 2 * size.Size()}); done.Layers != 1 || done.InUse != 1 || there() != "ad" {
		t.Errorf("beyond a size: %+v, on the host %s", done, there())
	}
	if done := prune(HostOptions{Unused: true}); done.Layers != 1 || done.InUse != 1 || there() != "a" {
		t.Errorf("unused: %+v, on the host %s", done, there())
	}
	if j.has("ref-a") == "" {
		t.Error("the job has lost its cache")
	}
	j.end()
}
