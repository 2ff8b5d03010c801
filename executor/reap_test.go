package executor

import (
	"errors"
	"io"
	"io/fs"
	"testing"
	"time"

	"github.com/sirupsen/logrus"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache"
	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/stats"
	cachestore "gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/store"
	"gitlab.com/gitlab-go-executor/gitlab-go-executor/executor/settings"
)

// reaper is what a prepare is for jobs other than its own.
func reaper(t *testing.T) *job {
	t.Helper()
	dir := t.TempDir()
	log := logrus.New()
	log.SetOutput(io.Discard)
	return &job{
		tree: tree(dir), settings: settings.Default(), log: logrus.NewEntry(log),
		caches: cache.Open(t.Context(), cache.Options{Dir: dir, Store: cachestore.NewDirectory(dir + "/store"), Driver: "copy"}),
	}
}

// outcomes are those that the ledger has, by job.
func (j *job) outcomes(t *testing.T) map[string]string {
	t.Helper()
	found := map[string]string{}
	ledger, err := stats.OpenToRead(t.Context(), string(j.tree))
	if errors.Is(err, fs.ErrNotExist) {
		return found
	}
	if err != nil {
		t.Fatal(err)
	}
	defer ledger.Close()
	for row, err := range ledger.Jobs(t.Context(), stats.Filter{}) {
		if err != nil {
			t.Fatal(err)
		}
		found[row.Job] = row.Outcome
	}
	return found
}

// recorded makes a job's record, as prepare does.
func (j *job) recorded(t *testing.T, number string, change func(*Record)) *store {
	t.Helper()
	id := identity("42", "protected", number)
	r := living(id, 0)
	r.Row = stats.Job{Instance: id.Instance, Project: id.Project, Job: id.Job, Tier: id.Tier, Began: stats.Time{Time: time.Now()}}
	change(&r)
	s, err := createStore(j.tree.job(id), r)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// While a prepare removes what dead jobs have in Docker, jobs that were just ending when it looked end.
func TestAJobThatCleansUpWhileOthersReapIsNotLost(t *testing.T) {
	t.Parallel()
	j := reaper(t)
	ending := j.recorded(t, "1", func(*Record) {})
	if err := ending.end(); err != nil {
		t.Fatal(err)
	}
	gone := j.recorded(t, "2", func(r *Record) { r.Lease.Boot = "another" })
	j.recorded(t, "3", func(r *Record) { r.Lease.Boot = "another" })
	c, err := takeCensus(j.tree, "", time.Now())
	if err != nil || len(c.dead) != 3 {
		t.Fatalf("%d are dead, %v", len(c.dead), err)
	}
	for _, s := range []*store{ending, gone} { // their cleanups come to their ends
		if err := bury(s.dir); err != nil {
			t.Fatal(err)
		}
	}
	for _, dead := range c.dead {
		j.bookDead(t.Context(), dead)
	}
	if got := j.outcomes(t); len(got) != 1 || got["3"] != "lost" {
		t.Errorf("the ledger has %v, want the one that nobody cleaned up after", got)
	}
}
