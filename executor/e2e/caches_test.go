package e2e

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestTheSecondJobIsWarm(t *testing.T) {
	t.Parallel()
	g := newGoHost(t, "").withC()
	r, cold := g.ran(g.goJob(buildAndTest...))
	if cold.Reason != "first_run" || cold.HitHost != 0 || cold.Hit != 0 || cold.Cached != 0 || cold.Tests != 2 || cold.Saved <= 0 {
		t.Errorf("cold: %s", cold)
	}
	g.says(r, "Go caches: empty (first run of this project)", "new entries saved")
	if fetched := g.proxy.fetched(); cold.Missed != len(fetched) || cold.Missed != 3 {
		t.Errorf("cold: %d modules missed, the proxy was asked for %v", cold.Missed, fetched)
	}

	warmJob := g.goJob(buildAndTest...)
	r, warm := g.ran(warmJob)
	if warm.Reason != "exact" || warm.HitHost != 3 || warm.Missed != 0 || warm.New != 0 || warm.Hit == 0 || warm.Cached != 2 || warm.Tests != 2 || g.adds(warm) {
		t.Errorf("warm: %s", warm)
	}
	if warm.Available != cold.New {
		t.Errorf("%d packages were compiled and %d are there", cold.New, warm.Available)
	}
	g.says(r, "Go caches: exact base, 3 of 3 modules", "3 of 3 modules hit", "0 compiled", "2 of 2 tests cached")
	if warm.Saved == 0 {
		g.says(r, "nothing new saved")
	}
	if fetched := g.proxy.fetched(); len(fetched) != 0 {
		t.Errorf("warm: the proxy was asked for %v", fetched)
	}
	if warm.RestoreSeconds > 1 || warm.SaveSeconds > 2 {
		t.Errorf("restore %.2f s, save %.2f s", warm.RestoreSeconds, warm.SaveSeconds)
	}
}

// A slot's checkout is kept; what counts is a clone that has never been there. The tests ran on another host.
func TestUnchangedTestsAreCachedAfterAFreshCloneAndChangedOnesAreNot(t *testing.T) {
	t.Parallel()
	g := newGoHost(t, "").warm()
	clone := func(script ...string) job {
		j := g.goJob(script...)
		for _, v := range j["variables"].([]job) {
			if v["key"] == "GIT_STRATEGY" {
				v["value"] = "clone"
			}
		}
		return j
	}
	if _, f := g.ran(clone("go test ./sum")); f.Cached != 1 {
		t.Errorf("after a fresh clone: %s", f)
	}
	g.change(map[string]string{"sum/testdata/want": "six!\n"}) // of equal size
	j := clone("go test ./sum")
	r := g.run(j)
	g.failed(r, "script_failure", 1)
	g.neverSays(r, "(cached)")
	g.change(map[string]string{"sum/testdata/want": "five\n"})
	if _, f := g.ran(clone("go test ./sum")); f.Cached != 1 {
		t.Errorf("as it was before: %s", f)
	}
}

func TestABumpedModuleLeavesTheOthersHit(t *testing.T) {
	t.Parallel()
	g := newGoHost(t, "").warm()
	g.replace("go.mod", "example.com/alpha v1.0.0", "example.com/alpha v1.1.0")
	r, f := g.ran(g.goJob(buildAndTest...))
	if f.Reason != "nearest" || f.HitHost+f.HitStore != 2 || f.Missed != 1 || f.Cached != 1 {
		t.Errorf("%s", f)
	}
	if fetched := g.proxy.fetched(); !slices.Equal(fetched, []string{"example.com/alpha@v1.1.0"}) {
		t.Errorf("the proxy was asked for %v", fetched)
	}
	if f.New == 0 || f.New > 3 {
		t.Errorf("%d packages compiled for one bumped module", f.New)
	}
	g.says(r, "nearest base, 2 of 3 modules")
	if _, f = g.ran(g.goJob(buildAndTest...)); f.Reason != "exact" || f.Missed != 0 || f.New != 0 {
		t.Errorf("the job after: %s", f)
	}
}

// toolexec is a program for go's -toolexec that counts compilations. Go asks tools for their version with -V=full.
const toolexec = `mkdir -p /tmp/count && printf '#!/bin/sh\ncase "$1 $*" in */compile*-V=full*) ;; */compile\ *) echo >> /tmp/count/compiled ;; esac\nexec "$@"\n' > /tmp/count/exec && chmod +x /tmp/count/exec && touch /tmp/count/compiled`

func TestNewPackagesAreExactlyTheCompilations(t *testing.T) {
	t.Parallel()
	g := newGoHost(t, "").warm().withC()
	script := []string{
		toolexec, "go build -toolexec /tmp/count/exec ./...", "go vet -toolexec /tmp/count/exec ./...",
		"go test -toolexec /tmp/count/exec ./...", "go test -cover -toolexec /tmp/count/exec ./sum", "echo compiled=$(wc -l < /tmp/count/compiled)",
	}
	compiled := func(r result) string {
		_, rest, _ := strings.Cut(r.Log, "O compiled=")
		n, _, _ := strings.Cut(rest, "\n")
		return n
	}
	r, f := g.ran(g.goJob(script...))
	if got := compiled(r); got != str(f.New) || f.New < 10 {
		t.Errorf("with C and coverage for the first time: the compiler ran %s times, %d packages are new", got, f.New)
	}
	g.change(map[string]string{"sum/more.go": "package sum\n\nconst More = 1\n"})
	r, f = g.ran(g.goJob(script...))
	if got := compiled(r); got != str(f.New) || f.New == 0 || f.New > 10 {
		t.Errorf("one package changed: the compiler ran %s times, %d packages are new", got, f.New)
	}
	r, f = g.ran(g.goJob(script...))
	if got := compiled(r); got != "0" || f.New != 0 {
		t.Errorf("warm: the compiler ran %s times, %d packages are new", got, f.New)
	}
}

func TestTwelveJobsThatEachChangeOnePackageStayBounded(t *testing.T) {
	t.Parallel()
	g := newGoHost(t, "").warm()
	_, first := g.ran(g.goJob("go build ./..."))
	for n := range 12 {
		g.change(map[string]string{"sum/n.go": "package sum\n\nconst N = " + str(n) + "\n"})
		r, f := g.ran(g.goJob("go build ./..."))
		if f.New == 0 || f.New > 4 || f.Missed != 0 {
			t.Errorf("job %d: %s", n, f)
		}
		g.neverSays(r, "WARNING: Go caches")
		if f.RestoreSeconds > 1 {
			t.Errorf("job %d: restored in %.2f s", n, f.RestoreSeconds)
		}
	}
	entries, layers := g.store("build")
	if layers > 8 || entries > 24 {
		t.Errorf("%d layers and %d entries after twelve small changes", layers, entries)
	}
	if _, f := g.ran(g.goJob("go build ./...")); f.New != 0 || f.Hit < first.Hit {
		t.Errorf("after them: %s", f)
	}
}

// store counts the entries of a kind in the store of the protected tier, and the layers that they name and no other replaces.
func (h *host) store(kind string) (entries, layers int) {
	h.t.Helper()
	named, replaced := map[string]bool{}, map[string]bool{}
	for _, depth := range []string{"", filepath.Join("*", "*")} {
		files, _ := filepath.Glob(filepath.Join(h.StateDir, "store", "v1", "*", "*", "protected", kind, depth, "*.json"))
		for _, file := range files {
			entries++
			e := h.readEntry(file)
			if e.Layer != nil {
				named[e.Layer.Digest] = true
			}
			for digest := range e.Replaces {
				replaced[digest] = true
			}
		}
	}
	for digest := range named {
		if !replaced[digest] {
			layers++
		}
	}
	return entries, layers
}

func TestTenJobsAtOnceLoseNothing(t *testing.T) {
	t.Parallel()
	g := newGoHost(t, "").warm()
	const jobs = 10
	files := map[string]string{}
	for n := range jobs {
		files["p"+str(n)+"/p.go"] = "package p\n\nconst N = " + str(n) + "\n"
	}
	g.change(files)
	var all []*running
	var payloads []job
	for n := range jobs {
		j := g.goJob("go build ./p" + str(n))
		j["job_info"].(job)["name"] = "build " + str(n) // what jobs of one name do not use any more may be forgotten
		payloads = append(payloads, j)
		all = append(all, g.start(j))
	}
	for i, r := range all {
		g.succeeded(r.wait())
		if f := g.figures(payloads[i]); f.New != 1 {
			t.Errorf("job %d: %s", i, f)
		}
	}
	if _, f := g.ran(g.goJob("go build ./p...")); f.New != 0 || f.Hit < jobs {
		t.Errorf("afterwards not every entry of every job is there: %s", f)
	}
}
