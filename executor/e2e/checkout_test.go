package e2e

import (
	"fmt"
	"strings"
	"testing"
)

func TestTwoJobsAtOnceDoNotShareACheckout(t *testing.T) {
	t.Parallel()
	h := newHost(t, "")
	const script = `echo mine=$CI_JOB_ID > owner; echo started; for i in 1 2 3 4 5 6; do sleep 1; cat owner; done; hostname`
	ja, jb := h.newJob(busybox, script), h.newJob(busybox, script)
	a, b := h.start(ja), h.start(jb)
	a.waitFor(started)
	b.waitFor(started)
	ra, rb := a.wait(), b.wait()
	h.succeeded(ra)
	h.succeeded(rb)
	for r, id := range map[*result]any{&ra: ja["id"], &rb: jb["id"]} {
		if got := strings.Count(r.Log, fmt.Sprintf("O mine=%v\n", id)); got != 6 {
			t.Errorf("job %v saw its own file %d times, want 6\n%s", id, got, r.Log)
		}
	}
	if strings.Contains(ra.Log, "Running on runner-project-42-concurrent-0") == strings.Contains(rb.Log, "Running on runner-project-42-concurrent-0") {
		t.Error("both jobs, or none, had slot 0")
	}
}

func TestTheCheckoutIsKeptForTheNextJob(t *testing.T) {
	t.Parallel()
	h := newHost(t, "")
	h.succeeded(h.run(h.newJob(busybox, "echo kept > .git/kept; echo gone > untracked; echo 1 > /cache/kept")))
	r := h.run(h.newJob(busybox, "cat .git/kept; ls untracked || echo cleaned; cat /cache/kept"))
	h.succeeded(r)
	h.prints(r, "kept", "1", "cleaned")

	// Nothing crosses a trust tier, so a job of another ref starts from nothing.
	other := h.newJob(busybox, "ls .git/kept || echo nothing-here", "ls /cache/kept || echo no-cache")
	other["git_info"].(job)["protected"] = false
	r = h.run(other)
	h.succeeded(r)
	h.prints(r, "nothing-here", "no-cache")
}

func TestEveryGitStrategyWorks(t *testing.T) {
	t.Parallel()
	h := newHost(t, "")
	for strategy, script := range map[string]string{"fetch": "cat README.md", "clone": "cat README.md", "none": "ls -a", "empty": "ls -a"} {
		j := h.newJob(busybox, script)
		for _, v := range j["variables"].([]job) {
			if v["key"] == "GIT_STRATEGY" {
				v["value"] = strategy
			}
		}
		if r := h.run(j); r.State != "success" {
			t.Errorf("%s: %s\n%s", strategy, r.Error, r.Log)
		}
	}
}

func TestATestThatReadsAnLFSFileIsCachedInAFreshClone(t *testing.T) {
	t.Parallel()
	g := newGoHost(t, "").warm()
	g.change(map[string]string{".gitattributes": lfsAttributes, "sum/testdata/want": g.gitlab.lfs("five\n")})
	inClone := func() job {
		return g.goJob("git status --short | sed 's/^/changed: /'", "go test ./sum").variable("GIT_STRATEGY", "clone")
	}
	if _, f := g.ran(inClone()); f.Tests != 1 || f.Cached != 0 {
		t.Errorf("the first job: %s", f)
	}
	r, f := g.ran(inClone())
	if f.Tests != 1 || f.Cached != 1 {
		t.Errorf("the second job: %s", f)
	}
	g.neverSays(r, "O changed: ")

	g.failed(g.run(inClone().variable("GIT_LFS_SKIP_SMUDGE", "1")), "script_failure", 1) // the test reads the pointer

	g.change(map[string]string{"sum/testdata/want": g.gitlab.lfs("FIVE\n")})
	g.failed(g.run(inClone()), "script_failure", 1)
}
