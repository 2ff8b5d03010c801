package cache

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/store"
	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/store/s3test"
)

// saveAnyway runs a job whose store may have its troubles meanwhile: it saves, and sends what can be sent.
func saveAnyway(t *testing.T, c *Cache, job string) (word string) {
	t.Helper()
	ctx, cancel := context.WithTimeoutCause(t.Context(), saveLimit, context.DeadlineExceeded)
	defer cancel()
	j := begin(t, c, request(job))
	j.compile("<" + job + ">")
	if saved, err := c.Save(ctx, j.dir, true); err != nil || saved.Items == 0 {
		t.Errorf("job %s: %d items saved, %v", job, saved.Items, err)
	}
	_, _ = c.Send(ctx) // else the next one does
	return "<" + job + ">"
}

func TestAClusterThatLosesANodeForAWhileLosesNothing(t *testing.T) {
	t.Parallel()
	cluster, config := s3test.NewCluster(t)
	hosts := make([]*Cache, 2)
	words := make([][]string, len(hosts))
	for n := range hosts {
		bucket, err := store.NewS3(config)
		must(t, err)
		hosts[n] = farHost(t, bucket)
	}
	jobs := func(when string, meanwhile func()) {
		var group sync.WaitGroup
		for h, c := range hosts {
			group.Go(func() {
				for n := range 3 {
					words[h] = append(words[h], saveAnyway(t, c, fmt.Sprintf("%s-%d-%d", when, h, n)))
				}
			})
		}
		meanwhile()
		group.Wait()
	}
	jobs("dies", func() { time.Sleep(200 * time.Millisecond); cluster.Kill(3) }) // at some point in a save or a restore
	jobs("dead", func() {})
	jobs("back", func() { cluster.Revive(3) })

	for _, c := range hosts {
		_ = os.Remove(filepath.Join(c.Dir, "spool", ".down")) // as time would
		c.sends(t)
	}
	cluster.Kill(2) // what was saved while the one was away is whole without another one too
	all := slices.Concat(words...)
	bucket, err := store.NewS3(config)
	must(t, err)
	if found, reason := sees(t, farHost(t, bucket), request("last"), all...); found != strings.Join(all, "") || reason != Exact {
		t.Errorf("a new host finds %q, %s, want %q", found, reason, all)
	}
}
