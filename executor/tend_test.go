package executor

import (
	"os"
	"path/filepath"
	"testing"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache"
	cachestore "gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/store"
)

// savedFar is a job of a host with a bucket, whose caches were just saved: an entry waits to be sent. sent tells what the bucket has.
func savedFar(t *testing.T) (j *job, sent func() int) {
	t.Helper()
	j, _ = jobWith(nil)
	dir := t.TempDir()
	bucket := cachestore.NewDirectory(filepath.Join(dir, "bucket"))
	j.tree = tree(filepath.Join(dir, "state"))
	j.caches = cache.Open(t.Context(), cache.Options{Dir: string(j.tree), Store: bucket, Far: true, Driver: "copy"})
	spool := cachestore.NewSpool(filepath.Join(string(j.tree), "spool"), bucket)
	if err := spool.Put(t.Context(), "v1/gitlab.example.com/42/protected/modules/entry.json", []byte("{}")); err != nil {
		t.Fatal(err)
	}
	return j, func() int {
		objects, err := bucket.List(t.Context(), "", 0)
		if err != nil {
			t.Error(err)
		}
		return len(objects)
	}
}

func TestJobsLeaveSendingToServeWhereItRuns(t *testing.T) {
	t.Parallel()
	for name, after := range map[string]func(*job){
		"what a job has saved":                func(j *job) { j.sendSaved(t.Context()) },
		"what waits when the next job begins": func(j *job) { j.tendCaches(t.Context()) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			j, sent := savedFar(t)
			unlock, err := j.claimServing(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			after(j)
			if n := sent(); n != 0 {
				t.Errorf("with serve, a job has sent %d objects", n)
			}
			unlock() // serve ends, or is killed
			after(j)
			if n := sent(); n != 1 {
				t.Errorf("without serve, %d objects were sent, want 1", n)
			}
		})
	}
}

func TestWhoAsksForServeIsNotTakenForIt(t *testing.T) {
	t.Parallel()
	j, _ := savedFar(t)
	asking, err := j.claimServing(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if !j.served(t.Context()) {
		t.Error("serve runs and is not seen")
	}
	if _, err := j.claimServing(t.Context()); err == nil {
		t.Error("two run for one state directory")
	}
	asking()
	for range 2 { // the second sees the first one's question gone
		if j.served(t.Context()) {
			t.Error("nobody serves, and a job that has asked is taken for serve")
		}
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	j.tree = tree(file) // in which no lock can be made
	if j.served(t.Context()) {
		t.Error("a lock that cannot be tried is taken for serve")
	}
}
