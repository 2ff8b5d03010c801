package cache

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/store"
)

// newCache is the caches of a host with a store of its own.
func newCache(t *testing.T) *Cache {
	t.Helper()
	return hostOf(t, Options{Store: store.NewDirectory(filepath.Join(t.TempDir(), "store"))})
}

// hostOf is the caches of a new host, which are unmounted at the end of the test.
func hostOf(t *testing.T, o Options) *Cache {
	t.Helper()
	if o.Dir == "" {
		o.Dir = t.TempDir()
	}
	dir := o.Dir
	o.Driver, o.Idle = "image", time.Hour
	c := Open(t.Context(), o)
	t.Cleanup(func() {
		ctx := context.Background()
		works, _ := filepath.Glob(filepath.Join(dir, "jobs", "*", "*"))
		for _, job := range works {
			if err := c.Discard(ctx, job); err != nil {
				t.Error(err)
			}
		}
		if err := c.Housekeep(ctx, true); err != nil {
			t.Error(err)
		}
		if held, err := c.driver.Held(ctx); err != nil || len(held) > 0 {
			t.Errorf("still mounted: %v %v", held, err)
		}
	})
	return c
}

// sameStore is another host with the same store.
func sameStore(t *testing.T, c *Cache) *Cache {
	t.Helper()
	return hostOf(t, Options{Store: c.Store, Far: c.Far})
}

// request is that of a job of a protected ref. Only compiled packages are cached unless a test says otherwise: they need no network.
func request(job string) Request {
	return Request{
		Instance: "gitlab.example.com", Project: "7", Tier: "protected", Job: job, Platform: "linux-amd64-v1", Toolchain: "go1.26.8",
		Graph: digestOf("a"), Kinds: []string{"build"},
	}
}

// guess is what prepare knows of a request: neither image nor sources.
func guess(r Request) Request {
	r.Platform, r.Toolchain, r.Graph = "", "", ""
	return r
}

// testJob is a job at work.
type testJob struct {
	*testing.T
	c   *Cache
	dir string
	in  string // the kind that it works on
	got Restored
}

// begin restores the caches of a job.
func begin(t *testing.T, c *Cache, r Request) *testJob {
	t.Helper()
	dir := filepath.Join(c.Dir, "jobs", "gitlab.example.com", r.Job)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	got, err := c.Restore(t.Context(), dir, r)
	if err != nil {
		t.Fatalf("restore: %v", err)
	}
	return &testJob{t, c, dir, r.headline(), got}
}

func sum(text string) string {
	digest := sha256.Sum256([]byte(text))
	return hex.EncodeToString(digest[:])
}

// paths of a cache entry in a mount: its action is named by a word, its output says what it is.
func (j *testJob) paths(word, output string) (action, out string) {
	a, o := sum(word), sum(output)
	build := filepath.Join(j.got.Merged, j.in)
	return filepath.Join(build, a[:2], a+"-a"), filepath.Join(build, o[:2], o+"-d")
}

// compile writes what Go would after it has compiled a package.
func (j *testJob) compile(words ...string) {
	j.Helper()
	for _, word := range words {
		j.put(word, "!<arch>\n"+word)
	}
}

func (j *testJob) put(word, output string) {
	j.Helper()
	action, out := j.paths(word, output)
	line := fmt.Sprintf("v1 %s %s %20d %20d\n", sum(word), sum(output), len(output), time.Now().UnixNano())
	if err := errors.Join(os.WriteFile(out, []byte(output), 0o666), os.WriteFile(action, []byte(line), 0o666)); err != nil {
		j.Fatal(err)
	}
}

// has says which of the words have an entry that leads to the output it should.
func (j *testJob) has(words ...string) (found string) {
	for _, word := range words {
		action, out := j.paths(word, "!<arch>\n"+word)
		line, err := os.ReadFile(action)
		data, e := os.ReadFile(out)
		if err == nil && e == nil && strings.Contains(string(line), filepath.Base(out)[:64]) && string(data) == "!<arch>\n"+word {
			found += word
		}
	}
	return found
}

// opened notes what a watch would have seen.
func (j *testJob) opened(words ...string) {
	j.Helper()
	ids := map[string]bool{}
	for _, word := range words {
		ids[sum(word)] = true
	}
	data, err := json.Marshal(usage{j.in: ids})
	if err == nil {
		err = os.WriteFile(filepath.Join(WorkOf(j.dir).Dir, fmt.Sprintf(watchEnded, time.Now().UnixNano())), data, 0o600)
	}
	if err != nil {
		j.Fatal(err)
	}
}

// end saves.
func (j *testJob) end() Saved {
	j.Helper()
	saved, err := j.c.Save(j.Context(), j.dir, true)
	if err != nil {
		j.Fatalf("save: %v", err)
	}
	for _, problem := range saved.Problems {
		j.Errorf("save: %v", problem)
	}
	return saved
}

// compiled runs a job that compiles packages and saves them.
func compiled(t *testing.T, c *Cache, r Request, words ...string) Saved {
	t.Helper()
	j := begin(t, c, r)
	j.compile(words...)
	return j.end()
}

// sees tells what a job that only looks finds, and its reason.
func sees(t *testing.T, c *Cache, r Request, words ...string) (string, Reason) {
	t.Helper()
	r.Mode = NoSave
	j := begin(t, c, r)
	found := j.has(words...)
	j.end()
	return found, j.got.Reason
}

// journalOf reads the journal of a request's own pool.
func journalOf(t *testing.T, c *Cache, r Request) []Entry {
	t.Helper()
	entries, problems, err := c.journal(t.Context(), r.pool(r.Tier, r.headline()))
	if err != nil || len(problems) > 0 {
		t.Fatal(err, problems)
	}
	return entries
}
