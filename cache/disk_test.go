package cache

import (
	"errors"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/store"
)

// smallDisk is a host whose state directory has a filesystem of its own, and fill leaves that so many bytes.
func smallDisk(t *testing.T, remote store.Store) (c *Cache, fill func(leave int64)) {
	t.Helper()
	disk, dir := filepath.Join(t.TempDir(), "disk"), t.TempDir()
	for _, command := range [][]string{
		{"truncate", "-s", "600M", disk},
		{"mkfs.ext4", "-q", "-m", "0", disk}, // nothing reserved for root
		{"mount", "-o", "loop", disk, dir},
	} {
		if out, err := exec.CommandContext(t.Context(), command[0], command[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%v: %v\n%s", command, err, out)
		}
	}
	t.Cleanup(func() {
		// The kernel may take a while to give back a layer's loop device, which holds a file there.
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Errorf("unmount: %v", err)
		}
	})
	ballast, err := os.Create(filepath.Join(dir, "ballast"))
	must(t, err)
	t.Cleanup(func() { _ = ballast.Close() })
	return hostOf(t, Options{Dir: dir, Store: remote, Far: true}), func(leave int64) {
		t.Helper()
		must(t, ballast.Truncate(0))
		var stat unix.Statfs_t
		must(t, unix.Fstatfs(int(ballast.Fd()), &stat))
		err := unix.Fallocate(int(ballast.Fd()), 0, 0, int64(stat.Bavail)*stat.Bsize-leave)
		if leave > 0 || !errors.Is(err, unix.ENOSPC) { // the filesystem itself may need the last blocks
			must(t, err)
		}
	}
}

// noise is what does not get smaller when it is compressed.
func noise(bytes int) string {
	data := make([]byte, bytes)
	_, _ = rand.NewChaCha8([32]byte{}).Read(data) // it never fails
	return string(data)
}

// nothingHalfMade sees that a step that failed has left neither a work folder nor anything of a layer.
func nothingHalfMade(t *testing.T, c *Cache, jobDir string) {
	t.Helper()
	for _, pattern := range []string{
		filepath.Join(c.Dir, "layers", "*.sqfs"), filepath.Join(c.Dir, "layers", ".new-*"), filepath.Join(c.Dir, "layers", ".dead-*"),
		filepath.Join(c.Dir, "spool", "*", ".staging", "*"), filepath.Join(jobDir, "*"),
	} {
		if found, err := filepath.Glob(pattern); err != nil || len(found) > 0 {
			t.Errorf("left: %v, %v", found, err)
		}
	}
}

func TestOnAFullDiskAJobHasNoCachesAndNothingHalfMadeStays(t *testing.T) {
	t.Parallel()
	const mega = 1 << 20
	remote := store.NewDirectory(t.TempDir())
	elsewhere := farHost(t, remote)
	j := begin(t, elsewhere, request("1"))
	j.put("big", "!<arch>\n"+noise(8*mega))
	j.compile("a")
	j.end()
	elsewhere.sends(t)

	c, fill := smallDisk(t, remote)
	for _, test := range []struct {
		what  string
		leave int64
	}{{"for the plan", 0}, {"for the layer", 4 * mega}, {"for what the job makes", 20 * mega}} {
		fill(test.leave)
		r := request("full")
		dir := filepath.Join(c.Dir, "jobs", r.Instance, r.Job)
		_ = c.Prefetch(t.Context(), dir, guess(r), "")
		got, err := c.Restore(t.Context(), dir, r)
		if got.Reason != DiskFull || ReasonOf(err) != DiskFull {
			t.Errorf("no space %s: %s, %v", test.what, got.Reason, err)
		}
		fill(300 * mega)
		must(t, c.Housekeep(t.Context(), true)) // a layer that is whole may stay
		nothingHalfMade(t, c, dir)
	}
	warm := begin(t, c, request("2"))
	if found := warm.has("a"); found != "a" || warm.got.Reason != Exact {
		t.Errorf("with space again: found %q of %+v", found, warm.got)
	}
	warm.end()
}

func TestADiskThatGetsFullCostsWhatTheJobMadeAndNoMore(t *testing.T) {
	t.Parallel()
	const mega = 1 << 20
	remote := store.NewDirectory(t.TempDir())
	c, fill := smallDisk(t, remote)
	j := begin(t, c, request("1"))
	j.put("big", "!<arch>\n"+noise(8*mega))
	fill(4 * mega)
	if saved, err := c.Save(t.Context(), j.dir, true); ReasonOf(err) != DiskFull || saved.Items > 0 {
		t.Errorf("%d items saved, %v", saved.Items, err)
	}
	nothingHalfMade(t, c, j.dir)
	fill(300 * mega)
	if sent, err := c.Send(t.Context()); err != nil || sent.Objects > 0 {
		t.Errorf("sent %+v, %v", sent, err)
	}
	compiled(t, c, request("2"), "a")
	c.sends(t)
	if found, reason := sees(t, farHost(t, remote), request("3"), "a"); found != "a" || reason != Exact {
		t.Errorf("the next job's: found %q, %s", found, reason)
	}
}
