package kind

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestEveryUserFindsTheBuildCacheReady(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "build")
	if err := os.MkdirAll(filepath.Join(dir, "5a"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, trimFile), []byte("1"), 0o600); err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second time all is there
		if err := Build().Prepare(dir); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{".", "00", "5a", "ff"} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil || info.Mode().Perm() != 0o777 {
			t.Errorf("%s: %v, %v", name, info, err)
		}
	}
	if folders, _ := filepath.Glob(filepath.Join(dir, "[0-9a-f][0-9a-f]")); len(folders) != 256 {
		t.Errorf("%d folders", len(folders))
	}
	data, err := os.ReadFile(filepath.Join(dir, trimFile))
	if err != nil {
		t.Fatal(err)
	}
	trimmed, err := strconv.ParseInt(string(data), 10, 64)
	if err != nil || time.Since(time.Unix(trimmed, 0)).Abs() > time.Minute {
		t.Errorf("trim.txt says %q", data)
	}
	info, err := os.Stat(filepath.Join(dir, trimFile))
	if err != nil || info.Mode().Perm() != 0o666 {
		t.Errorf("trim.txt: %v, %v", info, err)
	}
}

// Prepare runs as root, and after a crash the folder may be one that a job has had.
func TestPreparingFollowsNoLinkOutOfTheCache(t *testing.T) {
	t.Parallel()
	outside := t.TempDir()
	victim := filepath.Join(outside, "victim")
	if err := os.WriteFile(victim, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "build")
	if err := os.Mkdir(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(victim, filepath.Join(dir, trimFile)); err != nil {
		t.Fatal(err)
	}
	if err := Build().Prepare(dir); err != nil {
		t.Error(err)
	}
	linked := filepath.Join(t.TempDir(), "modules")
	if err := os.Symlink(outside, linked); err != nil {
		t.Fatal(err)
	}
	if err := Modules().Prepare(linked); err != nil {
		t.Error(err)
	}
	if info, err := os.Lstat(filepath.Join(linked, "cache")); err != nil || !info.IsDir() {
		t.Errorf("no folder took the place of the link: %v", err)
	}
	if data, _ := os.ReadFile(victim); string(data) != "precious" {
		t.Errorf("written to: %q", data)
	}
	if entries, _ := os.ReadDir(outside); len(entries) != 1 {
		t.Errorf("made there: %v", entries)
	}
	fifo := filepath.Join(dir, trimFile)
	if err := os.Remove(fifo); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(fifo, 0o666); err != nil {
		t.Fatal(err)
	}
	within(t, 10*time.Second, func() {
		if err := Build().Prepare(dir); err != nil {
			t.Error(err)
		}
	})
}

func TestOnlyEntriesOfTheBuildCacheBelongToItems(t *testing.T) {
	t.Parallel()
	hash := "ab" + strings.Repeat("0", 62)
	for path, want := range map[string]string{
		"ab/" + hash + "-a":                          hash,
		"ab/" + hash + "-d":                          "",
		"ab/" + hash + "-d/tool":                     "",
		"ab/" + hash + "-a/tool":                     "",
		"ac/" + hash + "-a":                          "",
		"ab/" + hash[1:] + "-a":                      "",
		"AB/" + strings.ToUpper(hash) + "-a":         "",
		"x/ab/" + hash + "-a":                        "",
		"ab/" + hash + "-a\n":                        "",
		"ab/" + hash:                                 "",
		"fuzz/example.com/a/FuzzParse/0123456789abc": "",
		trimFile: "", "README": "", "": "", "/": "", "-a": "",
	} {
		if got := Build().ItemOf(path); got != want {
			t.Errorf("%q: %q, want %q", path, got, want)
		}
	}
}

// service is a module with all that compiles in a way of its own: assembly, C, tests in and beside the package.
func (j *job) service(cgo bool) {
	for name, content := range map[string]string{
		"go.mod":                "module example.com/service\n\ngo 1.24\n",
		"main.go":               "package main\n\nimport \"example.com/service/add\"\n\nfunc main() { println(add.Add(1, 2)) }\n",
		"add/add.go":            "package add\n\nfunc nothing()\n\nfunc Add(a, b int) int { nothing(); return a + b }\n",
		"add/nothing.s":         "TEXT ·nothing(SB),4,$0\n\tRET\n",
		"add/in_test.go":        "package add\n\nimport \"testing\"\n\nfunc TestIn(t *testing.T) { t.Parallel(); Add(1, 2) }\n",
		"add/out_test.go":       "package add_test\n\nimport (\n\t\"os\"\n\t\"testing\"\n\n\t\"example.com/service/add\"\n)\n\nfunc TestOut(t *testing.T) {\n\tif _, err := os.ReadFile(\"testdata/sum\"); err != nil || add.Add(1, 2) != 3 {\n\t\tt.Error(err)\n\t}\n}\n",
		"add/testdata/sum":      "3\n",
		"generic/generic.go":    "package generic\n\nfunc Max[T int | string](a, b T) T { return max(a, b) }\n",
		"unused/unused_test.go": "package unused\n",
	} {
		j.write(j.src, name, content)
	}
	if cgo {
		j.write(j.src, "c/c.go", "package c\n\n// static int three(void) { return 3; }\nimport \"C\"\n\nfunc Three() int { return int(C.three()) }\n")
	}
	past := time.Now().Add(-time.Hour) // Go caches no test that opened a file of just now
	j.must(os.Chtimes(filepath.Join(j.src, "add", "testdata", "sum"), past, past))
	j.must(os.Chtimes(filepath.Join(j.src, "add", "testdata"), past, past))
}

// pipeline is what jobs do to a service. To vet it all, and its tests again before they run, would have all that they import looked at twice.
func (j *job) pipeline() (output string) {
	program, err := os.Executable()
	j.must(err)
	exec := "-toolexec=" + program
	for _, args := range [][]string{
		{"build", exec, "./..."},
		{"vet", exec, ".", "./generic"},
		{"test", "-vet=off", exec, "./..."},
		{"test", "-vet=off", exec, "-cover", "./add"}, // of a package without tests, Go would first build a tool, covdata, without -toolexec
		{"run", exec, "."},
	} {
		output += j.run("go", args...)
	}
	return output
}

func TestTheNextJobCompilesNothing(t *testing.T) {
	t.Parallel()
	first := newBuildJob(t)
	_, err := exec.LookPath("gcc")
	first.service(err == nil)
	if out := first.pipeline(); strings.Contains(out, "(cached)") {
		t.Fatalf("the first job is warm:\n%s", out)
	}
	h := first.harvest(Build())
	if runs := first.tools("compile"); runs == 0 || runs != len(h.New) {
		t.Errorf("%d compiled packages are counted, the compiler ran %d times", len(h.New), runs)
	}
	if packages := ids(h.Items, Package); !slices.Equal(packages, h.New) {
		t.Errorf("%d packages are saved, %d counted", len(packages), len(h.New))
	}
	for _, class := range []Class{TestLog, Index, OtherRun} {
		if len(ids(h.Items, class)) == 0 {
			t.Errorf("nothing of class %s", class)
		}
	}
	if len(h.Refused) > 0 {
		t.Errorf("refused of an honest job: %v", h.Refused)
	}

	second := *first // the same paths, as in CI
	second.build = filepath.Join(t.TempDir(), "build")
	names := unpack(t, Build(), first.buildRoot, h.Items, second.build)
	if !slices.IsSorted(names) || len(slices.Compact(slices.Clone(names))) != len(names) {
		t.Error("the files of a layer are not sorted, or some come twice")
	}
	second.must(Build().Prepare(second.build))
	second.env = append(slices.Clone(first.env), "GOCACHE="+second.build)
	second.buildRoot = second.root(second.build)
	second.knows(h.Items)
	before, links := first.tools("compile"), first.tools("link")
	out := second.pipeline()
	if n := second.tools("compile") - before; n != 0 {
		t.Errorf("the second job compiled %d packages", n)
	}
	if n := second.tools("link") - links; n != 1 { // of go build, whose output is in no cache; go run's is
		t.Errorf("the second job linked %d times", n)
	}
	if n := strings.Count(out, "(cached)"); n != strings.Count(out, "ok  \t") || n != 3 {
		t.Errorf("tests are not cached:\n%s", out)
	}
	if h := second.harvest(Build()); len(h.Items)+len(h.New)+len(h.Refused) != 0 {
		t.Errorf("the second job left %v, new %v, refused %v", h.Items, h.New, h.Refused)
	}
}

func TestWhatIsCompiledAgainIsNewAndWhatIsOnlyTouchedIsNot(t *testing.T) {
	t.Parallel()
	j := newBuildJob(t)
	j.write(j.src, "go.mod", "module example.com/small\n\ngo 1.24\n")
	j.write(j.src, "small.go", "package small\n\nimport _ \"math/bits\"\n")
	j.run("go", "build", ".")
	packages := slices.Sorted(slices.Values(strings.Fields(j.run("go", "list", "-deps", "."))))
	saved := j.harvest(Build())
	if len(saved.New) < 2 {
		t.Fatalf("compiled: %v", saved.New)
	}
	packages = slices.DeleteFunc(packages, func(p string) bool { return p == "unsafe" }) // which is not compiled
	if !slices.Equal(saved.Compiled, packages) {
		t.Errorf("said to have compiled %v, want %v", saved.Compiled, packages)
	}
	j.knows(saved.Items)
	unpack(t, Build(), j.buildRoot, saved.Items, j.build) // the times of a layer
	j.run("chmod", "-R", "a+rwX", j.build)                // copies all of it up
	if h := j.harvest(Build()); len(h.New)+len(h.Items) != 0 {
		t.Errorf("new after chmod: %v, %v", h.New, h.Items)
	}
	j.run("go", "build", "-a", ".")
	if h := j.harvest(Build()); !slices.Equal(h.New, saved.New) || len(ids(h.Items, Package)) != 0 {
		t.Errorf("after go build -a %d of %d are new, and %v would be saved again", len(h.New), len(saved.New), ids(h.Items, Package))
	}
}
