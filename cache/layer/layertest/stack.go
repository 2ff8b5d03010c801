package layertest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/layer"
)

func stackOrder(_ *testing.T, f *Fixture) {
	below := f.Write(map[string]string{"a": "old", "b": "old", "d/x": "old"})
	above := f.Write(map[string]string{"a": "new", "c": "new", "d/y": "new"})
	w := f.Mount("job", above, below)
	f.wants(w.Merged(), map[string]string{"./": "", "a": "new", "b": "old", "c": "new", "d/": "", "d/x": "old", "d/y": "new"})
}

func kindsClash(_ *testing.T, f *Fixture) {
	below := f.Write(map[string]string{"a": "a file", "b/x": "in a folder", "b/y": "in a folder"})
	above := f.Write(map[string]string{"a/x": "in a folder", "b": "a file"})
	w := f.Mount("job", above, below)
	f.wants(w.Merged(), map[string]string{"./": "", "a/": "", "a/x": "in a folder", "b": "a file"})
}

func noLayers(_ *testing.T, f *Fixture) {
	w := f.Mount("job")
	f.wants(w.Merged(), map[string]string{"./": ""})
	f.put(w, "d/new", "x")
	f.wants(w.Merged(), map[string]string{"./": "", "d/": "", "d/new": "x"})
}

func manyLayers(_ *testing.T, f *Fixture) {
	want := map[string]string{"./": "", "top": "0"}
	var layers []string
	for i := range 70 {
		name := fmt.Sprintf("f%d", i)
		want[name] = name
		layers = append(layers, f.Write(map[string]string{name: name, "top": fmt.Sprint(i)}))
	}
	f.wants(f.Mount("job", layers...).Merged(), want)
}

func timesAndModes(t *testing.T, f *Fixture) {
	files := []layer.File{File("build/00/entry", "x"), File("tool", "x"), File("d/plain", "x"), File("old", "x")}
	files[1].Mode = 0o755
	files[2].Mode = 0o666
	for i, year := range []int{2100, 2020, 2021, 1980} {
		files[i].ModTime = time.Date(year, 1, 1, 0, 0, 0, 0, time.UTC)
	}
	info, err := f.Host.Write(f.Context(), nil, Files(files...))
	f.Must(err)
	w := f.Mount("job", info.Digest)
	for _, file := range files {
		got, err := os.Lstat(filepath.Join(w.Merged(), file.Name))
		f.Must(err)
		if got.Mode() != file.Mode || !got.ModTime().Equal(file.ModTime) {
			t.Errorf("%s has %v, %v; want %v, %v", file.Name, got.Mode(), got.ModTime(), file.Mode, file.ModTime)
		}
		if owner, ok := got.Sys().(*syscall.Stat_t); !ok || owner.Uid != 0 || owner.Gid != 0 {
			t.Errorf("%s is owned by %+v, want root", file.Name, got.Sys())
		}
	}
	for _, dir := range []string{".", "build", "build/00", "d"} {
		got, err := os.Lstat(filepath.Join(w.Merged(), dir))
		f.Must(err)
		if got.Mode().Perm() != 0o777 {
			t.Errorf("folder %s has mode %v, want 0777", dir, got.Mode())
		}
		if dir != "." && !got.ModTime().Equal(files[3].ModTime) {
			t.Errorf("folder %s has time %v, want that of the oldest file", dir, got.ModTime())
		}
	}
}

func anyUser(t *testing.T, f *Fixture) {
	w := f.Mount("job", f.Write(map[string]string{"modules/m/a": "a", "modules/m/b": "b", "build/00/x": "x"}))
	// A job sees the folder mounted in its container; here it comes in by its working directory.
	cmd := exec.CommandContext(t.Context(), "setpriv", "--reuid=1000", "--regid=1000", "--clear-groups", "sh", "-ec", `
		echo new > build/00/new
		mkdir build/01 top
		rm -f build/00/x modules/m/a
		rm -r modules
		test "$(id -u)" = 1000`)
	cmd.Dir = w.Merged()
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("as another user: %v: %s", err, out)
	}
	f.wants(w.Merged(), map[string]string{"./": "", "build/": "", "build/00/": "", "build/00/new": "new\n", "build/01/": "", "top/": ""})
}

func layersStay(_ *testing.T, f *Fixture) {
	content := map[string]string{"a": "a", "b": "b", "d/c": "c"}
	digest := f.Write(content)
	w := f.Mount("job", digest)
	f.put(w, "a", "changed")
	f.put(w, "d/new", "new")
	f.remove(w, "b")
	f.Must(os.Chmod(w.Merged()+"/d/c", 0o600))
	dir, err := f.Driver.Layer(f.Context(), digest)
	f.Must(err)
	f.wants(filepath.Join(dir, layer.Tree), map[string]string{"./": "", "a": "a", "b": "b", "d/": "", "d/c": "c"})
	f.wants(f.Mount("next", digest).Merged(), map[string]string{"./": "", "a": "a", "b": "b", "d/": "", "d/c": "c"})
	if again := f.Write(content); again != digest {
		f.t.Errorf("the same layer has the digest %s, and had %s", again, digest)
	}
}

func worksApart(_ *testing.T, f *Fixture) {
	digest := f.Write(map[string]string{"a": "a"})
	one, two := f.Mount("one", digest), f.Mount("two", digest)
	f.put(one, "a", "of one")
	f.put(one, "mine", "of one")
	f.remove(two, "a")
	f.wants(one.Merged(), map[string]string{"./": "", "a": "of one", "mine": "of one"})
	f.wants(two.Merged(), map[string]string{"./": ""})
}

func rootOnly(t *testing.T, f *Fixture) {
	w := f.Work("job")
	f.Must(os.MkdirAll(w.Dir, 0o755)) //nolint:gosec // somebody made it too open
	f.Must(f.Driver.Mount(f.Context(), w, nil))
	info, err := os.Lstat(w.Dir)
	f.Must(err)
	if info.Mode().Perm() != 0o700 {
		t.Errorf("the work folder has mode %v, want 0700", info.Mode())
	}
}

func remount(_ *testing.T, f *Fixture) {
	digest := f.Write(map[string]string{"a": "a", "b": "b"})
	w := f.Mount("job", digest)
	f.put(w, "a", "changed")
	f.put(w, "d/new", "new")
	f.remove(w, "b")
	for range 2 {
		f.Must(f.Driver.Unmount(f.Context(), w))
		f.Must(f.Driver.Release(f.Context(), digest))
		f.Must(f.Driver.Mount(f.Context(), w, []string{digest}))
	}
	f.wants(w.Merged(), map[string]string{"./": "", "a": "changed", "d/": "", "d/new": "new"})
	if c := f.changes(w, digest); len(c.Files) != 2 || c.Removed != 1 {
		f.t.Errorf("changes after it was mounted again: %+v", c)
	}
}

func mountTwice(t *testing.T, f *Fixture) {
	digest := f.Write(map[string]string{"a": "a"})
	w := f.Mount("job", digest)
	f.put(w, "new", "new")
	before := Mounts(t, f.Host.Dir)
	f.Must(f.Driver.Mount(f.Context(), w, []string{digest}))
	if after := Mounts(t, f.Host.Dir); len(after) != len(before) {
		t.Errorf("mounted twice: %q", after)
	}
	f.wants(w.Merged(), map[string]string{"./": "", "a": "a", "new": "new"})
}

func endNothing(_ *testing.T, f *Fixture) {
	digest := f.Write(map[string]string{"a": "a"})
	f.Must(f.Driver.Release(f.Context(), digest))
	w := f.Work("never")
	f.Must(f.Driver.Unmount(f.Context(), w))
	if _, err := os.Lstat(w.Dir); err == nil {
		f.t.Error("Unmount made the work folder")
	}
	f.Must(f.Driver.Mount(f.Context(), w, []string{digest}))
	f.Must(f.Driver.Unmount(f.Context(), w))
	f.Must(f.Driver.Unmount(f.Context(), w))
}

func releaseWhileMounted(_ *testing.T, f *Fixture) {
	digest := f.Write(map[string]string{"a": "a", "d/b": "b"})
	w := f.Mount("job", digest)
	f.Must(f.Driver.Release(f.Context(), digest))
	f.Must(f.Host.Remove(digest))
	held, err := f.Driver.Held(f.Context())
	f.Must(err)
	if len(held) != 0 {
		f.t.Errorf("held after the release: %q", held)
	}
	f.wants(w.Merged(), map[string]string{"./": "", "a": "a", "d/": "", "d/b": "b"})
}

func endedMount(t *testing.T, f *Fixture) {
	digest := f.Write(map[string]string{"a": "a"})
	ctx, cancel := context.WithCancelCause(t.Context())
	over := errors.New("the time is over")
	cancel(over)
	w := f.Work("job")
	f.wantsError(f.Driver.Mount(ctx, w, []string{digest}), over)
	if held, err := f.Driver.Held(f.Context()); err != nil || len(held) != 0 {
		t.Errorf("held: %q, %v", held, err)
	}
	if left := Mounts(t, f.Host.Dir); len(left) > 0 {
		t.Errorf("mounted: %q", left)
	}
}
