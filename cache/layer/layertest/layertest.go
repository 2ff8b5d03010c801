// Package layertest is what every layer.Driver promises, as tests.
package layertest

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"iter"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/moby/sys/mountinfo"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/layer"
)

// Time is that of all files of layers that say no other.
var Time = time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC)

// Maker makes the driver of a host.
type Maker func(t *testing.T, h layer.Host) layer.Driver

// Run tests a driver. The test that calls it may call nothing else: Run starts it again in processes of their own.
func Run(t *testing.T, maker func(t *testing.T, h layer.Host) layer.Driver) {
	t.Helper()
	if played(t, maker) {
		return
	}
	top := t.Name()
	for name, promise := range promises {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := New(t, maker)
			f.top = top
			promise(t, f)
		})
	}
}

// promises are the driver's, as sentences.
var promises = map[string]func(*testing.T, *Fixture){
	"the upper of two layers wins":                                stackOrder,
	"a folder and a file of the same name hide each other":        kindsClash,
	"without layers there is an empty folder":                     noLayers,
	"seventy layers are shown as one folder":                      manyLayers,
	"times and modes come through":                                timesAndModes,
	"any user may add and remove":                                 anyUser,
	"a change never reaches a layer":                              layersStay,
	"two work folders over one layer do not see each other":       worksApart,
	"only root enters a work folder":                              rootOnly,
	"a layer is made readable once":                               once,
	"a layer that is released is still in what is mounted":        releaseWhileMounted,
	"what is mounted and released at the same time comes right":   releaseRace,
	"what is unmounted and mounted again keeps its changes":       remount,
	"mounting again what is mounted changes nothing":              mountTwice,
	"ending what never began is no error":                         endNothing,
	"changes are new, changed, removed and other":                 changes,
	"a job that made nothing has no changes":                      noChanges,
	"a folder that was removed and made anew counts as removed":   folderAnew,
	"links and endless folders in a job's changes lead nowhere":   hostileChanges,
	"the walk through changes ends with its context":              endedWalk,
	"a layer that is not here is told":                            missing,
	"a damaged layer file is told from a host that cannot":        corrupt,
	"an image that is no layer is damaged":                        noLayer,
	"what is no digest never becomes a path":                      badDigest,
	"a writer that is killed leaves nothing that could be found":  killedWriter,
	"a mount whose time is over before it begins leaves no trace": endedMount,
}

// Fixture is a host with a driver. What is left mounted at its end fails the test.
type Fixture struct {
	Host   layer.Host
	Driver layer.Driver
	t      testing.TB
	top    string // the test to start again in another process
}

// New makes a host of its own for a test or a benchmark.
func New[T interface {
	testing.TB
	*testing.T | *testing.B
}](t T, maker func(T, layer.Host) layer.Driver) *Fixture {
	h := layer.Host{Dir: t.TempDir()}
	f := &Fixture{Host: h, Driver: maker(t, h), t: t}
	t.Cleanup(f.close)
	return f
}

// Context is the test's, and does not end with it.
func (f *Fixture) Context() context.Context { return context.WithoutCancel(f.t.Context()) }

func (f *Fixture) close() {
	held, err := f.Driver.Held(f.Context())
	f.ok(err)
	for _, digest := range held {
		f.ok(f.Driver.Release(f.Context(), digest))
	}
	if left := Mounts(f.t, f.Host.Dir); len(left) > 0 {
		f.t.Errorf("left mounted: %q", left)
	}
	if left := loops(f.Host.Dir); len(left) > 0 {
		f.t.Errorf("loop devices that are left: %q", left)
	}
}

func (f *Fixture) ok(err error) {
	f.t.Helper()
	if err != nil {
		f.t.Error(err)
	}
}

// Must ends the test if there is an error.
func (f *Fixture) Must(err error) {
	f.t.Helper()
	if err != nil {
		f.t.Fatal(err)
	}
}

// Mounts lists what is mounted below a folder.
func Mounts(t testing.TB, dir string) []string {
	t.Helper()
	mounts, err := mountinfo.GetMounts(func(m *mountinfo.Info) (skip, stop bool) {
		return !strings.HasPrefix(m.Mountpoint, dir+"/"), false
	})
	if err != nil {
		t.Fatal(err)
	}
	var points []string
	for _, m := range mounts {
		points = append(points, m.Mountpoint)
	}
	return points
}

// loops lists the loop devices over files below a folder. The kernel frees a device a little after its last user.
func loops(dir string) []string {
	var left []string
	for range 100 {
		left = nil
		files, _ := filepath.Glob("/sys/block/loop*/loop/backing_file")
		for _, file := range files {
			if backing, err := os.ReadFile(file); err == nil && strings.HasPrefix(string(backing), dir+"/") {
				left = append(left, strings.TrimSpace(string(backing)))
			}
		}
		if len(left) == 0 {
			return nil
		}
		time.Sleep(20 * time.Millisecond)
	}
	return left
}

// File makes a file for a layer.
func File(name, content string) layer.File {
	return layer.File{
		Name: name, Mode: 0o444, ModTime: Time, Size: int64(len(content)),
		Open: func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(content)), nil },
	}
}

// Files are given to Host.Write.
func Files(files ...layer.File) iter.Seq2[layer.File, error] {
	return func(yield func(layer.File, error) bool) {
		for _, f := range files {
			if !yield(f, nil) {
				return
			}
		}
	}
}

// Write writes a layer of names and contents.
func (f *Fixture) Write(content map[string]string) string {
	f.t.Helper()
	var files []layer.File
	for _, name := range slices.Sorted(maps.Keys(content)) {
		files = append(files, File(name, content[name]))
	}
	info, err := f.Host.Write(f.Context(), []byte("the index"), Files(files...))
	f.Must(err)
	return info.Digest
}

// Mount mounts layers in a work folder of that name until the test ends.
func (f *Fixture) Mount(name string, layers ...string) layer.Work {
	f.t.Helper()
	w := f.Work(name)
	f.Must(f.Driver.Mount(f.Context(), w, layers))
	return w
}

// Work is a work folder that is unmounted when the test ends.
func (f *Fixture) Work(name string) layer.Work {
	w := layer.Work{Dir: filepath.Join(f.Host.Dir, "jobs", name)}
	f.t.Cleanup(func() { f.ok(f.Driver.Unmount(f.Context(), w)) })
	return w
}

// content reads a folder: names of files, and of folders with a slash, and what is in the files.
func (f *Fixture) content(dir string) map[string]string {
	f.t.Helper()
	found := map[string]string{}
	f.Must(filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		name, _ := filepath.Rel(dir, path)
		switch {
		case err != nil:
			return err
		case e.IsDir():
			found[name+"/"] = ""
		default:
			data, err := os.ReadFile(path)
			found[name] = string(data)
			return err
		}
		return nil
	}))
	return found
}

func (f *Fixture) wants(dir string, want map[string]string) {
	f.t.Helper()
	if got := f.content(dir); !maps.Equal(got, want) {
		f.t.Errorf("%s holds %q, want %q", dir, got, want)
	}
}

func (f *Fixture) wantsError(err, want error) {
	f.t.Helper()
	if !errors.Is(err, want) {
		f.t.Errorf("got error %v, want %v", err, want)
	}
}

// put writes a file as a job would, in its place.
func (f *Fixture) put(w layer.Work, name, content string) {
	f.t.Helper()
	path := filepath.Join(w.Merged(), name)
	f.Must(os.MkdirAll(filepath.Dir(path), 0o777))
	if old, err := os.Lstat(path); err == nil && old.Mode().IsRegular() {
		f.Must(os.Chmod(path, 0o644))
	}
	f.Must(os.WriteFile(path, []byte(content), 0o644)) //nolint:gosec // as Go does
}

func (f *Fixture) remove(w layer.Work, name string) {
	f.t.Helper()
	f.Must(os.RemoveAll(filepath.Join(w.Merged(), name)))
}

func (f *Fixture) changes(w layer.Work, layers ...string) layer.Changes {
	f.t.Helper()
	c, err := f.Driver.Changes(f.Context(), w, layers)
	f.Must(err)
	return c
}
