package layer_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/layer"
	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/layer/layertest"
)

func TestALayerComesFromElsewhereByFetchingOrByALink(t *testing.T) {
	t.Parallel()
	from := layertest.New(t, newImage)
	digest := from.Write(map[string]string{"a": "a"})
	source := from.Host.File(digest)
	for name, fetch := range map[string]func(string, func(int64)) error{
		"link": func(path string, _ func(int64)) error { return os.Link(source, path) },
		"copy": func(path string, _ func(int64)) error {
			data, err := os.ReadFile(source)
			return errors.Join(err, os.WriteFile(path, data, 0o600))
		},
	} {
		t.Run(name, func(t *testing.T) {
			to := layertest.New(t, newImage)
			to.Must(to.Host.Adopt(t.Context(), digest, fetch))
			if _, err := to.Driver.Layer(t.Context(), digest); err != nil {
				t.Error(err)
			}
			to.Must(to.Host.Adopt(t.Context(), digest, func(string, func(int64)) error { return errors.New("fetched again") }))
		})
	}
}

func TestWhatIsFetchedWrongIsNotKept(t *testing.T) {
	t.Parallel()
	f := layertest.New(t, newImage)
	digest := strings.Repeat("0123456789abcdef", 4)
	boom := errors.New("boom")
	for want, fetch := range map[error]func(string, func(int64)) error{
		layer.ErrCorrupt: func(path string, _ func(int64)) error { return os.WriteFile(path, []byte("else"), 0o600) },
		boom: func(path string, _ func(int64)) error {
			return errors.Join(os.WriteFile(path, []byte("half"), 0o600), boom)
		},
		os.ErrNotExist: func(string, func(int64)) error { return nil },
	} {
		if err := f.Host.Adopt(t.Context(), digest, fetch); !errors.Is(err, want) {
			t.Errorf("got error %v, want %v", err, want)
		}
		wantsNothing(t, f.Host)
	}
}

func TestFilesTellSizeAndLastUse(t *testing.T) {
	t.Parallel()
	f := layertest.New(t, newImage)
	if files, err := f.Host.Files(); err != nil || len(files) != 0 {
		t.Errorf("files of a new host: %v, %v", files, err)
	}
	info, err := f.Host.Write(t.Context(), nil, layertest.Files(layertest.File("a", "a")))
	f.Must(err)
	long := time.Now().Add(-time.Hour).Truncate(time.Second)
	f.Must(os.Chtimes(f.Host.File(info.Digest), long, long))
	f.Must(os.WriteFile(filepath.Join(f.Host.Dir, "layers", "notes.txt"), nil, 0o600))
	want := layer.FileInfo{Digest: info.Digest, Size: info.Size, Used: long}
	if files, err := f.Host.Files(); err != nil || len(files) != 1 || files[0] != want {
		t.Errorf("got %+v, %v; want %+v", files, err, want)
	}
	f.Must(f.Host.Touch(info.Digest))
	if files, err := f.Host.Files(); err != nil || len(files) != 1 || time.Since(files[0].Used) > time.Minute {
		t.Errorf("after it was touched: %+v, %v", files, err)
	}
	f.Must(f.Host.Remove(info.Digest))
	f.Must(f.Host.Remove(info.Digest))
	if files, err := f.Host.Files(); err != nil || len(files) != 0 {
		t.Errorf("after it was removed: %+v, %v", files, err)
	}
	if err := f.Host.Touch(info.Digest); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got error %v, want %v", err, os.ErrNotExist)
	}
}

func TestASweepTakesWhatCrashesLeftAndNothingElse(t *testing.T) {
	t.Parallel()
	f := layertest.New(t, newImage)
	f.Must(f.Host.Sweep(t.Context(), 0)) // a host on which nothing happened yet
	idle, held := f.Write(map[string]string{"a": "idle"}), f.Write(map[string]string{"a": "held"})
	_, err := f.Driver.Layer(t.Context(), held)
	f.Must(err)
	gone := strings.Repeat("0123456789abcdef", 4)
	path := func(name string) string { return filepath.Join(f.Host.Dir, name) }
	half := []string{path("layers/.new-X"), path("layers/.dead-X"), path("mnt/.new-X"), path("mnt/.dead-X")}
	for _, name := range half {
		f.Must(os.MkdirAll(filepath.Join(name, "tree"), 0o700))
	}
	// A layer that is just being linked into its place has the time of its last use.
	long := time.Now().Add(-24 * time.Hour)
	f.Must(os.Chtimes(half[0], long, long))
	f.Must(os.Mkdir(f.Host.Mnt(gone), 0o700)) // a reboot left it
	f.Must(os.Mkdir(f.Host.Mnt(idle), 0o700))
	_ = f.Host.Adopt(t.Context(), gone, func(path string, _ func(int64)) error { // somebody is at work
		f.Must(os.WriteFile(path, nil, 0o600))
		f.Must(f.Host.Sweep(t.Context(), time.Hour))
		for _, name := range append(half, path) {
			if _, err := os.Stat(name); err != nil {
				t.Errorf("swept too early: %v", err)
			}
		}
		return nil
	})
	f.Must(f.Host.Sweep(t.Context(), time.Hour)) // nobody is any more
	for _, name := range append(half, f.Host.Mnt(gone)) {
		if _, err := os.Stat(name); err == nil {
			t.Errorf("%s is left", name)
		}
	}
	for _, name := range []string{f.Host.File(idle), f.Host.File(held), filepath.Join(f.Host.Mnt(held), layer.Tree, "a")} {
		if _, err := os.Stat(name); err != nil {
			t.Error(err)
		}
	}
}
