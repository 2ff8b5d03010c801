package e2e

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// git runs git in the project's repository.
func (h *host) git(args ...string) string {
	h.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "git", append([]string{"--git-dir", filepath.Join(h.gitlab.dir, "group", "project.git")}, args...)...)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		h.t.Fatalf("git %v: %v\n%s", args, err, &errs)
	}
	return string(out)
}

// pruneWith runs the command with standard input.
func (h *host) pruneWith(stdin string, flags ...string) (said string, err error) {
	h.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, executorBin, append([]string{"--config", filepath.Join(h.dir, "settings.toml"), "prune"}, flags...)...)
	cmd.Stdin = strings.NewReader(stdin)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func TestCachesOfADeletedBranchGoAndThoseOfARunningJobStay(t *testing.T) {
	t.Parallel()
	g := newGoHost(t, "")
	on := func(ref string, protected bool, script ...string) job {
		j := g.goJob(script...)
		info := j["git_info"].(job)
		info["ref"], info["protected"] = ref, protected
		return j
	}
	const request = "refs/merge-requests/5/head"
	g.git("branch", "feature/x", "main")
	g.git("update-ref", request, "main")
	for _, ref := range []string{"feature/x", request} {
		g.ran(on(ref, false, "go build ./sum"))
	}
	g.ran(on("main", true, "go build ./sum"))
	url := g.gitlab.URL + "/group/project.git"

	refs := []string{"--store", "--project", "42", "--refs", "-"}
	if said, err := g.pruneWith(g.git("ls-remote", url), refs...); err != nil || !strings.Contains(said, "removed 0 entries") {
		t.Fatalf("all refs are there: %v\n%s", err, said)
	}
	g.git("branch", "-D", "feature/x")
	list := g.git("ls-remote", url)
	if said, err := g.pruneWith("", refs...); err == nil || !strings.Contains(said, "names no branch") {
		t.Errorf("an empty list: %v\n%s", err, said)
	}
	said, err := g.pruneWith(list, append(refs, "--dry-run")...)
	if err != nil || !strings.Contains(said, "would remove 2 entries") || !strings.Contains(said, "-feature-x/") || strings.Contains(said, "merge-requests") {
		t.Fatalf("a dry run: %v\n%s", err, said)
	}
	if said, err := g.pruneWith(list, refs...); err != nil || !strings.Contains(said, "removed 2 entries") || !strings.Contains(said, "2 layers that nothing names wait") {
		t.Fatalf("%v\n%s", err, said)
	}

	busy := g.start(on(request, false, "echo started", "until [ -e /builds/go-on ]; do sleep 0.1; done", "go build ./sum"))
	busy.waitFor(started)
	if said, err := g.pruneWith("", "--unused"); err != nil || !strings.Contains(said, "stay, since jobs use them") {
		t.Errorf("while a job runs: %v\n%s", err, said)
	}
	slots, _ := filepath.Glob(filepath.Join(g.StateDir, "builds", "*", "42", "ref-*-merge-requests-5-head", "0"))
	for _, slot := range slots {
		if err := os.WriteFile(filepath.Join(slot, "go-on"), nil, 0o600); err != nil {
			t.Error(err)
		}
	}
	r := busy.wait()
	g.succeeded(r)
	g.says(r, " 0 compiled")
	if _, f := g.ran(on("feature/x", false, "go build ./sum")); f.Reason != "exact" || f.New != 0 {
		t.Errorf("a new branch of that name reads the protected tier: %s", f)
	}
}
