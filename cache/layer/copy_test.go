package layer_test

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/layer"
	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/layer/layertest"
)

// adopted brings a file to a host as a layer, as whoever can write to its store may have it do.
func adopted(t *testing.T, f *layertest.Fixture, path string) (digest string) {
	t.Helper()
	content, err := os.ReadFile(path)
	f.Must(err)
	digest = fmt.Sprintf("%x", sha256.Sum256(content))
	f.Must(f.Host.Adopt(t.Context(), digest, func(to string, _ func(int64)) error { return os.WriteFile(to, content, 0o600) }))
	return digest
}

// made is the image of a folder.
func made(t *testing.T, folder string) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "image")
	if out, err := exec.CommandContext(t.Context(), "mksquashfs", folder, path, "-comp", "lz4", "-quiet", "-no-progress").CombinedOutput(); err != nil { //nolint:gosec // paths of our own
		t.Fatalf("mksquashfs: %v: %s", err, out)
	}
	return path
}

func TestAnImageThatUnpacksToMoreThanAnyLayerIsNotUnpacked(t *testing.T) {
	t.Parallel()
	for what, test := range map[string]struct {
		files map[string]int64 // by name, of holes alone
		fits  bool
	}{
		"as much as may be":            {map[string]int64{"a": 900 << 10}, true},
		"one file":                     {map[string]int64{"a": 1 << 20}, false},
		"a file of many holes":         {map[string]int64{"a": 64 << 20}, false},
		"files that are much together": {map[string]int64{"a": 400 << 10, "b": 400 << 10, "c": 400 << 10}, false},
		"very many names":              {names(300), false},
		"names that forge lines":       {map[string]int64{"a\n-rwxrwxrwx 0 -9999999 x": 1, "b": 1}, false},
		"a name with an empty line":    {map[string]int64{"a\n\n": 1, "b": 1}, true},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			f := layertest.New(t, func(_ *testing.T, h layer.Host) layer.Driver { return layer.NewCopyOf(h, 1<<20) })
			folder := t.TempDir()
			f.Must(os.Mkdir(filepath.Join(folder, layer.Tree), 0o700))
			f.Must(os.WriteFile(filepath.Join(folder, layer.Index), nil, 0o600))
			for name, size := range test.files {
				path := filepath.Join(folder, layer.Tree, name)
				f.Must(os.WriteFile(path, nil, 0o600))
				f.Must(os.Truncate(path, size))
			}
			dir, err := f.Driver.Layer(t.Context(), adopted(t, f, made(t, folder)))
			if test.fits {
				f.Must(err)
				_, err = os.Stat(filepath.Join(dir, layer.Tree))
				f.Must(err)
				return
			}
			if !errors.Is(err, layer.ErrCorrupt) || !strings.Contains(err.Error(), "it unpacks to more than 1.0 MiB") {
				t.Errorf("unpacked it: %v", err)
			}
			left, err := filepath.Glob(filepath.Join(f.Host.Dir, "mnt", "*"))
			if left = slices.DeleteFunc(left, func(path string) bool { return strings.HasPrefix(filepath.Base(path), ".lock") }); err != nil || len(left) > 0 {
				t.Errorf("left %q, %v", left, err)
			}
		})
	}
}

func names(n int) map[string]int64 {
	files := map[string]int64{}
	for range n {
		files[strings.Repeat("x", len(files)%200+1)+string(rune('a'+len(files)/200))] = 0
	}
	return files
}

func TestWhatIsNoImageIsNotMeasured(t *testing.T) {
	t.Parallel()
	f := layertest.New(t, newCopy)
	path := filepath.Join(t.TempDir(), "image")
	f.Must(os.WriteFile(path, []byte("no image"), 0o600))
	if _, err := f.Driver.Layer(t.Context(), adopted(t, f, path)); !errors.Is(err, layer.ErrCorrupt) || errors.Is(err, fs.ErrNotExist) {
		t.Errorf("unpacked it: %v", err)
	}
}
