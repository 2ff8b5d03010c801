package checkout

import (
	"bytes"
	"encoding/json"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// project is a repository that jobs are run from.
type project struct {
	t   *testing.T
	dir string
}

// files of a project: name → content.
type files map[string]string

func newProject(t *testing.T, content files) project {
	t.Helper()
	p := project{t, filepath.Join(t.TempDir(), "origin")}
	runIn(t, "", "git", "init", "-q", "-b", "main", p.dir)
	p.commit(content)
	return p
}

func (p project) commit(content files) {
	p.t.Helper()
	write(p.t, p.dir, content)
	runIn(p.t, p.dir, "git", "add", "-A")
	runIn(p.t, p.dir, "git", "commit", "-q", "--allow-empty", "-m", "change")
}

// clone is what get_sources does, in a folder that is made anew.
func (p project) clone(dir string) string {
	p.t.Helper()
	if err := os.RemoveAll(dir); err != nil {
		p.t.Fatal(err)
	}
	runIn(p.t, "", "git", "clone", "-q", "--recurse-submodules", p.dir, dir)
	return dir
}

func write(t *testing.T, dir string, content files) {
	t.Helper()
	for name, text := range content {
		name = filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
}

// runIn runs a program as a job would, without the settings of whoever runs the tests.
func runIn(t *testing.T, dir string, args ...string) string {
	t.Helper()
	out, err := command(t, dir, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%q: %v\n%s", args, err, out)
	}
	return string(out)
}

func command(t *testing.T, dir string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(t.Context(), args[0], args[1:]...)
	cmd.Dir = dir
	cmd.Env = slices.DeleteFunc(os.Environ(), func(v string) bool {
		return strings.HasPrefix(v, "GIT_") || strings.HasPrefix(v, "MAKE")
	})
	cmd.Env = append(cmd.Env, "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_COUNT=4",
		"GIT_CONFIG_KEY_0=user.name", "GIT_CONFIG_VALUE_0=A. Uthor", "GIT_CONFIG_KEY_1=user.email", "GIT_CONFIG_VALUE_1=a@example.org",
		"GIT_CONFIG_KEY_2=protocol.file.allow", "GIT_CONFIG_VALUE_2=always", "GIT_CONFIG_KEY_3=core.autocrlf", "GIT_CONFIG_VALUE_3=false")
	return cmd
}

// run is Run with stamping, which must not find a problem.
func run(t *testing.T, dir string, change ...func(*Options)) Report {
	t.Helper()
	r := runWithProblems(t, dir, change...)
	if len(r.Problems) > 0 {
		t.Errorf("problems: %q", r.Problems)
	}
	return r
}

// runWithProblems checks besides that the host takes what the helper container prints.
func runWithProblems(t *testing.T, dir string, change ...func(*Options)) Report {
	t.Helper()
	o := Options{Dir: dir, Stamp: true, RefreshLimit: time.Minute}
	for _, c := range change {
		c(&o)
	}
	r, err := Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	printed, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ReadReport(bytes.NewReader(printed)); err != nil {
		t.Errorf("the host refuses the report: %v\n%s", err, printed)
	}
	return r
}

// inside is a name in a folder, with slashes.
func inside(dir, name string) string { return filepath.Join(dir, filepath.FromSlash(name)) }

func foreign(o *Options) { o.Foreign = true }

// mtime is that of a name itself, not of what a symbolic link leads to.
func mtime(t *testing.T, elem ...string) time.Time {
	t.Helper()
	info, err := os.Lstat(filepath.Join(elem...))
	if err != nil {
		t.Fatal(err)
	}
	return info.ModTime()
}

func isStable(t *testing.T, elem ...string) bool {
	t.Helper()
	return stamped(mtime(t, elem...).UnixNano())
}

// mtimes are those of all that is in a tree, save git's own.
func mtimes(t *testing.T, dir string) map[string]time.Time {
	t.Helper()
	times := map[string]time.Time{}
	err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.Name() == ".git" {
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		rel, err := filepath.Rel(dir, name)
		times[rel] = mtime(t, name)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return times
}

func differing(a, b map[string]time.Time) []string {
	names := []string{}
	for name := range a {
		if !a[name].Equal(b[name]) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

func equal[T any](t *testing.T, what string, got, want T) {
	t.Helper()
	g, _ := json.Marshal(got)
	w, _ := json.Marshal(want)
	if !bytes.Equal(g, w) {
		t.Errorf("%s is %s, want %s", what, g, w)
	}
}
