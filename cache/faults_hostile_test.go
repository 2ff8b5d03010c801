//go:build faults

package cache

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/faulttest"
	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/kind"
)

// linked gives one file so many names in a folder, by what makes each: an inode of its own for each would fill a small disk.
func linked(t *testing.T, of string, n int, name func(i int) string) {
	t.Helper()
	file, copies := of, 0
	for i := range n {
		if copies++; copies == 60_000 { // ext4 takes 65 000 names of a file
			copies = 0
			data, err := os.ReadFile(of)
			must(t, err)
			file = fmt.Sprint(of, i)
			must(t, os.WriteFile(file, data, 0o666))
		}
		must(t, os.Link(file, name(i)))
	}
}

// A million files, of any form, end in time, with bounded memory, and cost the job no more than what it may have added.
func TestFaultAMillionFilesEndInTimeAndAreCounted(t *testing.T) {
	t.Parallel()
	million := faulttest.Times(t, 1_000_000)
	outputs := sum("!<arch>\nx")
	for what, test := range map[string]struct {
		of      string // content
		name    func(merged string, i int) string
		refused string
	}{
		"strays":                {"evil", func(m string, i int) string { return filepath.Join(m, "build", fmt.Sprint("evil", i)) }, kind.RefusedName},
		"strays at the root":    {"evil", func(m string, i int) string { return filepath.Join(m, fmt.Sprint("evil", i)) }, kind.RefusedName},
		"entries of one output": {fmt.Sprintf("v1 %s %s %20d %20d\n", sum("0"), outputs, 9, 1), func(m string, i int) string { a := sum(fmt.Sprint(i)); return filepath.Join(m, "build", a[:2], a+"-a") }, kind.RefusedFormat},
		"files of modules that are in no go.sum": {"evil", func(m string, i int) string {
			return filepath.Join(m, "modules", "cache", "download", "evil.com", "m", "@v", fmt.Sprintf("v1.0.%d.mod", i))
		}, kind.RefusedSum},
	} {
		t.Run(what, func(t *testing.T) {
			c := newCache(t)
			j := begin(t, c, everyKind("1", ""))
			j.compile("honest")
			of := filepath.Join(j.got.Merged, "of")
			must(t, errors.Join(os.WriteFile(of, []byte(test.of), 0o666), os.MkdirAll(filepath.Join(j.got.Merged, "modules", "cache", "download", "evil.com", "m", "@v"), 0o777)))
			began := time.Now()
			linked(t, of, million, func(i int) string { return test.name(j.got.Merged, i) })
			faulttest.Progress(t, "%s: %d files in %s", what, million, time.Since(began).Round(time.Second))
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			began = time.Now()
			saved := j.end()
			runtime.ReadMemStats(&after)
			faulttest.Progress(t, "%s: saved in %s, of which %.1f s harvest; %d MB were allocated, %d MB are from the system", what,
				time.Since(began).Round(time.Second/10), saved.Harvest, (after.TotalAlloc-before.TotalAlloc)>>20, after.Sys>>20)
			counted := 0
			for _, n := range saved.Refused {
				counted += n
			}
			if counted < million || saved.Refused[test.refused] == 0 || saved.Items > 1 {
				t.Errorf("saved %d items, refused %v", saved.Items, saved.Refused)
			}
			if after.Sys > 1<<30 { // of all tests in this process
				t.Error("it takes too much memory")
			}
			if time.Since(began) > 10*time.Minute {
				t.Error("it takes too long")
			}
		})
	}
}

// What a disk has no room for is hashed for ever, if it is holes: a harvest reads no more than it could save.
func TestFaultHolesAreNotReadBeyondWhatCouldBeSaved(t *testing.T) {
	t.Parallel()
	c := newCache(t)
	j := begin(t, c, request("1"))
	const size = 2 << 30
	files := faulttest.Times(t, 30)
	for i := range files {
		action, out := j.paths(fmt.Sprint(i), fmt.Sprint("holes", i))
		must(t, os.WriteFile(action, fmt.Appendf(nil, "v1 %s %s %20d %20d\n", sum(fmt.Sprint(i)), sum(fmt.Sprint("holes", i)), int64(size), time.Now().UnixNano()), 0o666))
		must(t, errors.Join(os.WriteFile(out, nil, 0o666), os.Truncate(out, size)))
	}
	var before, after unix.Rusage
	must(t, unix.Getrusage(unix.RUSAGE_SELF, &before))
	saved := j.end()
	must(t, unix.Getrusage(unix.RUSAGE_SELF, &after))
	faulttest.Progress(t, "refused %v in %.1f s", saved.Refused, saved.Harvest)
	if saved.Items != 0 || saved.Refused[kind.RefusedHash] != min(files, 8) || saved.Refused[kind.RefusedSize] != max(files-8, 0) {
		t.Errorf("saved %d, refused %v; want 16 GB read, and the rest not", saved.Items, saved.Refused)
	}
}
