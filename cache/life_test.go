package cache

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/store"
)

func TestWhatOneJobCompilesTheNextOneHas(t *testing.T) {
	t.Parallel()
	c := newCache(t)
	first := begin(t, c, request("1"))
	if first.got.Reason != FirstRun || first.got.Layers != 0 {
		t.Errorf("%+v", first.got)
	}
	first.compile("a", "b")
	if saved := first.end(); saved.Items != 2 || *saved.Build.New != 2 || saved.Bytes == 0 {
		t.Errorf("%+v", saved)
	}
	if _, err := os.Stat(WorkOf(first.dir).Dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the work folder is left: %v", err)
	}

	second := begin(t, c, request("2"))
	if got := second.got; got.Reason != Exact || got.Layers != 1 || got.Packages != 2 || got.Fetched != 0 {
		t.Errorf("%+v", got)
	}
	if found := second.has("a", "b", "c"); found != "ab" {
		t.Errorf("found %q", found)
	}
	second.compile("c")
	second.opened("a")
	saved := second.end()
	if *saved.Build.Hit != 1 || *saved.Build.New != 1 || *saved.Build.Available != 2 || saved.Items != 1 {
		t.Errorf("hit %d, new %d, available %d, %d saved", *saved.Build.Hit, *saved.Build.New, *saved.Build.Available, saved.Items)
	}
	if found, _ := sees(t, c, request("3"), "a", "b", "c"); found != "abc" {
		t.Errorf("found %q", found)
	}
}

func TestWhereNobodyWatchedHitsAreUnknown(t *testing.T) {
	t.Parallel()
	c := newCache(t)
	compiled(t, c, request("1"), "a")
	begun := begin(t, c, request("2"))
	if err := os.WriteFile(filepath.Join(WorkOf(begun.dir).Dir, fmt.Sprintf(watchBegun, 1)), nil, 0o600); err != nil { // and was never ended
		t.Fatal(err)
	}
	for what, j := range map[string]*testJob{"a watch that was not ended": begun, "no watch at all": begin(t, c, request("3"))} {
		if saved := j.end(); saved.Build.Hit != nil || saved.Build.New == nil {
			t.Errorf("%s: %+v", what, saved.Build)
		}
	}
	for _, e := range journalOf(t, c, request("")) {
		if e.Used != nil {
			t.Errorf("and yet the journal says what job %s used", e.Job)
		}
	}
}

// A host may count no hits, and another one's kernel may be too old.
func TestWhereNobodyWatchesNothingIsForgotten(t *testing.T) {
	t.Parallel()
	c := newCache(t)
	compiled(t, c, request("0"), "kept")
	for n := range 2 * mergeAt {
		compiled(t, c, request(fmt.Sprint(n+1)), fmt.Sprint("n", n))
		must(t, c.Tend(t.Context(), true))
	}
	if found, _ := sees(t, c, request("last"), "kept", "n0"); found != "keptn0" {
		t.Errorf("left is %q", found)
	}
}

func TestTheNearestBaseIsTakenAndSaidWhy(t *testing.T) {
	t.Parallel()
	c := newCache(t)
	compiled(t, c, request("1"), "a")
	for _, test := range []struct {
		name   string
		change func(*Request)
		found  string
		reason Reason
	}{
		{"the same graph", func(*Request) {}, "a", Exact},
		{"another graph", func(r *Request) { r.Graph = digestOf("b") }, "a", Nearest},
		{"no graph", func(r *Request) { r.Graph = "" }, "a", Nearest},
		{"another toolchain", func(r *Request) { r.Toolchain = "go1.27.0" }, "", NewToolchain},
		{"another platform", func(r *Request) { r.Platform = "linux-arm64" }, "", NewPlatform},
		{"another project", func(r *Request) { r.Project = "8" }, "", FirstRun},
		{"another GitLab", func(r *Request) { r.Instance = "gitlab.example.org" }, "", FirstRun},
		{"another ref that reads the protected tier", func(r *Request) { r.Tier, r.Below = "ref-1-x", "protected" }, "a", Exact},
		{"another ref that does not", func(r *Request) { r.Tier = "ref-1-x" }, "", FirstRun},
	} {
		r := request("2")
		test.change(&r)
		if found, reason := sees(t, c, r, "a"); found != test.found || reason != test.reason {
			t.Errorf("%s: found %q, %s; want %q, %s", test.name, found, reason, test.found, test.reason)
		}
	}
	// A job of another graph that adds nothing makes that graph known.
	r := request("3")
	r.Graph = digestOf("b")
	begin(t, c, r).end()
	if _, reason := sees(t, c, r, "a"); reason != Exact {
		t.Errorf("after a job with nothing to add: %s", reason)
	}
}

func TestAnUnprotectedRefReadsTwoTiersAndWritesItsOwn(t *testing.T) {
	t.Parallel()
	c := newCache(t)
	ref := func(job, name string) Request {
		r := request(job)
		r.Tier, r.Below = "ref-"+name, "protected"
		return r
	}
	compiled(t, c, request("1"), "p")
	compiled(t, c, ref("2", "x"), "x")
	compiled(t, c, ref("3", "y"), "y")
	for _, test := range []struct {
		r    Request
		want string
	}{{request("4"), "p"}, {ref("4", "x"), "px"}, {ref("4", "y"), "py"}, {ref("4", "z"), "p"}} {
		if found, _ := sees(t, c, test.r, "p", "x", "y"); found != test.want {
			t.Errorf("tier %s sees %q, want %q", test.r.Tier, found, test.want)
		}
	}
}

func TestJobsAtTheSameTimeLoseNothingAndSaveNothingTwice(t *testing.T) {
	t.Parallel()
	c := newCache(t)
	const jobs = 10
	var begun []*testJob
	for n := range jobs {
		begun = append(begun, begin(t, c, request(fmt.Sprint(n))))
	}
	var group sync.WaitGroup
	saved := make([]Saved, jobs)
	var own []string
	for n, j := range begun {
		word := string(rune('a' + n))
		own = append(own, word)
		j.compile("same", word)
		group.Go(func() { saved[n] = j.end() })
	}
	group.Wait()
	items := 0
	for _, s := range saved {
		items += s.Items
	}
	if items != jobs+1 {
		t.Errorf("%d entries were saved, want each job's own and the common one once: %d", items, jobs+1)
	}
	if found, _ := sees(t, c, request("last"), append(own, "same")...); found != strings.Join(own, "")+"same" {
		t.Errorf("afterwards there is %q", found)
	}
}

func TestAnotherHostFetchesWhatItLacks(t *testing.T) {
	t.Parallel()
	c := newCache(t)
	compiled(t, c, request("1"), "a", "b")
	other := sameStore(t, c)
	j := begin(t, other, request("2"))
	if j.got.Fetched != 1 || j.has("a", "b") != "ab" {
		t.Errorf("%+v, found %q", j.got, j.has("a", "b"))
	}
	j.opened("a")
	if saved := j.end(); *saved.Build.Hit != 1 {
		t.Errorf("%+v", saved.Build)
	}
	if again := begin(t, other, request("3")); again.got.Fetched != 0 {
		t.Errorf("fetched %d layers again", again.got.Fetched)
	}
}

func TestModesAreObeyed(t *testing.T) {
	t.Parallel()
	c := newCache(t)
	if saved := compiled(t, c, request("1"), "a"); saved.Reason != "" {
		t.Errorf("not all was saved: %s", saved.Reason)
	}
	r := request("2")
	r.Mode = NoSave
	if saved := compiled(t, c, r, "b"); saved.Items != 0 || *saved.Build.New != 1 || saved.Reason != ReadOnly {
		t.Errorf("read-only: %+v", saved)
	}
	if found, _ := sees(t, c, request("3"), "a", "b"); found != "a" {
		t.Errorf("after read-only there is %q", found)
	}
	r.Mode = FromNewest
	j := begin(t, c, r)
	if found := j.has("a"); found != "" || j.got.Reason != Refreshed {
		t.Errorf("refresh begins with %q, %s", found, j.got.Reason)
	}
	j.compile("c")
	j.end()
	if found, _ := sees(t, c, request("4"), "a", "c"); found != "c" {
		t.Errorf("after refresh there is %q", found)
	}
}

func TestARefThatHasSavedTheSameAsTheProtectedTierIsWarm(t *testing.T) {
	t.Parallel()
	c := newCache(t)
	branch := request("1")
	branch.Tier, branch.Below = "ref-a", ""
	compiled(t, c, branch, "a")
	saved := journalOf(t, c, branch)[0]
	merged := request("2").pool("protected", "build") // modules are the same bytes, whoever saves them
	must(t, c.Store.PutFile(t.Context(), merged.layerKey(saved.Layer.Digest), c.host.File(saved.Layer.Digest)))
	must(t, c.write(t.Context(), merged, saved))

	next := branch
	next.Job, next.Below = "3", "protected"
	j := begin(t, c, next)
	if found := j.has("a"); found != "a" || j.got.Layers != 1 || len(j.got.Problems) > 0 {
		t.Errorf("found %q of %+v", found, j.got)
	}
	j.end()
}

func TestADamagedLayerCostsItselfAndIsReplaced(t *testing.T) {
	t.Parallel()
	for name, damage := range map[string]func(t *testing.T, c *Cache, stored, digest string){
		"gone from the store":    func(t *testing.T, _ *Cache, stored, _ string) { must(t, os.Remove(stored)) },
		"truncated in the store": func(t *testing.T, _ *Cache, stored, _ string) { must(t, os.Truncate(stored, 100)) },
		"another one in its place": func(t *testing.T, _ *Cache, stored, _ string) {
			must(t, os.WriteFile(stored, make([]byte, 4096), 0o600))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			c := hostOf(t, Options{Store: store.NewDirectory(dir)})
			compiled(t, c, request("1"), "a")
			compiled(t, c, request("2"), "b")
			entries := journalOf(t, c, request(""))
			digest := entries[0].Layer.Digest
			must(t, c.Housekeep(t.Context(), true))
			p := request("").pool("protected", "build")
			damage(t, c, filepath.Join(dir, p.layerKey(digest)), digest)

			j := begin(t, c, request("3"))
			if found := j.has("a", "b"); found != "a" || len(j.got.Problems) != 1 || ReasonOf(j.got.Problems[0]) != Corrupt {
				t.Errorf("found %q, problems %v", found, j.got.Problems)
			}
			j.compile("b")
			j.end()
			must(t, c.Housekeep(t.Context(), true))
			last := begin(t, c, request("4"))
			if found := last.has("a", "b"); found != "ab" || len(last.got.Problems) > 0 {
				t.Errorf("afterwards: found %q, problems %v", found, last.got.Problems)
			}
		})
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// brokenStore fails as it is told.
type brokenStore struct {
	store.Store
	err error
}

func (b brokenStore) List(context.Context, string, int) ([]store.Object, error) { return nil, b.err }

func (b brokenStore) Get(context.Context, string, int64) ([]byte, error) { return nil, b.err }

func TestWithoutAStoreAJobHasEmptyCachesAndAReason(t *testing.T) {
	t.Parallel()
	for want, err := range map[Reason]error{
		StoreUnreachable: errors.New("connection refused"),
		StoreRefused:     fmt.Errorf("access denied: %w", store.ErrRefused),
		TooSlow:          context.DeadlineExceeded,
	} {
		c := newCache(t)
		c.store = brokenStore{c.store, err}
		j := begin(t, c, request("1"))
		if j.got.Reason != want || len(j.got.Problems) != 1 {
			t.Errorf("%+v, want %s", j.got, want)
		}
		j.compile("a")
		if _, err := c.Save(t.Context(), j.dir, true); ReasonOf(err) != want {
			t.Errorf("save: %v, want %s", err, want)
		}
		if _, err := os.Stat(WorkOf(j.dir).Dir); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("the work folder is left: %v", err)
		}
	}
}

func TestWhatAKilledJobHasMadeIsSalvaged(t *testing.T) {
	t.Parallel()
	c := newCache(t)
	compiled(t, c, request("1"), "a")
	j := begin(t, c, request("2"))
	j.compile("b")
	must(t, c.Abandon(t.Context(), j.dir))
	if _, err := os.Stat(WorkOf(j.dir).Dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the job's folder cannot be removed: %v", err)
	}
	var results []error
	must(t, c.Salvage(t.Context(), func(_ Saved, err error) { results = append(results, err) }))
	if len(results) != 1 || results[0] != nil {
		t.Errorf("salvaged: %v", results)
	}
	if found, _ := sees(t, c, request("3"), "a", "b"); found != "ab" {
		t.Errorf("found %q", found)
	}
	if left, _ := c.salvageable(); len(left) > 0 {
		t.Errorf("left: %v", left)
	}

	// One whose save was cut short is kept as well.
	j = begin(t, c, request("4"))
	j.compile("c")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.Save(ctx, j.dir, true); err == nil {
		t.Error("a save without time succeeded")
	}
	must(t, c.Salvage(t.Context(), func(_ Saved, err error) { must(t, err) }))
	if found, _ := sees(t, c, request("5"), "a", "b", "c"); found != "abc" {
		t.Errorf("found %q", found)
	}

	// What is too old, and what a read-only job left, goes.
	r := request("6")
	r.Mode = NoSave
	j = begin(t, c, r)
	must(t, c.Abandon(t.Context(), j.dir))
	if left, _ := c.salvageable(); len(left) > 0 {
		t.Errorf("of a read-only job: %v", left)
	}
}

func TestTheHostKeepsWhatIsInUseAndDropsTheOldest(t *testing.T) {
	t.Parallel()
	c := newCache(t)
	for _, project := range []string{"1", "2", "3"} {
		r := request(project)
		r.Project = project
		compiled(t, c, r, "a"+project)
	}
	digest := func(project string) string {
		r := request("")
		r.Project = project
		layers, _ := living(journalOf(t, c, r), "", maxEntries)
		return layers[0].Digest
	}
	for i, project := range []string{"2", "1", "3"} {
		used := time.Now().Add(time.Duration(i-10) * time.Minute)
		must(t, os.Chtimes(c.host.File(digest(project)), used, used))
	}
	busy := request("9")
	busy.Project = "2"
	j := begin(t, c, busy) // the oldest is in use
	old := time.Now().Add(-20 * time.Minute)
	must(t, os.Chtimes(c.host.File(digest("2")), old, old))

	files, err := c.host.Files()
	must(t, err)
	c.MaxSize = 2 * files[0].Size
	must(t, c.Housekeep(t.Context(), false))
	left := func() (found string) {
		for _, project := range []string{"1", "2", "3"} {
			if _, err := os.Stat(c.host.File(digest(project))); err == nil {
				found += project
			}
		}
		return found
	}
	if got := left(); got != "23" {
		t.Errorf("on the host: %s, want 2, which is in use, and 3, which was used last", got)
	}
	if held, _ := c.driver.Held(t.Context()); !slices.Contains(held, digest("2")) {
		t.Errorf("what is in use is not mounted: %v", held)
	}
	must(t, c.Housekeep(t.Context(), true))
	if got := left(); got != "2" {
		t.Errorf("on the host: %s, want what is in use alone", got)
	}
	if held, _ := c.driver.Held(t.Context()); !slices.Contains(held, digest("2")) {
		t.Errorf("what is in use was unmounted: %v", held)
	}
	if j.has("a2") == "" {
		t.Error("the job has lost its cache")
	}
	j.end()
	c.Idle = time.Nanosecond
	c.MaxSize = 0
	must(t, c.Housekeep(t.Context(), false))
	if held, _ := c.driver.Held(t.Context()); len(held) > 0 || left() != "2" {
		t.Errorf("idle: mounted %v, on the host %s", held, left())
	}
}

func TestManySmallJobsAreCompactedAndLoseNothing(t *testing.T) {
	t.Parallel()
	c := newCache(t)
	var words []string
	under := begin(t, c, request("under")) // stays mounted over what is compacted
	for n := range 30 {
		word := fmt.Sprintf("<%d>", n)
		words = append(words, word)
		r := request(fmt.Sprint(n))
		r.Graph = digestOf(string("0123456789"[n%10]))
		j := begin(t, c, r)
		j.compile(word)
		j.opened(words...)
		j.end()
		must(t, c.Tend(t.Context(), false))
	}
	entries := journalOf(t, c, request(""))
	layers, _ := living(entries, "", 100)
	if len(layers) > 2*mergeAt || len(entries) > 2*mergeAt+wordsKept+10 {
		t.Errorf("%d layers, %d entries", len(layers), len(entries))
	}
	if found, _ := sees(t, c, request("last"), words...); found != strings.Join(words, "") {
		t.Errorf("lost: %q", found)
	}
	for n := range 10 {
		r := request("graph")
		r.Graph = digestOf(string("0123456789"[n]))
		if _, reason := sees(t, c, r, "x"); reason != Exact {
			t.Errorf("graph %d is not known any more: %s", n, reason)
		}
	}
	under.compile("under")
	under.end()
	if found, _ := sees(t, c, request("last"), "under", words[0]); found != "under"+words[0] {
		t.Errorf("a job that began before: %q", found)
	}
}

func TestWhatNobodyUsesAnyMoreIsForgotten(t *testing.T) {
	t.Parallel()
	c := newCache(t)
	r := request("0")
	j := begin(t, c, r)
	for n := range 20 {
		j.put(fmt.Sprint("old", n), fmt.Sprint("!<arch>\n", n, strings.Repeat("x", 10000)))
	}
	j.compile("kept")
	j.end()
	for n := range 2 * mergeAt {
		j := begin(t, c, request(fmt.Sprint(n+1)))
		j.compile(fmt.Sprint("n", n))
		j.opened("kept", fmt.Sprint("n", n-1))
		j.end()
		must(t, c.Tend(t.Context(), false))
	}
	last := begin(t, c, request("last"))
	if last.has("kept") == "" {
		t.Error("what every job uses is forgotten")
	}
	action, _ := last.paths("old0", "")
	if _, err := os.Stat(action); err == nil {
		t.Error("what no job has used is still there")
	}
}
