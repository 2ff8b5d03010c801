package layer_test

import (
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/layer"
	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/layer/layertest"
)

func TestAFolderThatARebootLeftIsNotTakenForAMount(t *testing.T) {
	t.Parallel()
	f := layertest.New(t, newImage)
	digest := f.Write(map[string]string{"a": "a"})
	f.Must(os.MkdirAll(f.Host.Mnt(digest), 0o700))
	w := f.Work("job")
	f.Must(os.MkdirAll(w.Merged(), 0o700))
	if held, err := f.Driver.Held(t.Context()); err != nil || len(held) != 0 {
		t.Errorf("held: %q, %v", held, err)
	}
	f.Must(f.Driver.Mount(t.Context(), w, []string{digest}))
	if _, err := os.Stat(filepath.Join(w.Merged(), "a")); err != nil {
		t.Error(err)
	}
}

func TestADriverTakesOverFromTheOther(t *testing.T) {
	t.Parallel()
	f := layertest.New(t, newImage)
	digest := f.Write(map[string]string{"a": "a"})
	drivers := []layer.Driver{f.Driver, layer.NewCopy(f.Host), f.Driver, layer.NewCopy(f.Host)}
	for _, d := range drivers {
		dir, err := d.Layer(t.Context(), digest)
		f.Must(err)
		if _, err := os.Stat(filepath.Join(dir, layer.Tree, "a")); err != nil {
			t.Error(err)
		}
	}
	f.Must(drivers[1].Release(t.Context(), digest))
	if _, err := os.Stat(f.Host.Mnt(digest)); err == nil {
		t.Error("the layer is still there")
	}
}

func TestMountsAreAsSafeAsAJobNeedsThem(t *testing.T) {
	t.Parallel()
	f := layertest.New(t, newImage)
	digest := f.Write(map[string]string{"tool": "#!/bin/sh\n"})
	w := f.Mount("job", digest)
	for path, readOnly := range map[string]bool{f.Host.Mnt(digest): true, w.Merged(): false} {
		var stat unix.Statfs_t
		f.Must(unix.Statfs(path, &stat))
		has := func(flag int64) bool { return stat.Flags&flag != 0 }
		if !has(unix.ST_NODEV) || !has(unix.ST_NOSUID) || has(unix.ST_NOEXEC) || has(unix.ST_RDONLY) != readOnly {
			t.Errorf("%s has flags %x", path, stat.Flags)
		}
	}
	table, err := os.ReadFile("/proc/self/mountinfo")
	f.Must(err)
	for line := range strings.Lines(string(table)) {
		if strings.Contains(line, w.Merged()) && !strings.Contains(line, "volatile") {
			t.Errorf("not volatile: %s", line)
		}
	}
}

func TestAFolderThatIsMountedOverSomethingElseIsLeftAlone(t *testing.T) {
	t.Parallel()
	f := layertest.New(t, newImage)
	one, two := f.Write(map[string]string{"a": "one"}), f.Write(map[string]string{"a": "two"})
	w := f.Mount("job", one)
	if err := f.Driver.Mount(t.Context(), w, []string{two}); err == nil || !strings.Contains(err.Error(), "unmount it first") {
		t.Errorf("got error %v", err)
	}
	if data, err := os.ReadFile(filepath.Join(w.Merged(), "a")); err != nil || string(data) != "one" {
		t.Errorf("it shows %q, %v", data, err)
	}
}

func TestABusyFolderIsUnmountedAsSoonAsItIsFree(t *testing.T) {
	t.Parallel()
	f := layertest.New(t, newImage)
	w := f.Mount("job", f.Write(map[string]string{"a": "a"}))
	open, err := os.Open(filepath.Join(w.Merged(), "a"))
	f.Must(err)
	defer open.Close()
	f.Must(f.Driver.Unmount(t.Context(), w)) // it stays open, so it is detached in the end
	if left := layertest.Mounts(t, w.Dir); len(left) > 0 {
		t.Errorf("still mounted: %q", left)
	}
}

func TestThisHostCanMountAndTheProbeLeavesNothing(t *testing.T) {
	t.Parallel()
	f := layertest.New(t, newImage)
	folder := filepath.Join(f.Host.Dir, "mnt", ".probe")
	f.Must(f.Driver.Mount(t.Context(), layer.Work{Dir: folder}, nil)) // by one that was killed
	f.Must(layer.NewImage(f.Host).Probe(t.Context()))
	f.Must(layer.NewCopy(f.Host).Probe(t.Context()))
	if _, err := os.Lstat(folder); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("left: %v", err)
	}
	if left := layertest.Mounts(t, folder); len(left) > 0 {
		t.Errorf("still mounted: %q", left)
	}
}

func TestAnOverlaySaysWhatDistributionsMayHaveAsTheirDefaults(t *testing.T) {
	t.Parallel()
	want := map[string]string{
		"upperdir": "upper", "workdir": "work", "volatile": "", "metacopy": "off", "redirect_dir": "nofollow", "index": "off",
		"nfs_export": "off", "xino": "auto",
	}
	if got := layer.OverlayOptions(false); !maps.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	want["context"] = "system_u:object_r:container_file_t:s0"
	if got := layer.OverlayOptions(true); !maps.Equal(got, want) {
		t.Errorf("with SELinux: got %q, want %q", got, want)
	}
	if layer.ImageContext(false) != "" || layer.ImageContext(true) != ",context="+want["context"] {
		t.Errorf("layers: %q, %q", layer.ImageContext(false), layer.ImageContext(true))
	}
}

func TestALinkThatAJobPutInThePlaceOfAFolderIsNotFollowed(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	link := filepath.Join(dir, "link")
	if err := os.Symlink("/etc", link); err != nil {
		t.Fatal(err)
	}
	if err := layer.OpenFolder(link); err == nil {
		t.Error("a link was followed")
	}
	if err := layer.OpenFolder(dir); err != nil {
		t.Error(err)
	}
}
