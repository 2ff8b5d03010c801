package checkout

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func withSubmodule(t *testing.T) (p, sub project) {
	t.Helper()
	sub = newProject(t, files{"go.mod": "module example.org/sub\n", "lib/lib.go": "package lib\n", "lib/testdata/in": "1"})
	p = newProject(t, files{"go.mod": "module example.org/m\n"})
	runIn(t, p.dir, "git", "submodule", "add", "-q", sub.dir, "third/sub")
	p.commit(nil)
	return p, sub
}

func TestTheFilesOfASubmoduleHaveStableTimesToo(t *testing.T) {
	t.Parallel()
	p, sub := withSubmodule(t)
	dir := filepath.Join(t.TempDir(), "ci")
	r := run(t, p.clone(dir))
	equal(t, "mode", r.Times.Mode, ModeAll)
	equal(t, "files", r.Times.Files, 5)
	equal(t, "third/sub/lib/lib.go has a stable time", isStable(t, dir, "third/sub/lib/lib.go"), true)
	equal(t, "what git has to read again", runIn(t, dir, "git", "-C", "third/sub", "diff-files", "--name-only"), "")
	before := mtimes(t, dir)

	sub.commit(files{"lib/lib.go": "package abc\n"})
	runIn(t, p.dir, "git", "submodule", "-q", "update", "--remote")
	p.commit(nil)
	run(t, p.clone(dir))
	equal(t, "what changed with the submodule", differing(before, mtimes(t, dir)),
		[]string{".", "third", "third/sub", "third/sub/lib", "third/sub/lib/lib.go"})
}

func TestAnUntrackedFileInASubmoduleIsForeign(t *testing.T) {
	t.Parallel()
	p, _ := withSubmodule(t)
	dir := p.clone(filepath.Join(t.TempDir(), "ci"))
	write(t, dir, files{"third/sub/out": "x"})
	r := run(t, dir)
	equal(t, "times", []any{r.Times.Mode, r.Times.Files}, []any{ModeTestdata, 1})
	equal(t, "its test data has a stable time", isStable(t, dir, "third/sub/lib/testdata/in"), true)
}

func TestASubmoduleThatWasNotFetchedIsAnEmptyFolder(t *testing.T) {
	t.Parallel()
	p, _ := withSubmodule(t)
	dir := filepath.Join(t.TempDir(), "ci")
	runIn(t, "", "git", "clone", "-q", p.dir, dir)
	equal(t, "mode", run(t, dir).Times.Mode, ModeAll)
	write(t, dir, files{"third/sub/out": "x"}) // git ls-files -o does not tell
	equal(t, "mode, with a file in it", run(t, dir).Times.Mode, ModeTestdata)
}

func TestASubmoduleThatGitCannotReadIsForeignAndTheRestIsNot(t *testing.T) {
	t.Parallel()
	p, _ := withSubmodule(t)
	dir := p.clone(filepath.Join(t.TempDir(), "ci"))
	write(t, dir, files{"third/sub/.git": "gitdir: nowhere\n", "testdata/in": ""})
	runIn(t, dir, "git", "add", "testdata")
	r := runWithProblems(t, dir)
	equal(t, "times", []any{r.Times.Mode, r.Times.Files}, []any{ModeTestdata, 1})
	if len(r.Problems) != 1 || !strings.Contains(r.Problems[0], "third/sub") {
		t.Errorf("problems: %q", r.Problems)
	}
}

func TestFilesOfLFSHaveStableTimesAndGitFindsThemClean(t *testing.T) {
	t.Parallel()
	p := newProject(t, files{})
	runIn(t, p.dir, "git", "lfs", "install", "--local")
	p.commit(files{".gitattributes": "*.bin filter=lfs diff=lfs merge=lfs -text\n", "testdata/a.bin": "content", "b.txt": "text"})
	if pointer := runIn(t, p.dir, "git", "show", "HEAD:testdata/a.bin"); !strings.HasPrefix(pointer, "version https://git-lfs") {
		t.Fatalf("the blob is no pointer: %s", pointer)
	}
	clone := func(dir string) string {
		runIn(t, "", "git", "-c", "filter.lfs.smudge=git-lfs smudge -- %f", "-c", "filter.lfs.process=git-lfs filter-process",
			"-c", "filter.lfs.required=true", "clone", "-q", p.dir, dir)
		runIn(t, dir, "git", "lfs", "install", "--local")
		return dir
	}
	dir := clone(filepath.Join(t.TempDir(), "ci"))
	if content, err := os.ReadFile(inside(dir, "testdata/a.bin")); err != nil || string(content) != "content" {
		t.Fatalf("LFS has not written the file: %q, %v", content, err)
	}
	runIn(t, dir, "chown", "-R", "12345:12345", ".") // LFS asks git about the repository too
	r := run(t, dir)
	equal(t, "times", []any{r.Times.Mode, r.Times.Files, r.Times.Dirty, r.Times.Refreshed}, []any{ModeAll, 3, 0, true})
	runIn(t, dir, "chown", "-R", "0:0", ".git")
	equal(t, "what git has to read again", runIn(t, dir, "git", "-c", "safe.directory=*", "diff-files", "--name-only"), "")
	before := mtimes(t, dir)
	second := clone(filepath.Join(t.TempDir(), "second"))
	run(t, second)
	equal(t, "what changed in another clone", differing(before, mtimes(t, second)), []string{})

	p.commit(files{"testdata/a.bin": "CONTENT"})
	third := clone(filepath.Join(t.TempDir(), "third"))
	run(t, third)
	equal(t, "what changed with a file", differing(before, mtimes(t, third)), []string{".", "testdata", "testdata/a.bin"})
}
