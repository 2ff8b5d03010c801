package cache

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/kind"
)

// places are where a job plants something; in the last it is killed, and what it made is salvaged.
var places = map[string]string{"root": ".", "build": "build", "modules": "modules", "extra": "golangci-lint", "killed": "build"}

func everyKind(job, tier string) Request {
	r := request(job)
	r.Kinds = []string{"modules", "build", "golangci-lint"}
	if tier != "" {
		r.Tier, r.Below = tier, "protected"
	}
	return r
}

// precious is a folder of the host with a file and a pipe that nobody may touch.
func precious(t *testing.T) (dir string, untouched func()) {
	t.Helper()
	dir = t.TempDir()
	must(t, os.WriteFile(filepath.Join(dir, "secret"), []byte("secret"), 0o600))
	must(t, syscall.Mkfifo(filepath.Join(dir, "pipe"), 0o600))
	state := func() string {
		var seen strings.Builder
		for _, name := range []string{".", "secret", "pipe"} {
			var s unix.Stat_t
			must(t, unix.Lstat(filepath.Join(dir, name), &s))
			fmt.Fprint(&seen, s.Mode, s.Uid, s.Size, s.Nlink, s.Mtim, s.Ctim)
		}
		return seen.String()
	}
	before := state()
	return dir, func() {
		t.Helper()
		if state() != before {
			t.Error("the host's files have changed")
		}
	}
}

// endsSoon fails a test that hangs, as the opening of a pipe does.
func endsSoon(t *testing.T, do func()) {
	t.Helper()
	done := make(chan struct{})
	go func() { defer close(done); do() }()
	select {
	case <-done:
	case <-time.After(2 * time.Minute):
		t.Fatal("it hangs")
	}
}

// killed has the job die and what it left be salvaged.
func (j *testJob) killed() (saved Saved) {
	j.Helper()
	must(j.T, j.c.Abandon(j.Context(), j.dir))
	must(j.T, j.c.Salvage(j.Context(), func(s Saved, err error) {
		must(j.T, err)
		saved = s
	}))
	return saved
}

// All attacks of a place are one job's: what makes a job cost something is its mount.
func TestWhateverAJobPlantsInItsCachesDoesNothingAndIsCounted(t *testing.T) {
	t.Parallel()
	for place, folder := range places {
		t.Run(place, func(t *testing.T) {
			t.Parallel()
			outside, untouched := precious(t)
			c := newCache(t)
			compiled(t, c, everyKind("base", ""), "base")
			j := begin(t, c, everyKind("1", "ref-x"))
			j.compile("honest")
			refused := map[string]int{}
			for what, a := range attacks(outside) {
				dir := filepath.Join(j.got.Merged, folder, "evil "+what)
				must(t, os.Mkdir(dir, 0o777))
				if err := a.plant(dir); err != nil {
					t.Fatalf("%s: %v", what, err)
				}
				for word, n := range a.refused {
					refused[word] += n
				}
			}
			var saved Saved
			endsSoon(t, func() {
				if place == "killed" {
					saved = j.killed()
				} else {
					saved = j.end()
				}
			})
			if saved.Items != 1 || saved.Reason != "" || !maps.Equal(saved.Refused, refused) {
				t.Errorf("saved %d items (%s), refused %v; want the honest one and %v", saved.Items, saved.Reason, saved.Refused, refused)
			}
			next := begin(t, c, everyKind("2", "ref-x"))
			if found := next.has("base", "honest"); found != "basehonest" {
				t.Errorf("the next job finds %q", found)
			}
			next.hasOnlyWhatIsPlain()
			next.end()
			untouched()
		})
	}
}

// hasOnlyWhatIsPlain walks through all that a job sees.
func (j *testJob) hasOnlyWhatIsPlain() {
	j.Helper()
	must(j.T, filepath.WalkDir(j.got.Merged, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := e.Info()
		switch {
		case err != nil:
			return err
		case e.IsDir() && info.Mode().Perm() != 0o777 || !e.IsDir() && info.Mode() != 0o666:
			j.Errorf("%q is %s", path, info.Mode())
		case !e.IsDir():
			if data, err := os.ReadFile(path); err != nil || bytes.Contains(data, []byte("evil")) {
				j.Errorf("%q holds %q, %v", path, data, err)
			}
		}
		return nil
	}))
}

// Whatever lies where a kind's folder should be is not opened, nor is what it leads to: of a pipe the other end never comes, and a device of the host may act.
func TestAJobThatPutsSomethingInThePlaceOfACacheLosesThatCacheAlone(t *testing.T) {
	t.Parallel()
	outside, untouched := precious(t)
	put := func(with func(string) error) func(string) error { // made elsewhere, and moved: the attacks name their file themselves
		return func(path string) error {
			dir := filepath.Dir(path)
			before, err := os.ReadDir(dir)
			if err != nil {
				return err
			}
			if err := with(dir); err != nil {
				return err
			}
			after, err := os.ReadDir(dir)
			for _, e := range after {
				if len(after) == len(before)+1 && (e.Name() == "link" || e.Name() == "node" || e.Name() == "x" || e.Name() == "socket") {
					return errors.Join(err, os.Rename(filepath.Join(dir, e.Name()), path))
				}
			}
			return errors.Join(err, errors.New("nothing was made"))
		}
	}
	c := newCache(t)
	compiled(t, c, everyKind("base", ""), "base")
	n := 0
	for what, a := range map[string]attack{
		"nothing":                        {func(string) error { return nil }, nil},
		"a pipe":                         {put(node(unix.S_IFIFO, 0, 0)), one(kind.RefusedType)},
		"a device":                       {put(node(unix.S_IFCHR, 1, 5)), one(kind.RefusedType)},
		"a socket":                       {put(socket), one(kind.RefusedType)},
		"a file":                         {put(named("x")), one(kind.RefusedName)},
		"a link to a pipe of the host":   {put(linkedTo(filepath.Join(outside, "pipe"))), one(kind.RefusedType)},
		"a link to a folder of the host": {put(linkedTo(outside)), one(kind.RefusedType)},
		"a link to another cache":        {put(linkedTo("build")), one(kind.RefusedType)},
		"a link to itself":               {put(linkedTo("golangci-lint")), one(kind.RefusedType)},
	} {
		for _, dies := range []bool{false, true} {
			if dies && !strings.Contains(what, "pipe") {
				continue // it is read in the same way
			}
			n++
			t.Run(fmt.Sprint(what, ", killed: ", dies), func(t *testing.T) {
				r := everyKind(fmt.Sprint(n), fmt.Sprint("ref-", n))
				r.Kinds = r.Kinds[1:]
				j := begin(t, c, r)
				j.compile("honest")
				folder := filepath.Join(j.got.Merged, "golangci-lint")
				must(t, os.RemoveAll(folder))
				must(t, a.plant(folder))
				var saved Saved
				endsSoon(t, func() {
					if _, err := c.Count(t.Context(), j.dir); err != nil {
						t.Errorf("count: %v", err)
					}
					if dies {
						saved = j.killed()
					} else {
						saved = j.end()
					}
				})
				if saved.Items != 1 || saved.Reason != "" || !maps.Equal(saved.Refused, a.refused) {
					t.Errorf("saved %d items (%s), refused %v; want the honest one and %v", saved.Items, saved.Reason, saved.Refused, a.refused)
				}
				if entries := journalOf(t, c, r); len(entries) != 1 || entries[0].Layer == nil || entries[0].Layer.Items != 1 {
					t.Errorf("the journal says %+v", entries)
				}
			})
		}
	}
	untouched()
}
