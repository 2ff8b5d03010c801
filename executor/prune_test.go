package executor

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// prunedHost is a host with three layers, used a week ago, yesterday and now, and what pruning it says.
type prunedHost struct {
	*testing.T
	dir, config string
}

func newPrunedHost(t *testing.T) *prunedHost {
	t.Helper()
	h := &prunedHost{T: t, dir: filepath.Join(t.TempDir(), "state")}
	h.config = filepath.Join(filepath.Dir(h.dir), "config.toml")
	h.write(h.config, fmt.Sprintf("state_dir = %q\n", h.dir))
	for i, days := range []int{7, 1, 0} {
		file := filepath.Join(h.dir, "layers", strings.Repeat(fmt.Sprint(i), 64)+".sqfs")
		h.write(file, "hsqs and 996 more bytes"+strings.Repeat(".", 977))
		used := time.Now().Add(-time.Duration(days)*24*time.Hour - time.Minute)
		if err := os.Chtimes(file, used, used); err != nil {
			t.Fatal(err)
		}
	}
	return h
}

func (h *prunedHost) write(file, content string) {
	h.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		h.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		h.Fatal(err)
	}
}

func (h *prunedHost) prune(what Pruning) (said string, err error) {
	h.Helper()
	var out bytes.Buffer
	err = Prune(h.Context(), Call{ConfigPath: h.config, Version: "test", Stdout: &out, Stderr: &out}, what)
	return out.String(), err
}

// state lists all that is below the state directory, with the times of files and folders.
func (h *prunedHost) state() string {
	h.Helper()
	var all strings.Builder
	err := filepath.WalkDir(h.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err == nil {
			fmt.Fprintln(&all, path, info.ModTime())
		}
		return err
	})
	if err != nil {
		h.Error(err)
	}
	return all.String()
}

func TestADryRunTellsWhatWouldGoFromTheHostAndChangesNothing(t *testing.T) {
	t.Parallel()
	h := newPrunedHost(t)
	id := identity("42", "protected", "7")
	dead := living(id, 0)
	dead.Lease.Deadline = time.Now().Add(-time.Hour)
	if _, err := createStore(tree(h.dir).job(id), dead); err != nil {
		t.Fatal(err)
	}
	if _, err := createStore(tree(h.dir).job(identity("42", "protected", "8")), living(identity("42", "protected", "8"), 1)); err != nil {
		t.Fatal(err)
	}
	h.write(tree(h.dir).idFile(), "an-id")
	h.write(filepath.Join(h.dir, "spool", "small", "v1", "waits"), "to be sent")
	before := h.state()
	said, err := h.prune(Pruning{OlderThan: 48 * time.Hour, DryRun: true})
	if err != nil || !strings.Contains(said, "would remove what job gitlab.example.com/42/7 has left\n") || strings.Contains(said, "42/8") ||
		!strings.Contains(said, "would remove layer 000000000000: 1.0 kB") || !strings.Contains(said, "host: would remove 1 layers (1.0 kB)\n") {
		t.Errorf("said %q, %v", said, err)
	}
	if after := h.state(); after != before {
		t.Errorf("before:\n%s\nafter:\n%s", before, after)
	}
	if said, err := h.prune(Pruning{Store: true, OlderThan: 48 * time.Hour, DryRun: true}); err != nil || !strings.Contains(said, "store: would remove 0 entries") {
		t.Errorf("store: said %q, %v", said, err)
	}
	if after := h.state(); after != before {
		t.Errorf("before:\n%s\nafter, for the store:\n%s", before, after)
	}
}

func TestAHostIsPrunedByAgeAndSize(t *testing.T) {
	t.Parallel()
	h := newPrunedHost(t)
	left := func() int {
		files, _ := filepath.Glob(filepath.Join(h.dir, "layers", "*.sqfs"))
		return len(files)
	}
	if said, err := h.prune(Pruning{}); err != nil || said != "host: removed 0 layers (0 B)\n" || left() != 3 {
		t.Errorf("said %q, %v, %d left", said, err, left())
	}
	if said, err := h.prune(Pruning{OlderThan: 48 * time.Hour}); err != nil || !strings.Contains(said, "removed layer 000000000000: 1.0 kB") || left() != 2 {
		t.Errorf("said %q, %v, %d left", said, err, left())
	}
	if said, err := h.prune(Pruning{MaxSize: 1500}); err != nil || !strings.Contains(said, "removed layer 111111111111: 1.0 kB") || left() != 1 {
		t.Errorf("said %q, %v, %d left", said, err, left())
	}
	if said, err := h.prune(Pruning{Store: true, OlderThan: time.Nanosecond}); err != nil || !strings.HasPrefix(said, "store: ") || left() != 1 {
		t.Errorf("the store alone: said %q, %v, %d left on the host", said, err, left())
	}
}

func TestWhatCannotBePrunedTogetherIsSaidAndRemovesNothing(t *testing.T) {
	t.Parallel()
	h := newPrunedHost(t)
	before := h.state()
	for want, what := range map[string]Pruning{
		"add --store, or leave out --project":      {Project: "42"},
		"--refs is about the caches in the store":  {Refs: strings.NewReader(advertised("refs/heads/main"))},
		"say which with --project ID":              {Store: true, Refs: strings.NewReader(advertised("refs/heads/main"))},
		"--unused is about the layers":             {Store: true, Unused: true},
		`--project "group/app" is no project's ID`: {Store: true, Project: "group/app"},
		"names no branch":                          {Store: true, Project: "42", Refs: strings.NewReader("")},
	} {
		if said, err := h.prune(what); err == nil || !strings.Contains(err.Error(), want) || said != "" {
			t.Errorf("%+v: said %q, %v; want %q", what, said, err, want)
		}
	}
	if after := h.state(); after != before {
		t.Errorf("before:\n%s\nafter:\n%s", before, after)
	}
}

func TestPruneSaysHowFarItIsIfNothingElseWasSaid(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	say := newTeller(&out, false)
	say.every = time.Hour
	say.progress("removing entries", 1, 9)
	say.last = time.Now().Add(-2 * time.Hour)
	say.progress("removing entries", 2, 9)
	say.progress("removing entries", 3, 9)
	say.goes("a pool")
	if want := "removing entries: 2 of 9\nremoved a pool\n"; out.String() != want {
		t.Errorf("said %q, want %q", out.String(), want)
	}
}
