//go:build faults

package cache

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/stats"
	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/store"
)

// storyFolder is the variable that has the test of crashes be the host that lives through the story, below that folder.
const storyFolder = "TEST_CRASH_STORY"

// What the story begins with: the words of a project, of which every second layer is in the store alone.
var seeds = []string{"a", "b", "c", "d", "e", "f", "g", "h"}

// Other projects of the story: of one all is old, of the other a layer is damaged.
const (
	oldProject     = "8"
	damagedProject = "9"
)

func of(project, job string) Request {
	r := request(job)
	r.Project = project
	return r
}

// storyHost is one of the hosts of a story, all of which share a store.
func storyHost(ctx context.Context, dir, name string) *Cache {
	return Open(ctx, Options{Dir: filepath.Join(dir, name), Store: store.NewDirectory(filepath.Join(dir, "store")), Far: true, Driver: "image", Idle: time.Hour})
}

// seed makes what there is before the story.
func seed(t *testing.T, dir string) {
	t.Helper()
	c := storyHost(t.Context(), dir, "host")
	for i, word := range seeds {
		compiled(t, c, request(fmt.Sprint(i)), word)
	}
	compiled(t, c, of(damagedProject, "x"), "x")
	c.sends(t)
	must(t, c.Housekeep(t.Context(), true)) // no layer is here any more
	damaged := of(damagedProject, "").pool("protected", "build").layerKey(journalOf(t, c, of(damagedProject, ""))[0].Layer.Digest)
	must(t, os.Remove(filepath.Join(dir, "store", damaged)))
	must(t, os.WriteFile(filepath.Join(dir, "store", damaged), []byte("hsqs, and no more"), 0o600))
	for i, e := range journalOf(t, c, request("")) {
		if i%2 == 0 {
			continue
		}
		must(t, c.host.Adopt(t.Context(), e.Layer.Digest, func(path string, have func(int64)) error {
			return c.store.GetFile(t.Context(), request("").pool("protected", "build").layerKey(e.Layer.Digest), path, have)
		}))
	}
	must(t, os.RemoveAll(filepath.Join(dir, "host", "grown")))

	crowd(t, c, of(oldProject, ""), 1, time.Hour)
	old := of(oldProject, "").pool("protected", "build")
	for _, name := range []string{"noted long ago", "not noted yet"} {
		must(t, c.Store.Put(t.Context(), old.layerKey(sum(name)), []byte(name)))
	}
	must(t, c.Store.Put(t.Context(), deadNote(old.tier, sum("noted long ago"), time.Now().Add(-2*doomedFor)), nil))
}

// liveThrough is the story, in a process of its own that may be killed. It tells what it is through with.
func liveThrough(t *testing.T, dir string) {
	t.Helper()
	c := storyHost(t.Context(), dir, "host")
	tell := func(what string, words ...string) { fmt.Println("story:", what, words) }

	ledger, err := stats.Open(t.Context(), c.Dir)
	must(t, err)
	for _, job := range []string{"1", "2", "3"} {
		must(t, ledger.Add(t.Context(), stats.Job{Instance: "gitlab.example.com", Job: job, Outcome: "success"}))
		tell("row", job)
	}

	saves(t, c, request("11"), tell, "k1")
	c.sends(t)
	must(t, c.Tend(t.Context(), true))
	tell("compacted")

	killed := compiles(t, c, request("12"), tell, "k2")
	must(t, c.Abandon(t.Context(), killed.dir))
	must(t, os.RemoveAll(killed.dir))
	must(t, c.Salvage(t.Context(), func(_ Saved, err error) { must(t, err) }))
	tell("saved", "k2")
	c.sends(t)

	saves(t, c, of(damagedProject, "13"), tell, "x", "y")
	c.sends(t)

	for range 2 { // the second time there is a note of what the first has found
		pruned(t, c, PruneOptions{Project: oldProject, OlderThan: time.Nanosecond})
	}
	tell("pruned")
	must(t, c.Housekeep(t.Context(), true))
	tell("trims")
	must(t, ledger.Trim(t.Context(), 1))
	must(t, ledger.Close())
}

// compiles has a job compile packages, and does not save them.
func compiles(t *testing.T, c *Cache, r Request, tell func(string, ...string), words ...string) *testJob {
	t.Helper()
	dir := filepath.Join(c.Dir, "jobs", r.Instance, r.Job)
	must(t, os.MkdirAll(dir, 0o700))
	_ = c.Prefetch(t.Context(), dir, guess(r), "") // a damaged layer is no harm yet
	j := begin(t, c, r)
	stop, err := c.Watch(dir, "/go-executor")
	must(t, err)
	j.has(seeds...)
	j.compile(words...)
	tell("made", words...)
	must(t, stop())
	return j
}

func saves(t *testing.T, c *Cache, r Request, tell func(string, ...string), words ...string) {
	t.Helper()
	j := compiles(t, c, r, tell, words...)
	j.end()
	must(t, os.RemoveAll(j.dir))
	tell("saved", words...)
}
