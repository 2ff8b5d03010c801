package layertest

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
	"sync"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/layer"
)

func once(t *testing.T, f *Fixture) {
	digest := f.Write(map[string]string{"a": "a"})
	var group errgroup.Group
	for range 20 {
		group.Go(func() error {
			dir, err := f.Driver.Layer(t.Context(), digest)
			if err == nil {
				_, err = os.ReadFile(filepath.Join(dir, layer.Tree, "a"))
			}
			return err
		})
	}
	for range 4 {
		group.Go(func() error {
			out, err := f.process(t, roleReader, digest).CombinedOutput()
			if err != nil {
				return fmt.Errorf("another process: %w: %s", err, out)
			}
			return nil
		})
	}
	f.Must(group.Wait())
	if held, err := f.Driver.Held(t.Context()); err != nil || !slices.Equal(held, []string{digest}) {
		t.Errorf("held: %q, %v", held, err)
	}
	if mounts := Mounts(t, f.Host.Dir); len(mounts) > 1 {
		t.Errorf("mounted %d times: %q", len(mounts), mounts)
	}
	entries, err := filepath.Glob(filepath.Join(f.Host.Dir, "mnt", "*"))
	f.Must(err)
	if visible := slices.DeleteFunc(entries, func(e string) bool { return strings.HasPrefix(filepath.Base(e), ".lock") }); len(visible) != 1 {
		t.Errorf("there is more than the layer: %q", visible)
	}
	dir, err := f.Driver.Layer(t.Context(), digest)
	f.Must(err)
	if index, err := os.ReadFile(filepath.Join(dir, layer.Index)); err != nil || string(index) != "the index" {
		t.Errorf("the index is %q, %v", index, err)
	}
}

func releaseRace(_ *testing.T, f *Fixture) {
	digest := f.Write(map[string]string{"a": "a"})
	var group errgroup.Group
	var mounting sync.WaitGroup
	for i := range 4 {
		w := f.Work(fmt.Sprint("job", i))
		mounting.Add(1)
		group.Go(func() error {
			defer mounting.Done()
			for range 5 {
				err := f.Driver.Mount(f.Context(), w, []string{digest})
				if err == nil {
					_, err = os.Stat(filepath.Join(w.Merged(), "a"))
				}
				if err := errors.Join(err, f.Driver.Unmount(f.Context(), w)); err != nil {
					return err
				}
			}
			return nil
		})
	}
	ended := make(chan struct{})
	go func() { mounting.Wait(); close(ended) }()
	group.Go(func() error {
		for {
			select {
			case <-ended:
				return nil
			case <-time.After(500 * time.Microsecond):
			}
			if err := f.Driver.Release(f.Context(), digest); err != nil {
				return err
			}
		}
	})
	f.Must(group.Wait())
	f.wants(f.Mount("last", digest).Merged(), map[string]string{"./": "", "a": "a"})
}

func missing(_ *testing.T, f *Fixture) {
	digest := strings.Repeat("0123456789abcdef", 4)
	_, err := f.Driver.Layer(f.Context(), digest)
	f.wantsError(err, fs.ErrNotExist)
	f.wantsError(f.Driver.Mount(f.Context(), f.Work("job"), []string{digest}), fs.ErrNotExist)
	held, err := f.Driver.Held(f.Context())
	f.Must(err)
	if len(held) != 0 {
		f.t.Errorf("held: %q", held)
	}
}

func corrupt(_ *testing.T, f *Fixture) {
	digest := f.Write(map[string]string{"a": strings.Repeat("content", 1000), "b": "b"})
	path := f.Host.File(digest)
	good, err := os.ReadFile(path)
	f.Must(err)
	for name, bad := range map[string][]byte{
		"empty": {}, "garbage": []byte(strings.Repeat("garbage", 4096)), "cut off": good[:len(good)-4096], "head alone": good[:100],
		"other tables": slices.Concat(good[:64], []byte{0xff, 0xff, 0xff}, good[67:]),
	} {
		f.Must(os.WriteFile(path, bad, 0o600))
		_, err := f.Driver.Layer(f.Context(), digest)
		if !errors.Is(err, layer.ErrCorrupt) {
			f.t.Errorf("%s: got error %v, want %v", name, err, layer.ErrCorrupt)
		}
		f.wantsError(f.Driver.Mount(f.Context(), f.Work("job"), []string{digest}), layer.ErrCorrupt)
	}
	f.Must(os.WriteFile(path, good, 0o600))
	f.wants(f.Mount("job", digest).Merged(), map[string]string{"./": "", "a": strings.Repeat("content", 1000), "b": "b"})
}

func noLayer(t *testing.T, f *Fixture) {
	digest := strings.Repeat("0123456789abcdef", 4)
	f.Must(os.MkdirAll(filepath.Dir(f.Host.File(digest)), 0o700))
	plain := filepath.Join(t.TempDir(), "plain")
	f.Must(os.WriteFile(plain, nil, 0o600))
	out, err := exec.CommandContext(t.Context(), "mksquashfs", plain, f.Host.File(digest), "-quiet", "-no-progress").CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	_, err = f.Driver.Layer(t.Context(), digest)
	f.wantsError(err, layer.ErrCorrupt)
	if held, err := f.Driver.Held(t.Context()); err != nil || len(held) != 0 {
		t.Errorf("held: %q, %v", held, err)
	}
}

func badDigest(t *testing.T, f *Fixture) {
	keep := filepath.Join(f.Host.Dir, "keep")
	f.Must(os.MkdirAll(filepath.Join(keep, layer.Tree), 0o700))
	f.Must(os.MkdirAll(filepath.Join(f.Host.Dir, "mnt"), 0o700))
	for _, digest := range []string{"", ".", "../keep", strings.Repeat("A", 64), strings.Repeat("a", 63), "../" + strings.Repeat("a", 61)} {
		_, err := f.Driver.Layer(t.Context(), digest)
		mounted := f.Driver.Mount(t.Context(), f.Work("job"), []string{digest})
		released := f.Driver.Release(t.Context(), digest)
		removed := f.Host.Remove(digest)
		adopted := f.Host.Adopt(t.Context(), digest, func(string, func(int64)) error { return nil })
		touched := f.Host.Touch(digest)
		for _, err := range []error{err, mounted, released, removed, adopted, touched} {
			if err == nil || !strings.Contains(err.Error(), "not the digest") {
				t.Errorf("%q: got error %v", digest, err)
			}
		}
	}
	if _, err := os.Stat(filepath.Join(keep, layer.Tree)); err != nil {
		t.Error(err)
	}
}

func killedWriter(t *testing.T, f *Fixture) {
	cmd := f.process(t, roleWriter, "")
	out, err := cmd.StdoutPipe()
	f.Must(err)
	f.Must(cmd.Start())
	said := make([]byte, len(writing))
	_, err = io.ReadFull(out, said)
	f.Must(err)
	for range 500 { // sqfstar makes its file when the first bytes have come to it
		if entries, err := os.ReadDir(filepath.Join(f.Host.Dir, "layers")); err == nil && len(entries) > 0 {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	f.Must(cmd.Process.Kill())
	_ = cmd.Wait() // it was killed
	files, err := f.Host.Files()
	f.Must(err)
	held, err := f.Driver.Held(t.Context())
	f.Must(err)
	if len(files) != 0 || len(held) != 0 {
		t.Errorf("found after the kill: %v, %q", files, held)
	}
	f.Must(f.Host.Sweep(t.Context(), 0))
	if entries, err := os.ReadDir(filepath.Join(f.Host.Dir, "layers")); err != nil || len(entries) != 0 {
		t.Errorf("left after the sweep: %v, %v", entries, err)
	}
}
