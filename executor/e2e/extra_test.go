package e2e

import (
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/store/s3test"
)

// lintCache are the settings for golangci-lint's cache, after those of a store.
func lintCache(store string) string {
	return store + "\n[[cache.extra]]\nname = \"golangci-lint\"\nvariable = \"GOLANGCI_LINT_CACHE\"\n"
}

// lint is a job that runs it on one package, whose imports need no standard library.
func (g *goHost) lint() job {
	j := g.goJob("golangci-lint run -v --no-config --tests=false ./sum").variable("CGO_ENABLED", "0")
	for _, v := range j["variables"].([]job) {
		if v["key"] == "GIT_STRATEGY" {
			v["value"] = "clone"
		}
	}
	return j
}

// linted is what the operator log says of its cache; -1 is unknown.
type linted struct{ Available, Hit, New int }

func (h *host) linted(j job) linted {
	h.t.Helper()
	said, _ := h.logLine("caches", j)["extra"].(string)
	number := func(word string) int {
		found := regexp.MustCompile(`(\d+) ` + word).FindStringSubmatch(said)
		if !strings.HasPrefix(said, "golangci-lint: ") || found == nil {
			return -1
		}
		n, _ := strconv.Atoi(found[1])
		return n
	}
	return linted{number("available"), number("hit"), number("new")}
}

func TestALinterDoesNotRepeatWhatItHasAnalysed(t *testing.T) {
	t.Parallel()
	_, linter := golangciLint(t)
	settings := "volumes = [\"" + linter + ":/usr/local/bin/golangci-lint:ro\"]\n" + lintCache(bucket(s3test.Versity(t)))
	const idle = "analyzers took 0s with no stages"
	g := newGoHost(t, settings)
	run := func(g *goHost) (result, linted, figures) {
		t.Helper()
		j := g.lint()
		r, f := g.ran(j)
		return r, g.linted(j), f
	}
	r, cold, packages := run(g)
	if cold.Available != 0 || cold.Hit != 0 || cold.New == 0 || packages.New == 0 || packages.New > 5 {
		t.Errorf("cold: %+v, %s", cold, packages)
	}
	g.neverSays(r, idle)

	r, warm, packages := run(g)
	if warm.New != 0 || warm.Hit == 0 || warm.Available != cold.New || packages.New != 0 || g.adds(packages) {
		t.Errorf("warm: %+v after %+v, %s", warm, cold, packages)
	}
	g.says(r, idle, fmt.Sprintf("%d entries of golangci-lint", cold.New), fmt.Sprintf("golangci-lint: %d hit, 0 new", warm.Hit), "golangci-lint: "+str(cold.New)+" entries (exact)")

	b := g.another(settings)
	r, elsewhere, _ := run(b)
	if elsewhere != warm {
		t.Errorf("another host: %+v, want %+v", elsewhere, warm)
	}
	b.says(r, idle, "from the store")

	g.replace("sum/sum.go", "return a", "a = a\n\treturn a")
	j := g.lint()
	r = g.run(j)
	g.failed(r, "script_failure", 1)
	if f := g.linted(j); f.New == 0 || f.Hit == 0 || f.New >= cold.New {
		t.Errorf("with a mistake: %+v", f)
	}
	g.says(r, "self-assignment")
}

func TestAuthorsSteerExtraCaches(t *testing.T) {
	t.Parallel()
	g := newGoHost(t, lintCache(""))
	where := `echo "GOCACHE is <$GOCACHE>, the linter's <$GOLANGCI_LINT_CACHE>"`
	r, _ := g.ran(g.goJob(where, "ls -A $GOLANGCI_LINT_CACHE | wc -l", lintEntry, "entry first same same"))
	g.prints(r, "GOCACHE is </go-executor/build>, the linter's </go-executor/golangci-lint>", "257") // with trim.txt, lest the linter deletes what looks old

	r, _ = g.ran(g.goJob(where).variable("GO_EXECUTOR_CACHE", "off"))
	g.prints(r, "GOCACHE is <>, the linter's <>")
	r, f := g.ran(g.goJob(where).variable("GOLANGCI_LINT_CACHE", "/tmp"))
	if f.Reason != "exact" {
		t.Errorf("Go's own caches are left alone too: %s", f)
	}
	g.prints(r, "GOCACHE is </go-executor/build>, the linter's </tmp>")
	g.says(r, "golangci-lint: left alone, since the job sets GOLANGCI_LINT_CACHE itself (bypassed)")

	readOnly := g.goJob(lintEntry, "entry second same same", holds("first")).variable("GO_EXECUTOR_CACHE", "read-only")
	r, _ = g.ran(readOnly)
	g.prints(r, "first: there")
	if l := g.linted(readOnly); l.New != 1 || l.Available != 1 {
		t.Errorf("read-only: %+v", l)
	}
	r, _ = g.ran(g.goJob(holds("first"), holds("second")))
	g.prints(r, "first: there", "second: not there")
}

// lintEntry is a shell function that writes an entry into the linter's cache: its action's name, the content that its output's name tells, and
// the content that it has.
const lintEntry = `entry() {
  a=$(printf %s "$1" | sha256sum | cut -c1-64); d=$(printf %s "$2" | sha256sum | cut -c1-64)
  printf %s "$3" > $GOLANGCI_LINT_CACHE/$(echo $d | cut -c1-2)/$d-d
  printf 'v1 %s %s %20d %20d\n' $a $d ${#3} 1700000000000000000 > $GOLANGCI_LINT_CACHE/$(echo $a | cut -c1-2)/$a-a
}`

// holds is a script that tells whether an entry of lintEntry is there.
func holds(word string) string {
	id := fmt.Sprintf("%x", sha256.Sum256([]byte(word)))
	return fmt.Sprintf("if [ -e $GOLANGCI_LINT_CACHE/%s/%s-a ]; then echo '%s: there'; else echo '%s: not there'; fi", id[:2], id, word, word)
}

func TestWhatARefPutsIntoALintersCacheReachesNobodyElse(t *testing.T) {
	t.Parallel()
	g := newGoHost(t, lintCache(""))
	on := func(ref string, protected bool, script ...string) (result, linted) {
		t.Helper()
		j := g.goJob(append(script, holds("ours"), holds("evil"), holds("poisoned"))...)
		info := j["git_info"].(job)
		info["ref"], info["protected"] = ref, protected
		r, _ := g.ran(j)
		return r, g.linted(j)
	}
	on("main", true, lintEntry, "entry ours same same")
	r, f := on("feature", false, lintEntry, "entry evil other other", "entry ours other other", "entry poisoned told sold", "echo junk > $GOLANGCI_LINT_CACHE/junk",
		"ln -s /etc/passwd $GOLANGCI_LINT_CACHE/00/"+strings.Repeat("0", 64)+"-a")
	if f.New != 3 || f.Available != 1 { // links are not even looked at
		t.Errorf("%+v", f)
	}
	g.says(r, "not taken: 1 hash, 1 name")

	r, f = on("feature", false)
	g.prints(r, "ours: there", "evil: there", "poisoned: not there")
	if f.Available != 2 {
		t.Errorf("its own ref: %+v", f)
	}
	for ref, protected := range map[string]bool{"other": false, "main": true} {
		r, f = on(ref, protected)
		g.prints(r, "ours: there", "evil: not there", "poisoned: not there")
		if f.Available != 1 {
			t.Errorf("%s: %+v", ref, f)
		}
	}

	// Whoever takes the cache from the settings keeps a store that is in order.
	settings, err := os.ReadFile(filepath.Join(g.dir, "settings.toml"))
	if err != nil {
		t.Fatal(err)
	}
	g.write("settings.toml", strings.ReplaceAll(string(settings), lintCache(""), ""))
	r, _ = g.ran(g.goJob(`echo "<$GOLANGCI_LINT_CACHE>"`))
	g.prints(r, "<>")
	g.neverSays(r, "WARNING: Go caches")
	g.prune()
}
