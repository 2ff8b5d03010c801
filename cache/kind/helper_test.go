package kind

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/leaktest"
)

// toolLog names the file in which the test's program, as go's -toolexec, notes which tools are run.
const toolLog = "TEST_TOOL_LOG"

func TestMain(m *testing.M) {
	log := os.Getenv(toolLog)
	if log == "" || len(os.Args) < 3 {
		leaktest.Main(m)
	}
	if err := runTool(log, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func runTool(log string, args []string) error {
	if args[1] != "-V=full" { // go asks for a tool's identity that way
		f, err := os.OpenFile(log, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
		if err != nil {
			return err
		}
		fmt.Fprintln(f, filepath.Base(args[0]))
		if err := f.Close(); err != nil {
			return err
		}
	}
	return syscall.Exec(args[0], args, os.Environ())
}

// job is what a job has: a checkout, and its caches.
type job struct {
	t                  *testing.T
	src, build, mods   string
	sums               Sums
	known              map[string]Item
	env                []string
	buildRoot, modRoot *os.Root
}

// newJob has caches that are empty. That of the modules is prepared.
func newJob(t *testing.T) *job {
	t.Helper()
	dir := t.TempDir()
	j := &job{t: t, src: filepath.Join(dir, "src"), build: filepath.Join(dir, "build"), mods: filepath.Join(dir, "modules")}
	j.must(errors.Join(os.Mkdir(j.src, 0o755), os.Mkdir(j.build, 0o777)))
	j.must(Modules().Prepare(j.mods))
	for _, v := range os.Environ() {
		if name, _, _ := strings.Cut(v, "="); !strings.HasPrefix(name, "GO") || name == "GOPROXY" || name == "GOROOT" {
			j.env = append(j.env, v)
		}
	}
	// Unoptimized, the standard library is compiled in three quarters of the time.
	j.env = append(j.env, "GOENV=off", "GOFLAGS=-buildvcs=false '-gcflags=all=-N -l -dwarf=false'", "GOTOOLCHAIN=local", "CGO_ENABLED=", "GOPATH="+filepath.Join(dir, "gopath"),
		"GOCACHE="+j.build, "GOMODCACHE="+j.mods, toolLog+"="+filepath.Join(dir, "tools"))
	j.buildRoot, j.modRoot = j.root(j.build), j.root(j.mods)
	return j
}

// newBuildJob has both prepared: to make the 256 folders of Go's build cache takes longer than most tests.
func newBuildJob(t *testing.T) *job {
	t.Helper()
	j := newJob(t)
	j.must(Build().Prepare(j.build))
	return j
}

func (j *job) must(err error) {
	j.t.Helper()
	if err != nil {
		j.t.Fatal(err)
	}
}

func (j *job) root(dir string) *os.Root {
	j.t.Helper()
	root, err := os.OpenRoot(dir)
	j.must(err)
	j.t.Cleanup(func() { _ = root.Close() })
	return root
}

// write makes a file below dir and the folders above it. It never follows a link out: tests run as root, and plant such links.
func (j *job) write(dir, name, content string) {
	j.t.Helper()
	root := j.root(dir)
	j.must(root.MkdirAll(filepath.Dir(name), 0o777))
	j.must(root.RemoveAll(name))
	f, err := root.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o666)
	j.must(err)
	_, err = f.WriteString(content)
	j.must(errors.Join(err, f.Close()))
}

// linkOut makes a link to a file of the host that nobody would miss: the test's own program.
func linkOut(file string) error {
	target, err := os.Executable()
	return errors.Join(err, os.Symlink(target, file))
}

// run gives the output of a command of the job that succeeds.
func (j *job) run(name string, args ...string) string {
	j.t.Helper()
	cmd := exec.CommandContext(j.t.Context(), name, args...)
	cmd.Dir, cmd.Env = j.src, j.env
	out, err := cmd.CombinedOutput()
	if err != nil {
		j.t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

// tools counts the runs of a tool so far.
func (j *job) tools(name string) int {
	data, err := os.ReadFile(filepath.Join(filepath.Dir(j.src), "tools"))
	if err != nil && !os.IsNotExist(err) {
		j.t.Fatal(err)
	}
	return len(slices.DeleteFunc(strings.Fields(string(data)), func(tool string) bool { return tool != name }))
}

// changed lists all below a folder that is no folder, as hostile as it is.
func changed(t *testing.T, dir string) []string {
	t.Helper()
	var names []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			rel, _ := filepath.Rel(dir, path)
			names = append(names, rel)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(names)
	return names
}

// harvest takes a kind's harvest as if the job had made all that is there.
func (j *job) harvest(k Kind) Harvest {
	j.t.Helper()
	root, dir := j.buildRoot, j.build
	if k.Name() == "modules" {
		root, dir = j.modRoot, j.mods
	}
	h, err := k.Harvest(j.t.Context(), j.input(root, changed(j.t, dir)...))
	j.must(err)
	return h
}

func (j *job) input(root *os.Root, names ...string) Input {
	return Input{Root: root, Changed: names, Sums: j.sums, Known: j.known}
}

// knows makes items known, as if they were saved.
func (j *job) knows(items []Item) {
	j.known = map[string]Item{}
	for _, item := range items {
		j.known[item.ID] = item
	}
}

// unpack puts the files of items where another job finds them, as a layer would.
func unpack(t *testing.T, k Kind, from *os.Root, items []Item, to string) (names []string) {
	t.Helper()
	for file, err := range k.Files(from, items) {
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, file.Name)
		name := filepath.Join(to, file.Name)
		r, err := file.Open()
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(r)
		if err = errors.Join(err, r.Close()); err != nil || int64(len(data)) != file.Size {
			t.Fatalf("%s: %d bytes, %v; want %d", file.Name, len(data), err, file.Size)
		}
		if err := os.MkdirAll(filepath.Dir(name), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, data, 0o666); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(name, file.Mode); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(name, file.ModTime, file.ModTime); err != nil {
			t.Fatal(err)
		}
	}
	return names
}

func ids(items []Item, classes ...Class) (found []string) {
	for _, item := range items {
		if len(classes) == 0 || slices.Contains(classes, item.Class) {
			found = append(found, item.ID)
		}
	}
	return found
}

// within fails the test if do takes too long, as the opening of a FIFO does.
func within(t *testing.T, limit time.Duration, do func()) {
	t.Helper()
	done := make(chan struct{})
	go func() { defer close(done); do() }()
	select {
	case <-done:
	case <-time.After(limit):
		t.Fatal("it hangs")
	}
}
