package cache

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/store"
)

// The jobs of a matrix end one after the other, so that what was saved last is another one's.
func TestAJobOfAMatrixPrefetchesItsOwnPlatform(t *testing.T) {
	t.Parallel()
	remote := store.NewDirectory(t.TempDir())
	a := farHost(t, remote)
	for i, platform := range []string{"linux-amd64-v1-cgo-0123456789ab", "linux-amd64-v1", "linux-arm64-v8.0", "linux-amd64-v1-cgo-ba9876543210", "windows-amd64-v1"} {
		r := request(fmt.Sprint(i))
		r.Platform = platform
		compiled(t, a, r, platform)
	}
	a.sends(t)
	for likely, platform := range map[string]string{
		"linux-amd64-v1/":     "linux-amd64-v1",
		"linux-amd64-v1":      "linux-amd64-v1-cgo-ba9876543210",
		"linux-amd64-v1-cgo-": "linux-amd64-v1-cgo-ba9876543210",
		"linux-arm64-v8.0/":   "linux-arm64-v8.0",
		"windows-amd64-v1/":   "windows-amd64-v1",
		"":                    "windows-amd64-v1",
		"darwin-arm64-v8.0/":  "",
	} {
		t.Run(likely, func(t *testing.T) {
			t.Parallel()
			b := farHost(t, remote)
			r := request("9")
			r.Platform = platform
			must(t, b.Prefetch(t.Context(), filepath.Join(b.Dir, "jobs", r.Instance, r.Job), guess(r), likely))
			brought, err := b.host.Files()
			must(t, err)
			if platform == "" {
				if len(brought) > 0 {
					t.Errorf("brought %d layers of other platforms", len(brought))
				}
				return
			}
			j := begin(t, b, r)
			files, err := b.host.Files()
			must(t, err)
			if len(brought) != 1 || len(files) != 1 || j.has(platform) != platform || j.got.Fetched != 1 {
				t.Errorf("brought %d layers, which with those of the restore are %d: %+v", len(brought), len(files), j.got)
			}
		})
	}
}

// Pools that nobody uses any more stay until they are pruned: those of images that have changed, say.
func TestManyOldPoolsDoNotHideTheNewest(t *testing.T) {
	t.Parallel()
	remote := store.NewDirectory(t.TempDir())
	a, b := farHost(t, remote), farHost(t, remote)
	old := request("")
	old.Platform = "linux-amd64-v1-cgo-0123456789ab"
	p := old.pool(old.Tier, "build")
	for n := range maxEntries + 1 {
		must(t, remote.Put(t.Context(), p.entryKey(time.Now(), "", fmt.Sprint(n)), []byte("{}")))
	}
	r := request("1")
	r.Platform = "linux-amd64-v1-cgo-ba9876543210"
	compiled(t, a, r, "new")
	a.sends(t)

	must(t, b.Prefetch(t.Context(), filepath.Join(b.Dir, "jobs", r.Instance, r.Job), guess(r), "linux-amd64-v1-cgo-"))
	if files, err := b.host.Files(); err != nil || len(files) != 1 {
		t.Errorf("prefetched %v, %v", files, err)
	}
	r.Toolchain = "go1.27.0"
	if _, reason := sees(t, b, r); reason != NewToolchain {
		t.Errorf("a first job with a new toolchain: %s", reason)
	}
}
