package cache

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/store"
)

// snapshot are the names, sizes and times of all that is in a folder.
func snapshot(t *testing.T, dir string) string {
	t.Helper()
	var all strings.Builder
	must(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err == nil && !d.IsDir() {
			fmt.Fprintln(&all, path, info.Size(), info.ModTime())
		} else if err == nil {
			fmt.Fprintln(&all, path, info.ModTime())
		}
		return err
	}))
	return all.String()
}

func TestADryRunChangesNothingOnTheHostAndInTheStore(t *testing.T) {
	t.Parallel()
	remote := t.TempDir()
	c := farHost(t, store.NewDirectory(remote))
	crowd(t, c, ofRef("ref-old"), 1, 2*time.Hour)
	crowd(t, c, ofRef("ref-new"), 1, 0)
	compiled(t, c, request("1"), "waits to be sent")
	sees(t, c, request("2"), "waits to be sent")
	mounted, err := c.driver.Held(t.Context())
	if err != nil || len(mounted) != 1 {
		t.Fatalf("mounted: %v, %v", mounted, err)
	}
	host, shared := snapshot(t, c.Dir), snapshot(t, remote)
	if done, said := pruned(t, c, PruneOptions{OlderThan: time.Hour, DryRun: true}); done != (Pruned{Entries: 1, Waiting: 1}) || !strings.Contains(said, "ref-old") {
		t.Errorf("store: %+v %q", done, said)
	}
	done, err := c.PruneHost(t.Context(), HostOptions{Unused: true, DryRun: true}, func(string) {})
	if err != nil || done.Layers != 1 || done.Bytes == 0 {
		t.Errorf("host: %+v, %v", done, err)
	}
	if is, err := c.driver.Held(t.Context()); err != nil || !slices.Equal(is, mounted) {
		t.Errorf("%v were mounted, and %v are, %v", mounted, is, err)
	}
	if is := snapshot(t, c.Dir); is != host {
		t.Errorf("the host was\n%s\nand is\n%s", host, is)
	}
	if is := snapshot(t, remote); is != shared {
		t.Errorf("the store was\n%s\nand is\n%s", shared, is)
	}
}

func TestOldLayersGoFromTheHostUnlessAJobUsesThem(t *testing.T) {
	t.Parallel()
	c := newCache(t)
	var digests []string
	for i, tier := range []string{"ref-a", "ref-b", "ref-c", "ref-d"} {
		compiled(t, c, ofRef(tier), tier)
		digests = append(digests, journalOf(t, c, ofRef(tier))[0].Layer.Digest)
		used := time.Now().Add(time.Duration(i-10) * time.Hour)
		must(t, os.Chtimes(c.host.File(digests[i]), used, used))
	}
	busy := ofRef("ref-a")
	busy.Job = "busy"
	j := begin(t, c, busy)
	long := time.Now().Add(-100 * time.Hour)
	must(t, os.Chtimes(c.host.File(digests[0]), long, long))
	there := func() (found string) {
		for i, digest := range digests {
			if _, err := os.Stat(c.host.File(digest)); err == nil {
				found += string(rune('a' + i))
			}
		}
		return found
	}
	var said string
	prune := func(o HostOptions) Pruned {
		said = ""
		done, err := c.PruneHost(t.Context(), o, func(what string) { said += what + "\n" })
		must(t, err)
		return done
	}
	dry := prune(HostOptions{OlderThan: 8*time.Hour + 30*time.Minute, DryRun: true})
	if dry.Layers != 1 || dry.InUse != 1 || !strings.Contains(said, digests[1][:12]) || there() != "abcd" {
		t.Errorf("a dry run: %+v %q, on the host %s", dry, said, there())
	}
	if done := prune(HostOptions{OlderThan: 8*time.Hour + 30*time.Minute}); done != dry || !strings.Contains(said, digests[1][:12]) || there() != "acd" {
		t.Errorf("older than: %+v %q, on the host %s", done, said, there())
	}
	size, err := os.Stat(c.host.File(digests[0]))
	must(t, err)
	c.MaxSize = 100 * size.Size()
	if done := prune(HostOptions{MaxSize: 2 * size.Size()}); done.Layers != 1 || done.InUse != 1 || there() != "ad" {
		t.Errorf("beyond a size: %+v, on the host %s", done, there())
	}
	if done := prune(HostOptions{Unused: true}); done.Layers != 1 || done.InUse != 1 || there() != "a" {
		t.Errorf("unused: %+v, on the host %s", done, there())
	}
	if j.has("ref-a") == "" {
		t.Error("the job has lost its cache")
	}
	j.end()
}
