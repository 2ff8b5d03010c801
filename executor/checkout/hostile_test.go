package checkout

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestNoSymbolicLinkLeadsAStampOutOfTheCheckout(t *testing.T) {
	t.Parallel()
	p := newProject(t, files{"dir/file": "same", "file": "same", "link/file": "same"})
	outside := t.TempDir()
	write(t, outside, files{"file": "same"})
	dir := p.clone(filepath.Join(t.TempDir(), "ci"))
	for _, name := range []string{"dir", "file", "link"} {
		if err := os.RemoveAll(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	for name, target := range map[string]string{"dir": outside, "file": filepath.Join(outside, "file"), "link": "../" + filepath.Base(outside)} {
		if err := os.Symlink(target, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	before := mtimes(t, outside)
	run(t, dir)
	equal(t, "what changed outside", differing(before, mtimes(t, outside)), []string{})
	// Nor does one that git does not know to be changed: it comes when git has been asked already.
	tree := newTree([]repository{{dir: ".", entries: []entry{{"dir/file", modeFile, "1"}, {"file", modeFile, "2"}, {"link/file", modeFile, "3"}}}})
	tree.settle(true)
	s := stamper{now: time.Now().UnixNano(), times: &Times{}, touched: make([]bool, 1)}
	if err := s.checkout(t.Context(), dir, tree); err != nil {
		t.Fatal(err)
	}
	equal(t, "what changed outside", differing(before, mtimes(t, outside)), []string{})
	equal(t, "files", s.times.Files, 0)
}

func TestAnIndexWithNamesOutsideOfTheTreeIsRefused(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"../out", "a/../../out", "/etc/passwd", "a//b", "", ".", "a/.", ".git/config"} {
		if _, _, err := parseIndex([]string{"H 100644 0123 0\t" + name}); err == nil {
			t.Errorf("%q is taken", name)
		}
	}
	for _, line := range []string{"", "H", "H 100644 0123\tname", "H 100644 0123 0 name"} {
		if _, _, err := parseIndex([]string{line}); err == nil {
			t.Errorf("the line %q is taken", line)
		}
	}
}

func TestNamesMayHoldWhateverAFileSystemTakes(t *testing.T) {
	t.Parallel()
	content := files{}
	for _, name := range []string{"new\nline", `"quoted" 'name'`, "tab\tin", "größe/日本", "bad\xff\xfebytes", " blank ", "-v", ":(top)x", "back\\slash", "*"} {
		content[name] = "x"
	}
	p := newProject(t, content)
	dir := p.clone(filepath.Join(t.TempDir(), "ci"))
	r := run(t, dir)
	equal(t, "files", r.Times.Files, len(content))
	for name := range content {
		if !isStable(t, dir, name) {
			t.Errorf("%q has no stable time", name)
		}
	}
	write(t, dir, files{"new\nline": "changed", "größe/日本": "changed", "bad\xff\xfebytes": "changed"})
	equal(t, "dirty", run(t, dir).Times.Dirty, 3)
}

// What a checkout's config names may run clean filters, in the container, where Runner's git has run them too. Whatever else it
// names does not run, and it hides nothing.
func TestTheConfigOfACheckoutRunsNoHookAndHidesNothing(t *testing.T) {
	t.Parallel()
	dir := newProject(t, files{"file": "one", "other": "one"}).clone(filepath.Join(t.TempDir(), "ci"))
	ran := filepath.Join(t.TempDir(), "ran")
	script := "#!/bin/sh\necho $0 >>" + ran + "\n"
	write(t, dir, files{".git/hooks/post-index-change": script, ".git/hooks/evil": script})
	for _, name := range []string{"post-index-change", "evil"} {
		if err := os.Chmod(inside(dir, ".git/hooks/"+name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	elsewhere := t.TempDir()
	write(t, elsewhere, files{"file": "one", "other": "one"})
	for key, value := range map[string]string{
		"core.fsmonitor": inside(dir, ".git/hooks/evil"), "core.worktree": elsewhere, "core.ignoreStat": "true",
	} {
		runIn(t, dir, "git", "config", key, value)
	}
	write(t, dir, files{"file": "two"})
	r := run(t, dir)
	if out, err := os.ReadFile(ran); err == nil {
		t.Errorf("ran %s", out)
	}
	equal(t, "times", []any{r.Times.Mode, r.Times.Files, r.Times.Dirty}, []any{ModeAll, 1, 1})
	equal(t, "the changed file has a stable time", isStable(t, dir, "file"), false)
}

// slowFilter is a clean filter that takes longer than anybody waits; git calls it for a file whose times have changed.
func slowFilter(t *testing.T, program string) (dir string) {
	t.Helper()
	p := newProject(t, files{".gitattributes": "*.slow filter=lfs\n", "a.slow": "x", "b": "x"})
	dir = p.clone(filepath.Join(t.TempDir(), "ci"))
	time.Sleep(1100 * time.Millisecond) // or git reads the file before it is stamped, since it is as young as the index
	runIn(t, dir, "git", "update-index", "--refresh")
	runIn(t, dir, "git", "config", "filter.lfs.process", program)
	return dir
}

func TestARefreshThatTakesTooLongLeavesNoLock(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		filter string
		within time.Duration
		ended  string
	}{
		"git ends when asked":               {"sleep 60", killAfter, "signal: terminated"},
		"git is stopped and must be killed": {"kill -STOP $PPID; sleep 60", 3 * killAfter, "signal: killed"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := slowFilter(t, c.filter)
			started := time.Now()
			r := runWithProblems(t, dir, func(o *Options) { o.RefreshLimit = 300 * time.Millisecond })
			if took := time.Since(started); took > c.within {
				t.Errorf("it took %s", took)
			}
			equal(t, "times", []any{r.Times.Mode, r.Times.Files, r.Times.Refreshed}, []any{ModeAll, 3, false})
			if len(r.Problems) != 1 || !strings.Contains(r.Problems[0], c.ended) {
				t.Errorf("problems: %q", r.Problems)
			}
			if _, err := os.Lstat(inside(dir, ".git/index.lock")); err == nil {
				t.Error(".git/index.lock was left behind")
			}
			runIn(t, dir, "git", "config", "--unset", "filter.lfs.process")
			runIn(t, dir, "git", "add", "-A") // git works on
		})
	}
}

func TestALockThatAnotherGitHoldsIsLeftToIt(t *testing.T) {
	t.Parallel()
	dir := newProject(t, files{"file": "x"}).clone(filepath.Join(t.TempDir(), "ci"))
	write(t, dir, files{".git/index.lock": ""})
	r := runWithProblems(t, dir)
	equal(t, "refreshed", r.Times.Refreshed, false)
	if len(r.Problems) != 1 || !strings.Contains(r.Problems[0], "index.lock") {
		t.Errorf("problems: %q", r.Problems)
	}
	if _, err := os.Lstat(inside(dir, ".git/index.lock")); err != nil {
		t.Error(err)
	}
}

func TestNothingOutlivesItsContext(t *testing.T) {
	t.Parallel()
	dir := newProject(t, files{"file": "x", "go.mod": "module example.org/m\n"}).clone(filepath.Join(t.TempDir(), "ci"))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r, err := Run(ctx, Options{Dir: dir, Stamp: true, RefreshLimit: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "mode", r.Times.Mode, ModeNone)
	equal(t, "hash", r.Graph.Hash, "")
	equal(t, "file has a stable time", isStable(t, dir, "file"), false)
	if len(r.Problems) == 0 {
		t.Error("no problem is told")
	}
}

func TestAGoModThatIsNoRegularFileIsNotRead(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, files{"large/go.mod": strings.Repeat("// comment\n", maxFile/10), "big/go.mod/x": ""})
	for _, name := range []string{"pipe", "out"} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o777); err != nil {
			t.Fatal(err)
		}
	}
	if err := syscall.Mkfifo(inside(dir, "pipe/go.mod"), 0o666); err != nil {
		t.Fatal(err)
	}
	outside := t.TempDir()
	write(t, outside, files{"go.mod": "module example.org/secret\nrequire example.org/x v1.0.0\n"})
	if err := os.Symlink(filepath.Join(outside, "go.mod"), inside(dir, "out/go.mod")); err != nil {
		t.Fatal(err)
	}
	r := runWithProblems(t, dir)
	equal(t, "modules", r.Graph.Modules, []string{})
	equal(t, "number of problems", len(r.Problems), 3)
}

func TestAProblemCannotWriteIntoTheLogWhatItLikes(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, files{"a\x1b[0Ksection_start:1:x\r\n/go.mod": "require (((" + strings.Repeat("x", 10_000) + "\x1b\xff"})
	for _, problem := range runWithProblems(t, dir).Problems { // the host has taken them
		if strings.ContainsAny(problem, "\x1b\r\n") || len(problem) > maxProblem {
			t.Errorf("problem: %q", problem)
		}
	}
}

func TestOfAnIndexOnlyWhatIsInTheTreeCounts(t *testing.T) {
	t.Parallel()
	entries, unsure, err := parseIndex([]string{
		"H 100644 aa 0\tplain", "H 120000 bb 0\ta\tlink", "h 100755 cc 0\tassumed", "S 100644 dd 0\tleft out",
		"M 100644 ee 1\ttorn", "M 100644 ee 2\ttorn", "M 100644 ee 3\ttorn",
	})
	if err != nil {
		t.Fatal(err)
	}
	names := []string{}
	for _, e := range entries {
		names = append(names, e.path)
	}
	equal(t, "the entries", names, []string{"plain", "a\tlink", "assumed"})
	equal(t, "the unsure", unsure, []string{"assumed"})
}
