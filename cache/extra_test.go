package cache

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/store"
)

// lint is the request of a job that has a linter's cache alone.
func lint(job string) Request {
	r := request(job)
	r.Kinds = []string{"golangci-lint"}
	return r
}

func TestALintersCacheIsKeptBesideGosOwnAndCountedApart(t *testing.T) {
	t.Parallel()
	c := newCache(t)
	both := func(job string) Request {
		r := request(job)
		r.Kinds = []string{"build", "golangci-lint"}
		return r
	}
	first := begin(t, c, both("1"))
	first.compile("a")
	first.in = "golangci-lint"
	first.put("x", "!<arch>\nx") // whatever it looks like
	first.compile("y")
	if saved := first.end(); *saved.Build.New != 1 || *saved.Extras["golangci-lint"].New != 2 || saved.Items != 3 || len(saved.Extras) != 1 {
		t.Errorf("%+v", saved)
	}

	second := begin(t, c, both("2"))
	if got := second.got; got.Packages != 1 || len(got.Extras) != 1 || got.Extras[0] != (RestoredExtra{"golangci-lint", Exact, 2}) || got.Reason != Exact {
		t.Errorf("%+v", got)
	}
	if found := second.has("a", "x"); found != "a" {
		t.Errorf("Go finds %q", found)
	}
	second.opened("a")
	second.in = "golangci-lint"
	if found := second.has("a", "x", "y"); found != "xy" {
		t.Errorf("the linter finds %q", found)
	}
	second.opened("x", "y")
	second.compile("z")
	saved := second.end()
	if extra := saved.Extras["golangci-lint"]; *extra.Hit != 2 || *extra.New != 1 || *extra.Available != 2 || *saved.Build.Hit != 1 || *saved.Build.New != 0 {
		t.Errorf("%+v %+v", extra, saved.Build)
	}
	if got := begin(t, c, request("3")).got; len(got.Extras) != 0 || got.Layers != 1 {
		t.Errorf("a job that wants Go's own alone: %+v", got)
	}
}

func TestALintersCacheFollowsTheRulesOfCompiledPackages(t *testing.T) {
	t.Parallel()
	c := newCache(t)
	compiled(t, c, lint("1"), "p")
	ref := lint("2")
	ref.Tier, ref.Below = "ref-x", "protected"
	compiled(t, c, ref, "x")
	for _, test := range []struct {
		name   string
		change func(*Request)
		found  string
		reason Reason
	}{
		{"the same", func(*Request) {}, "p", Exact},
		{"another graph", func(r *Request) { r.Graph = digestOf("b") }, "p", Nearest},
		{"another toolchain", func(r *Request) { r.Toolchain = "go1.27.0" }, "", NewToolchain},
		{"another platform", func(r *Request) { r.Platform = "linux-arm64" }, "", NewPlatform},
		{"another project", func(r *Request) { r.Project = "8" }, "", FirstRun},
		{"another linter", func(r *Request) { r.Kinds = []string{"staticcheck"} }, "", FirstRun},
		{"the ref", func(r *Request) { r.Tier, r.Below = ref.Tier, ref.Below }, "px", Exact},
		{"another ref", func(r *Request) { r.Tier, r.Below = "ref-y", ref.Below }, "p", Exact},
	} {
		r := lint("3")
		test.change(&r)
		if found, reason := sees(t, c, r, "p", "x"); found != test.found || reason != test.reason {
			t.Errorf("%s: found %q, %s; want %q, %s", test.name, found, reason, test.found, test.reason)
		}
	}
}

// Another host fetches what it likes beforehand, compacts what others have saved, and prunes, whatever its own settings name.
func TestALintersCacheIsSharedAndTendedByHostsThatDoNotKnowIt(t *testing.T) {
	t.Parallel()
	remote := store.NewDirectory(t.TempDir())
	a := farHost(t, remote)
	var words []string
	for n := range mergeAt + 1 {
		words = append(words, fmt.Sprintf("<%d>", n))
		j := begin(t, a, lint(fmt.Sprint(n)))
		j.compile(words[n])
		j.opened(words[n]) // and nothing of what was there
		j.end()
	}
	must(t, a.Tend(t.Context(), true))
	entries := journalOf(t, a, lint(""))
	layers, _ := living(entries, "", 100)
	if len(layers) >= mergeAt {
		t.Errorf("%d layers are left", len(layers))
	}
	other := farHost(t, remote)
	j := begin(t, other, request("go-alone"))
	j.compile("a")
	j.end()
	must(t, other.Tend(t.Context(), true))
	_, err := other.PruneStore(t.Context(), PruneOptions{}, func(what string) { t.Errorf("pruned: %s", what) }, func(string, int, int) {})
	must(t, err)
	b := farHost(t, remote)
	dir := filepath.Join(b.Dir, "jobs", "gitlab.example.com", "late")
	must(t, os.MkdirAll(dir, 0o700))
	must(t, b.Prefetch(t.Context(), dir, guess(lint("late")), "linux-amd64-v1/"))
	if layers, _, err := b.Layers(); err != nil || layers == 0 {
		t.Errorf("prefetched %d layers, %v", layers, err)
	}
	late := begin(t, b, lint("late"))
	if found := late.has(words...); found != strings.Join(words, "") || late.got.Fetched == 0 {
		t.Errorf("another host finds %q of %+v", found, late.got)
	}
}

func TestWhatAKilledJobLeftInALintersCacheIsSaved(t *testing.T) {
	t.Parallel()
	c := newCache(t)
	j := begin(t, c, lint("1"))
	j.compile("a", "b")
	must(t, c.Abandon(t.Context(), j.dir))
	must(t, c.Salvage(t.Context(), func(saved Saved, err error) {
		if err != nil || saved.Items != 2 {
			t.Errorf("%+v, %v", saved, err)
		}
	}))
	if found, _ := sees(t, c, lint("2"), "a", "b"); found != "ab" {
		t.Errorf("found %q", found)
	}
}

func TestAJobAddsNoMoreThanItsRequestAllows(t *testing.T) {
	t.Parallel()
	c := newCache(t)
	r := lint("1")
	r.MaxSizes = map[string]int64{"golangci-lint": 1000}
	if saved := compiled(t, c, r, "small", strings.Repeat("big", 1000)); saved.Items != 1 || saved.Refused["size"] != 1 || *saved.Extras["golangci-lint"].New != 2 {
		t.Errorf("%+v", saved)
	}
	r = request("2")
	r.Kinds = []string{"layers"}
	if _, err := c.Restore(t.Context(), filepath.Join(c.Dir, "jobs", "gitlab.example.com", "2"), r); err == nil || !strings.Contains(err.Error(), `"layers"`) {
		t.Errorf("a kind that cannot be: %v", err)
	}
}
