package checkout

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestAnUnchangedFileKeepsItsTimeInEveryCloneAndAChangedOneOfEqualSizeDoesNot(t *testing.T) {
	t.Parallel()
	p := newProject(t, files{
		"go.mod": "module example.org/m\n", "a/a.go": "package a\n", "a/testdata/in.txt": "one\n", "b/b.go": "package b\n",
	})
	if err := os.Symlink("a/a.go", filepath.Join(p.dir, "link")); err != nil {
		t.Fatal(err)
	}
	p.commit(nil)
	first := p.clone(filepath.Join(t.TempDir(), "first"))
	r := run(t, first)
	equal(t, "mode", r.Times.Mode, ModeAll)
	equal(t, "files", r.Times.Files, 5)
	equal(t, "dirs", r.Times.Dirs, 4)
	equal(t, "refreshed", r.Times.Refreshed, true)
	before := mtimes(t, first)
	for name, at := range before {
		if at.Year() < 2000 || at.Year() > 2024 {
			t.Errorf("%s is of %s", name, at)
		}
	}
	second := p.clone(filepath.Join(t.TempDir(), "elsewhere", "second"))
	run(t, second)
	equal(t, "what changed in another clone", differing(before, mtimes(t, second)), []string{})

	p.commit(files{"a/testdata/in.txt": "two\n"})
	third := p.clone(filepath.Join(t.TempDir(), "third"))
	run(t, third)
	equal(t, "what changed with a file", differing(before, mtimes(t, third)), []string{".", "a", "a/testdata", "a/testdata/in.txt"})
}

func TestGoCodeIsLaterThanWhatItMayBeGeneratedFrom(t *testing.T) {
	t.Parallel()
	content := files{"go.mod": "module example.org/m\n", "go.sum": ""}
	for _, name := range []string{"api", "model", "query", "words"} {
		content[name+".proto"] = "message " + name
		content[name+".pb.go"] = "package " + name
	}
	dir := newProject(t, content).clone(filepath.Join(t.TempDir(), "ci"))
	run(t, dir)
	for name := range content {
		if strings.HasSuffix(name, ".proto") && !mtime(t, dir, name).Before(mtime(t, dir, "api.pb.go")) {
			t.Errorf("%s is not older than api.pb.go", name)
		}
	}
	if !mtime(t, dir, "go.mod").Before(mtime(t, dir, "go.sum")) {
		t.Error("go.mod is not older than go.sum")
	}
	if !mtime(t, dir, "api.pb.go").Before(mtime(t, dir)) {
		t.Error("a folder is older than what is in it")
	}
}

func TestAChangeOfAttributesGivesNewTimes(t *testing.T) {
	t.Parallel()
	p := newProject(t, files{"text": "one\n", ".gitattributes": "* -text\n"})
	dir := filepath.Join(t.TempDir(), "ci")
	run(t, p.clone(dir))
	before := mtime(t, dir, "text")
	p.commit(files{".gitattributes": "* text\n"})
	run(t, p.clone(dir))
	if mtime(t, dir, "text").Equal(before) {
		t.Error("the file has the same time, though git may write it differently now")
	}
}

func TestWhatAFilterWritesGetsNoStableTime(t *testing.T) {
	t.Parallel()
	p := newProject(t, files{".gitattributes": "*.env filter=env\nplain.env -filter\n", "secret.env": "x", "plain.env": "x"})
	dir := p.clone(filepath.Join(t.TempDir(), "ci"))
	run(t, dir)
	equal(t, "secret.env has a stable time", isStable(t, dir, "secret.env"), false)
	equal(t, "plain.env has a stable time", isStable(t, dir, "plain.env"), true)
}

func TestTheNextJobInTheSameCheckoutTouchesOnlyWhatChanged(t *testing.T) {
	t.Parallel()
	p := newProject(t, files{"kept": "1", "dir/changed": "1"})
	dir := p.clone(filepath.Join(t.TempDir(), "ci"))
	run(t, dir)
	ctime := changeTime(t, dir, "kept")
	p.commit(files{"dir/changed": "2"})
	time.Sleep(20 * time.Millisecond) // the kernel's clock for files ticks every 4 ms
	runIn(t, dir, "git", "fetch", "-q")
	runIn(t, dir, "git", "checkout", "-q", "-f", "origin/main")
	r := run(t, dir)
	equal(t, "files", r.Times.Files, 2)
	equal(t, "kept was touched", !changeTime(t, dir, "kept").Equal(ctime), false)
	equal(t, "changed has a stable time", isStable(t, dir, "dir/changed"), true)
}

func changeTime(t *testing.T, elem ...string) time.Time {
	t.Helper()
	info, err := os.Lstat(filepath.Join(elem...))
	if err != nil {
		t.Fatal(err)
	}
	return time.Unix(info.Sys().(*syscall.Stat_t).Ctim.Unix())
}

func TestWhatGitCallsDirtyIsNotStampedNorAreItsFolders(t *testing.T) {
	t.Parallel()
	p := newProject(t, files{"a/changed": "one", "a/kept": "one", "b/kept": "one", "c/gone": "one", "c/d/hidden": "one"})
	dir := p.clone(filepath.Join(t.TempDir(), "ci"))
	runIn(t, dir, "git", "update-index", "--assume-unchanged", "c/d/hidden")
	write(t, dir, files{"a/changed": "two", "c/d/hidden": "two"})
	if err := os.Remove(inside(dir, "c/gone")); err != nil {
		t.Fatal(err)
	}
	r := run(t, dir)
	equal(t, "dirty", r.Times.Dirty, 3)
	for name, want := range map[string]bool{
		".": false, "a": false, "a/changed": false, "a/kept": true, "b": true, "b/kept": true, "c": false, "c/d": false, "c/d/hidden": false,
	} {
		equal(t, name+" has a stable time", isStable(t, dir, name), want)
	}
}

func TestAFileInConflictIsLeftAloneAndTheOthersAreNot(t *testing.T) {
	t.Parallel()
	p := newProject(t, files{"torn": "base", "kept": "1"})
	dir := p.clone(filepath.Join(t.TempDir(), "ci"))
	p.commit(files{"torn": "theirs"})
	write(t, dir, files{"torn": "ours"})
	runIn(t, dir, "git", "commit", "-q", "-a", "-m", "ours")
	runIn(t, dir, "git", "fetch", "-q")
	if err := command(t, dir, "git", "merge", "-q", "origin/main").Run(); err == nil {
		t.Fatal("there is no conflict")
	}
	r := run(t, dir)
	equal(t, "times", []any{r.Times.Mode, r.Times.Files, r.Times.Dirty, r.Times.Refreshed}, []any{ModeAll, 1, 1, true})
	equal(t, "the torn file has a stable time", isStable(t, dir, "torn"), false)
}

func TestAFileThatWasChangedBehindItsStableTimeLosesIt(t *testing.T) {
	t.Parallel()
	dir := newProject(t, files{"file": "one"}).clone(filepath.Join(t.TempDir(), "ci"))
	run(t, dir)
	at := mtime(t, dir, "file")
	time.Sleep(1100 * time.Millisecond) // git compares whole seconds of ctime
	write(t, dir, files{"file": "two"})
	if err := os.Chtimes(filepath.Join(dir, "file"), at, at); err != nil {
		t.Fatal(err)
	}
	runIn(t, dir, "git", "config", "core.trustctime", "false")
	runIn(t, dir, "git", "config", "core.checkStat", "minimal")
	equal(t, "dirty", run(t, dir).Times.Dirty, 1)
	equal(t, "the file has a stable time", isStable(t, dir, "file"), false)
}

func TestACheckoutThatWasGivenToAnotherUserIsStampedAllTheSame(t *testing.T) {
	t.Parallel()
	dir := newProject(t, files{"a": "1", "b/c": "2"}).clone(filepath.Join(t.TempDir(), "ci"))
	time.Sleep(1100 * time.Millisecond) // or git finds no difference in the times, and needs none
	runIn(t, dir, "chown", "-R", "12345:12345", ".")
	r := run(t, dir)
	equal(t, "mode", r.Times.Mode, ModeAll)
	equal(t, "files", r.Times.Files, 2)
	equal(t, "dirty", r.Times.Dirty, 0)
}

func TestGitFindsItsIndexFresh(t *testing.T) {
	t.Parallel()
	dir := newProject(t, files{"a": "1", "b/c": "2"}).clone(filepath.Join(t.TempDir(), "ci"))
	equal(t, "refreshed", run(t, dir).Times.Refreshed, true)
	// diff-files does not read files: it lists what the index is wrong about.
	equal(t, "what git has to read again", runIn(t, dir, "git", "diff-files", "--name-only"), "")
	equal(t, "status", runIn(t, dir, "git", "status", "--porcelain"), "")
}

func TestATreeWithFilesOfOtherOriginHasStableTimesBelowTestdataOnly(t *testing.T) {
	t.Parallel()
	content := files{"main.go": "package main", "pkg/testdata/in": "1", "pkg/testdata/deep/in": "2", "pkg/pkg.go": "package pkg", ".gitignore": "out"}
	for name, c := range map[string]struct {
		job  func(dir string)
		opts []func(*Options)
		why  string
	}{
		"ignored file":    {job: func(dir string) { write(t, dir, files{"bin/out": "x"}) }, why: "untracked files"},
		"untracked file":  {job: func(dir string) { write(t, dir, files{"pkg/new": "x"}) }, why: "untracked files"},
		"cache, artifact": {job: func(string) {}, opts: []func(*Options){foreign}, why: "artifacts or cache paths"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := newProject(t, content).clone(filepath.Join(t.TempDir(), "ci"))
			c.job(dir)
			r := run(t, dir, c.opts...)
			equal(t, "times", []any{r.Times.Mode, r.Times.Why, r.Times.Files, r.Times.Dirs}, []any{ModeTestdata, c.why, 2, 2})
			for name, want := range map[string]bool{"main.go": false, "pkg": false, "pkg/testdata": true, "pkg/testdata/deep/in": true} {
				equal(t, name+" has a stable time", isStable(t, dir, name), want)
			}
		})
	}
}

func TestAFolderOfTestDataWithAnUntrackedFileIsNotStampedItself(t *testing.T) {
	t.Parallel()
	dir := newProject(t, files{"testdata/in": "1", "testdata/other/in": "1"}).clone(filepath.Join(t.TempDir(), "ci"))
	write(t, dir, files{"testdata/out": "x"})
	run(t, dir)
	for name, want := range map[string]bool{"testdata": false, "testdata/in": true, "testdata/out": false, "testdata/other": true} {
		equal(t, name+" has a stable time", isStable(t, dir, name), want)
	}
}

func TestAJobThatWantsPlainTimesGetsThemAfterOneThatHadStableOnes(t *testing.T) {
	t.Parallel()
	dir := newProject(t, files{"a": "1", "b/c": "2"}).clone(filepath.Join(t.TempDir(), "ci"))
	plain := mtimes(t, dir)
	off := func(o *Options) { o.Stamp = false }
	r := run(t, dir, off)
	equal(t, "mode", r.Times.Mode, ModeOff)
	equal(t, "what changed", differing(plain, mtimes(t, dir)), []string{})
	run(t, dir)
	equal(t, "refreshed", run(t, dir, off).Times.Refreshed, true)
	for name, at := range mtimes(t, dir) {
		if time.Since(at) > time.Minute {
			t.Errorf("%s is of %s", name, at)
		}
	}
	equal(t, "what git has to read again", runIn(t, dir, "git", "diff-files", "--name-only"), "")
}

func TestMakeNeverTakesAnOutputOfOlderSourcesForUpToDate(t *testing.T) {
	t.Parallel()
	p := newProject(t, files{"Makefile": "app: main.txt\n\tcp main.txt app\n", "main.txt": "v1", ".gitignore": "app"})
	dir := p.clone(filepath.Join(t.TempDir(), "ci"))
	restore := func(dir string) { // what GitLab does with a cached file: the content, and the time at which it was made
		write(t, dir, files{"app": "v1"})
		made := time.Now().Add(-time.Hour)
		if err := os.Chtimes(filepath.Join(dir, "app"), made, made); err != nil {
			t.Fatal(err)
		}
	}
	made := func(dir string) string {
		runIn(t, dir, "make", "app")
		app, err := os.ReadFile(filepath.Join(dir, "app"))
		if err != nil {
			t.Fatal(err)
		}
		return string(app)
	}
	p.commit(files{"main.txt": "v2"})

	p.clone(dir)
	run(t, dir, foreign)
	restore(dir)
	equal(t, "app, restored after the stamping", made(dir), "v2")

	p.clone(dir)
	restore(dir)
	run(t, dir)
	equal(t, "app, there before the stamping", made(dir), "v2")

	p.clone(dir)
	run(t, dir) // an earlier job in the same checkout, which had no output from elsewhere
	restore(dir)
	run(t, dir, foreign)
	equal(t, "app, with sources that an earlier job stamped", made(dir), "v2")
}

func TestWithoutGitTheTimesAreLeftAlone(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, files{"go.mod": "module example.org/m\ngo 1.26.5\n", "sub/go.mod": "module example.org/sub\n", "node_modules/x": ""})
	before := mtimes(t, dir)
	r := run(t, dir)
	equal(t, "times", r.Times, Times{Mode: ModeNone, Why: "no git repository"})
	equal(t, "what changed", differing(before, mtimes(t, dir)), []string{})
	equal(t, "toolchain", r.Graph.Toolchain, "go1.26.5")
}

func TestACheckoutThatGitCannotReadIsAProblemAndNoError(t *testing.T) {
	t.Parallel()
	dir := newProject(t, files{"go.mod": "module example.org/m\n"}).clone(filepath.Join(t.TempDir(), "ci"))
	write(t, dir, files{".git/index": "garbage"})
	r := runWithProblems(t, dir)
	equal(t, "mode", r.Times.Mode, ModeNone)
	equal(t, "number of problems", len(r.Problems), 1)
	if r.Graph.Hash == "" {
		t.Error("the graph was not read")
	}
}

func TestNoCheckoutAtAllIsAnError(t *testing.T) {
	t.Parallel()
	if _, err := Run(t.Context(), Options{Dir: filepath.Join(t.TempDir(), "none"), Stamp: true}); err == nil {
		t.Error("no error")
	}
}
