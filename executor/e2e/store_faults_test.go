package e2e

import (
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/store/s3test"
)

// The worst that a store, or the disk of the host, can do to a job is to make it as slow as one without caches, and a little more.
func TestAJobEndsAsWithoutCachesWhateverTheStoreAndTheDiskDo(t *testing.T) {
	t.Parallel()
	direct := s3test.Versity(t)
	a := newGoHost(t, bucket(direct))
	began := time.Now()
	a.ran(a.goJob("go build ./sum"))
	cold := time.Since(began)

	for name, test := range map[string]struct {
		fault  s3test.Fault
		disk   bool // has hardly any space
		reason string
		says   []string
		within time.Duration // beside a job that has nothing
	}{
		"the store hangs":    {s3test.Hang, false, "store_unreachable", []string{"WARNING: the store: ", "no answer within 10s", "waits on this host"}, 10 * time.Second},
		"it sends garbage":   {s3test.Only(s3test.Reads(".sqfs"), s3test.WrongBytes), false, "corrupt", []string{"WARNING: layer", "damaged layer"}, 0},
		"the bucket is gone": {s3test.Answer(http.StatusNotFound, "NoSuchBucket"), false, "store_refused", []string{"WARNING: the store: ", "there is no bucket"}, 0},
		"the disk is full":   {nil, true, "disk_full", []string{"WARNING: Go caches: none for this job (disk_full)", "make space there"}, 0},
	} {
		t.Run(name, func(t *testing.T) { // one after the other: hosts of one GitLab see each other's containers
			proxy, config := s3test.NewProxy(t, direct)
			proxy.Break(test.fault)
			settings := strings.Replace(bucket(config), `restore_timeout = "10s"`, `restore_timeout = "20s"`, 1)
			b := &goHost{host: hostOf(t, a.gitlab, a.sha, settings), proxy: a.proxy, files: a.files}
			if test.disk {
				b.smallDisk()
			}
			began := time.Now()
			r, f := b.ran(b.goJob("go build ./sum"))
			const slack = time.Minute // the machine may have become busier; save_timeout alone is twice that
			if took := time.Since(began); took > 2*cold+test.within+slack {
				t.Errorf("it took %s, a job with empty caches %s", took, cold)
			}
			if f.Reason != test.reason || f.HitStore > 0 || f.Hit > 0 {
				t.Errorf("%s", f)
			}
			b.says(r, test.says...)
		})
	}
}

// smallDisk gives the state directory a filesystem of its own with 50 MB to spare: enough for a job, and not for caches.
func (h *host) smallDisk() {
	h.t.Helper()
	disk := filepath.Join(h.t.TempDir(), "disk")
	for _, command := range [][]string{
		{"truncate", "-s", "60M", disk},
		{"mkfs.ext4", "-q", disk},
		{"mount", "-o", "loop", disk, h.StateDir},
	} {
		if out, err := exec.CommandContext(h.t.Context(), command[0], command[1:]...).CombinedOutput(); err != nil {
			h.t.Fatalf("%v: %v\n%s", command, err, out)
		}
	}
	h.t.Cleanup(func() {
		h.prune()
		if err := unix.Unmount(h.StateDir, unix.MNT_DETACH); err != nil {
			h.t.Error(err)
		}
	})
}
