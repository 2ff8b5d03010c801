package layertest

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

func changes(t *testing.T, f *Fixture) {
	below := f.Write(map[string]string{
		"same": "s", "changed": "old", "edited": "old", "gone": "x", "dir/gone/1": "x", "dir/gone/2": "x", "dir/kept": "x",
	})
	above := f.Write(map[string]string{"chmod": "x", "truncated": "full", "hidden": "x"})
	w := f.Mount("job", above, below)
	f.put(w, "new", "x")
	f.put(w, "deep/er/new", "x")
	f.put(w, "dir/new\nline", "x")
	f.put(w, "changed", "new") // of the same size
	f.put(w, "edited", "new")
	f.Must(os.Chmod(filepath.Join(w.Merged(), "edited"), 0o444)) //nolint:gosec // now only its content tells
	f.put(w, "truncated", "")
	f.Must(os.Chmod(filepath.Join(w.Merged(), "chmod"), 0o755)) //nolint:gosec // as a job may
	f.remove(w, "gone")
	f.remove(w, "dir/gone")
	f.remove(w, "hidden")
	f.Must(os.Mkdir(filepath.Join(w.Merged(), "empty"), 0o777))
	f.Must(os.Symlink("changed", filepath.Join(w.Merged(), "link")))
	f.Must(syscall.Mkfifo(filepath.Join(w.Merged(), "pipe"), 0o666))
	f.Must(unix.Mknod(filepath.Join(w.Merged(), "device"), unix.S_IFCHR|0o666, int(unix.Mkdev(1, 3))))
	f.Must(unix.Mknod(filepath.Join(w.Merged(), "socket"), unix.S_IFSOCK|0o666, 0))
	want := []string{"changed", "chmod", "deep/er/new", "dir/new\nline", "edited", "new", "truncated"}
	got := f.changes(w, above, below)
	if !slices.Equal(got.Files, want) || got.Removed != 3 || got.Other != 4 {
		t.Errorf("changes are %+v, want files %q, 3 removed, 4 others", got, want)
	}
}

func noChanges(t *testing.T, f *Fixture) {
	digest := f.Write(map[string]string{"a": "a", "d/b": "b"})
	w := f.Mount("job", digest)
	f.content(w.Merged())
	if got := f.changes(w, digest); len(got.Files) != 0 || got.Removed != 0 || got.Other != 0 {
		t.Errorf("changes are %+v, want none", got)
	}
}

func folderAnew(t *testing.T, f *Fixture) {
	digest := f.Write(map[string]string{"d/a": "a", "e/b": "b", "file": "x"})
	w := f.Mount("job", digest)
	f.remove(w, "d")
	f.put(w, "d/new", "x")
	f.remove(w, "file")
	f.put(w, "file/in", "x")
	f.put(w, "e/fresh/new", "x") // a new folder removes nothing
	got := f.changes(w, digest)
	if !slices.Equal(got.Files, []string{"d/new", "e/fresh/new", "file/in"}) || got.Removed != 2 {
		t.Errorf("changes are %+v, want 3 files and 2 removed", got)
	}
}

func hostileChanges(t *testing.T, f *Fixture) {
	digest := f.Write(map[string]string{"d/a": "a"})
	w := f.Mount("job", digest)
	f.Must(os.Symlink("/etc", filepath.Join(w.Merged(), "etc")))
	f.remove(w, "d")
	f.Must(os.Symlink("/etc", filepath.Join(w.Merged(), "d")))
	root, err := os.OpenRoot(w.Merged())
	f.Must(err)
	name := strings.Repeat("long", 50)
	for range 250 { // 50 000 bytes of path
		f.Must(root.Mkdir(name, 0o777))
		next, err := root.OpenRoot(name)
		f.Must(errors.Join(err, root.Close()))
		root = next
	}
	f.Must(root.WriteFile("treasure", nil, 0o666))
	f.Must(root.Close())
	if got := f.changes(w, digest); len(got.Files) != 0 || got.Other != 3 {
		t.Errorf("changes are %q, %d others; want no file and 3 others", got.Files, got.Other)
	}
}

func endedWalk(t *testing.T, f *Fixture) {
	digest := f.Write(map[string]string{"a": "a"})
	w := f.Mount("job", digest)
	ctx, cancel := context.WithCancelCause(t.Context())
	over := errors.New("the time is over")
	cancel(over)
	_, err := f.Driver.Changes(ctx, w, []string{digest})
	f.wantsError(err, over)
	_, err = f.Driver.Changes(f.Context(), f.Work("never"), nil)
	f.wantsError(err, fs.ErrNotExist)
}
