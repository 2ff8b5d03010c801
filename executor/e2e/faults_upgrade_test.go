//go:build faults

package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/faulttest"
	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/store/s3test"
)

// Two releases on hosts that share a bucket, and one after the other on one host, whose package is upgraded and rolled back while jobs run.
// What a later release may add to the formats is tried in package cache and in the ledger; here it is another program of another version.

// laterRelease builds it.
func laterRelease(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "gitlab-go-executor")
	build := exec.CommandContext(t.Context(), "go", "build", "-ldflags", "-s -w -X main.version=v99.0.0-next", "-o", path, "./cmd/gitlab-go-executor")
	build.Dir = "../.."
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return path
}

// installs makes a program the host's, as a package does: at the path that the Runner knows, by a rename.
func (h *host) installs(program string) {
	h.t.Helper()
	path := filepath.Join(h.dir, "gitlab-go-executor")
	if out, err := exec.CommandContext(h.t.Context(), "cp", program, path+".new").CombinedOutput(); err != nil {
		h.t.Fatalf("%v\n%s", err, out)
	}
	if err := os.Rename(path+".new", path); err != nil {
		h.t.Fatal(err)
	}
	config, err := os.ReadFile(filepath.Join(h.dir, "config.toml"))
	if err != nil {
		h.t.Fatal(err)
	}
	h.write("config.toml", strings.ReplaceAll(string(config), fmt.Sprintf("%q", executorBin), fmt.Sprintf("%q", path)))
}

// upgradeScript needs little more than what Go itself brings, all of which is compiled once.
var upgradeScript = []string{"go build ./sum"}

const upgradePatience = 15 * time.Minute // with the job that has nothing

func (g *goHost) upgradeJob(script ...string) job {
	return withoutC(g.goJob(script...)).timeout(int(upgradePatience.Seconds()))
}

// warmed sees that a job had all that it needed.
func (g *goHost) warmed(when string, f figures) {
	g.t.Helper()
	if f.Reason != "exact" || f.Missed != 0 || f.New != 0 || f.SaveReason != "" {
		g.t.Errorf("%s: %s, %s", when, f, f.SaveReason)
	}
}

func TestFaultTwoReleasesShareABucketRolledForwardAndBack(t *testing.T) {
	t.Parallel()
	settings := bucket(s3test.Versity(t))
	next := laterRelease(t)
	a := newGoHost(t, settings)
	b := a.another(settings)
	a.patience, b.patience = upgradePatience, upgradePatience
	a.installs(executorBin)
	b.installs(next)
	a.ran(a.upgradeJob(upgradeScript...))
	_, f := b.ran(b.upgradeJob(upgradeScript...))
	b.warmed("the later release after the older one", f)
	faulttest.Progress(t, "the later release is warm by what the older one has saved")

	a.replace("sum/sum.go", "a + b", "b + a")
	b.sha = a.sha
	first, second := a.upgradeJob(upgradeScript...), b.upgradeJob(upgradeScript...)
	one, other := a.start(first), b.start(second) // at once
	a.succeeded(one.wait())
	b.succeeded(other.wait())
	faulttest.Progress(t, "both have run a change at once")

	for _, step := range []struct {
		when     string
		on       *goHost
		releases string
	}{
		{"the older release after both", a, executorBin},
		{"the later one after both", b, next},
		{"rolled forward", a, next},
		{"rolled back", a, executorBin},
		{"the other host rolled back", b, executorBin},
		{"and forward again", b, next},
	} {
		step.on.installs(step.releases)
		_, f := step.on.ran(step.on.upgradeJob(upgradeScript...))
		step.on.warmed(step.when, f)
		faulttest.Progress(t, "%s: %s", step.when, f)
	}
}

// Each job begins under one release and ends under the other.
func TestFaultAHostIsUpgradedAndRolledBackWhileItsJobsRun(t *testing.T) {
	t.Parallel()
	next := laterRelease(t)
	g := newGoHost(t, "")
	g.installs(executorBin)
	g.patience = upgradePatience
	g.ran(g.upgradeJob(upgradeScript...))
	release := map[bool]string{false: executorBin, true: next}
	for n := range 2 * faulttest.Times(t, 4) {
		later := n%2 == 0
		g.replace("sum/sum.go", "a + b", "a + b + 0")
		j := g.upgradeJob("echo started", "sleep 5", "go build ./sum")
		running := g.start(j)
		running.waitFor(started)
		time.Sleep(time.Second)
		g.installs(release[later])
		r := running.wait()
		g.succeeded(r)
		if f := g.figures(j); f.Reason != "exact" || f.Missed != 0 || f.New == 0 || f.Saved == 0 || f.SaveReason != "" {
			t.Errorf("a job that ends under another release than it began under: %s, %s\n%s", f, f.SaveReason, r.Log)
		}
		_, again := g.ran(g.upgradeJob(upgradeScript...))
		g.warmed("the job after it", again)
		faulttest.Progress(t, "ended under the later release: %v; the next job: %s", later, again)
	}
}
