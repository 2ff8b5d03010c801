package e2e

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// goHost is a runner host with a Go project and a module proxy.
type goHost struct {
	*host
	proxy *modProxy
	files map[string]string
}

// newGoHost makes a small service of several packages: two modules of the proxy, one of them with a requirement of its own, and a test
// that reads test data.
func newGoHost(t *testing.T, settings string) *goHost {
	t.Helper()
	g := &goHost{host: newHost(t, settings), proxy: newModProxy(t)}
	g.proxy.add(t, "example.com/gamma", "v1.0.0", map[string]string{"gamma.go": "package gamma\n\nconst Three = 3\n"})
	g.proxy.add(t, "example.com/beta", "v1.0.0", map[string]string{"beta.go": "package beta\n\nimport \"example.com/gamma\"\n\nconst Two = gamma.Three - 1\n"}, "example.com/gamma@v1.0.0")
	for _, v := range []string{"v1.0.0", "v1.1.0"} {
		g.proxy.add(t, "example.com/alpha", v, map[string]string{"alpha.go": "package alpha\n\nconst Version = \"" + v + "\"\n"})
	}
	g.files = map[string]string{
		"go.mod": `module example.com/app

go 1.24

require (
	example.com/alpha v1.0.0
	example.com/beta v1.0.0
)

require example.com/gamma v1.0.0 // indirect
`,
		"go.sum":            g.proxy.goSum(),
		"main.go":           "package main\n\nimport (\n\t\"example.com/alpha\"\n\t\"example.com/app/sum\"\n)\n\nfunc main() { println(alpha.Version, sum.Of(1, 2)) }\n",
		"sum/sum.go":        "package sum\n\nimport \"example.com/beta\"\n\nfunc Of(a, b int) int { return a + b + beta.Two }\n",
		"sum/sum_test.go":   "package sum\n\nimport (\n\t\"os\"\n\t\"testing\"\n)\n\nfunc TestOf(t *testing.T) {\n\tdata, err := os.ReadFile(\"testdata/want\")\n\tif err != nil || string(data) != \"five\\n\" || Of(1, 2) != 5 {\n\t\tt.Fatal(string(data), err)\n\t}\n}\n",
		"sum/testdata/want": "five\n",
	}
	g.commit("first")
	return g
}

// commit puts the project's files into the repository.
func (g *goHost) commit(message string) {
	g.t.Helper()
	g.sha = g.gitlab.push(g.t, "group/project", message, g.files)
}

// change writes files and commits.
func (g *goHost) change(files map[string]string) {
	g.t.Helper()
	maps.Copy(g.files, files)
	g.commit("change")
}

// replace changes a text in a file and commits.
func (g *goHost) replace(file, old, with string) {
	g.t.Helper()
	if !strings.Contains(g.files[file], old) {
		g.t.Fatalf("%s has no %q", file, old)
	}
	g.change(map[string]string{file: strings.ReplaceAll(g.files[file], old, with)})
}

// buildAndTest is the script of most jobs.
var buildAndTest = []string{"go build ./...", "go vet ./...", "go test ./..."}

// goJob is a job that finds its modules at the proxy.
func (g *goHost) goJob(script ...string) job {
	return g.newJob(jobImage, script...).variable("GOPROXY", g.proxy.URL).variable("GONOSUMDB", "*").variable("GOFLAGS", "-mod=readonly")
}

// figures is what the operator log says of a job's caches; -1 is unknown.
type figures struct {
	Reason, Platform, Toolchain               string
	Wanted, HitHost, HitStore, Missed         int
	Available, Hit, New, Tests, Cached, Saved int
	RestoreSeconds, SaveSeconds               float64
	SaveReason                                string
}

// figures finds the line.
func (h *host) figures(j job) figures {
	h.t.Helper()
	line := h.logLine("caches", j)
	number := func(name string) int {
		if v, ok := line[name].(float64); ok {
			return int(v)
		}
		return -1
	}
	seconds := func(name string) float64 { v, _ := line[name].(float64); return v }
	word := func(name string) string { v, _ := line[name].(string); return v }
	return figures{
		Reason: word("cache_reason"), Platform: word("platform"), Toolchain: word("toolchain"), SaveReason: word("save_reason"),
		Wanted: number("modules_wanted"), HitHost: number("modules_hit_host"), HitStore: number("modules_hit_store"), Missed: number("modules_missed"),
		Available: number("build_available"), Hit: number("build_hit"), New: number("build_new"),
		Tests: number("tests_ok"), Cached: number("tests_cached"), Saved: number("saved_bytes"),
		RestoreSeconds: seconds("restore_seconds"), SaveSeconds: seconds("save_seconds"),
	}
}

// ran runs a job that has to succeed, and gives its figures too.
func (g *goHost) ran(j job) (result, figures) {
	g.t.Helper()
	r := g.run(j)
	g.succeeded(r)
	return r, g.figures(j)
}

// adds says whether a job has saved anything but Go's own indexes of packages. While Go loads packages it looks ahead for what these may need (preload in
// cmd/go/internal/load); how far, and from where, is a matter of chance, so that one job in ten with nothing to compile adds an index or two.
func (h *host) adds(f figures) bool {
	h.t.Helper()
	if f.Saved == 0 {
		return false
	}
	layers, err := filepath.Glob(filepath.Join(h.StateDir, "layers", "*.sqfs"))
	if err != nil {
		h.t.Fatal(err)
	}
	for _, layer := range layers {
		info, err := os.Stat(layer)
		if err != nil || info.Size() != int64(f.Saved) {
			continue // of another job
		}
		out, err := exec.CommandContext(h.t.Context(), "unsquashfs", "-cat", layer, "index").Output() //nolint:gosec // a layer of this test
		lines := strings.Split(strings.TrimSpace(string(out)), "\n")
		if err == nil && !slices.ContainsFunc(lines, func(line string) bool { return !strings.Contains(line, " index ") }) {
			return false
		}
		h.t.Logf("the job has saved (%v):\n%s", err, out)
	}
	return true
}

func (f figures) String() string {
	return fmt.Sprintf("%s: modules %d wanted, %d+%d hit, %d missed; packages %d available, %d hit, %d new; tests %d of %d cached; %s bytes saved",
		f.Reason, f.Wanted, f.HitHost, f.HitStore, f.Missed, f.Available, f.Hit, f.New, f.Cached, f.Tests, strconv.Itoa(f.Saved))
}

func str(n int) string { return strconv.Itoa(n) }

// entry is what is read of an entry of the store.
type entry struct {
	Layer    *struct{ Digest string }
	Replaces map[string]string
}

func (h *host) readEntry(file string) (e entry) {
	h.t.Helper()
	data, err := os.ReadFile(file)
	if err == nil {
		err = json.Unmarshal(data, &e)
	}
	if err != nil {
		h.t.Fatal(err)
	}
	return e
}

// withC adds a package with C and its test to the project.
func (g *goHost) withC() *goHost {
	g.t.Helper()
	g.change(map[string]string{
		"native/native.go":      "package native\n\n// int twice(int n) { return 2 * n; }\nimport \"C\"\n\nfunc Twice(n int) int { return int(C.twice(C.int(n))) }\n",
		"native/native_test.go": "package native\n\nimport \"testing\"\n\nfunc TestTwice(t *testing.T) {\n\tif Twice(2) != 4 {\n\t\tt.Fatal()\n\t}\n}\n",
	})
	return g
}

// seeds are what hosts begin with, since to find it out again for every test would take most of their time: stores of hosts that have built and
// tested the project once, and what Go the images have. TestMain makes the folder.
var seeds seedFolder

type seedFolder struct {
	dir             string
	withC, withoutC seed
}

func (s *seedFolder) images() string { return filepath.Join(s.dir, "images") }

// seed is one of the stores.
type seed struct {
	once   sync.Once
	stored bool
}

// warm gives the host what a first job would have saved.
func (g *goHost) warm() *goHost {
	g.t.Helper()
	return g.seeded(&seeds.withC, "with-c", func(j job) job { return j })
}

// warmWithoutC is warm for jobs without cgo, for which it is all the same what their image has beside Go.
func (g *goHost) warmWithoutC() *goHost {
	g.t.Helper()
	return g.seeded(&seeds.withoutC, "without-c", withoutC)
}

// withoutC makes a job one without cgo.
func withoutC(j job) job { return j.variable("CGO_ENABLED", "0") }

func (g *goHost) seeded(s *seed, name string, as func(job) job) *goHost {
	g.t.Helper()
	store := filepath.Join(seeds.dir, name)
	s.once.Do(func() {
		first := newGoHost(g.t, "")
		first.ran(as(first.goJob(buildAndTest...)))
		first.copyStore(filepath.Join(first.StateDir, "store", "v1", first.instance), store)
		s.stored = true
	})
	if !s.stored {
		g.t.Fatal("the job failed that warms all hosts")
	}
	g.copyStore(store, filepath.Join(g.StateDir, "store", "v1", g.instance))
	return g
}

func (h *host) copyStore(from, to string) {
	h.t.Helper()
	if err := os.MkdirAll(to, 0o700); err != nil {
		h.t.Fatal(err)
	}
	if out, err := exec.Command("cp", "-a", from+"/.", to).CombinedOutput(); err != nil {
		h.t.Fatalf("%v\n%s", err, out)
	}
}
