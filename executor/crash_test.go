package executor

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/sirupsen/logrus"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/stats"
	"gitlab.com/gitlab-go-executor/gitlab-go-executor/executor/outcome"
	"gitlab.com/gitlab-go-executor/gitlab-go-executor/executor/settings"
)

func TestAStageThatWasKilledIsToldFromOneThatWasStopped(t *testing.T) {
	t.Parallel()
	j := &job{tree: tree(t.TempDir()), log: logrus.NewEntry(logrus.New())}
	s := &store{dir: j.tree.job(j.id), record: Record{Lease: Lease{Deadline: time.Now().Add(2 * leaseSlack)}, Created: time.Now()}}
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if got := s.verdict(); got.Outcome != outcome.Canceled {
		t.Errorf("between two stages: %+v", got)
	}
	j.store = s
	j.stageBegins("build_script")
	if got := s.verdict(); got.Outcome != outcome.SystemFailed || got.Reason != outcome.StageKilled || got.Stage != "build_script" {
		t.Errorf("in a stage: %+v", got)
	}
	signals := make(chan os.Signal, 1)
	ctx, cancel := stoppable(t.Context(), signals, func() bool {
		j.stageEnds()
		return false
	})
	defer cancel()
	signals <- os.Interrupt
	<-ctx.Done()
	if got := s.verdict(); got.Outcome != outcome.Canceled {
		t.Errorf("after a signal: %+v", got)
	}

	j.stageBegins("after_script") // has no say in how the job ends
	j.stageBegins("build_script")
	if got := s.get().Failed; got != nil {
		t.Errorf("after_script was killed: %+v", got)
	}
	j.stageBegins("cleanup_file_variables")
	j.stageEnds()
	if got := s.verdict(); got.Reason != outcome.StageKilled || got.Stage != "build_script" {
		t.Errorf("when other stages have run since: %+v", got)
	}
}

// Cleanup notes that the job has ended before it enters it into the ledger, so that its slot is free whatever the ledger does.
func TestAJobWhoseCleanupWasKilledIsInTheLedgerOnce(t *testing.T) {
	t.Parallel()
	j := &job{tree: tree(t.TempDir()), log: logrus.NewEntry(logrus.New()), settings: settings.Default()}
	began := time.Now().Add(-time.Hour)
	s, err := createStore(filepath.Join(string(j.tree), "jobs", "gitlab.example.com", "1"), Record{
		Created: began, Finished: true, Row: stats.Job{Instance: "gitlab.example.com", Job: "1", Began: stats.Time{Time: began}},
	})
	if err == nil {
		err = s.end()
	}
	if err != nil {
		t.Fatal(err)
	}
	j.bookDead(t.Context(), s)
	j.bookDead(t.Context(), s) // who did it first has crashed right after
	ledger, err := stats.OpenToRead(t.Context(), string(j.tree))
	if err != nil {
		t.Fatal(err)
	}
	defer ledger.Close()
	var got []string
	for range 2 {
		if err := ledger.Follow(t.Context(), "test", func(row stats.Job) error {
			got = append(got, row.Outcome)
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	if len(got) != 1 || got[0] != string(outcome.Success) {
		t.Errorf("the ledger has %v", got)
	}
}

func TestWhatWasFoundOfAnImageIsForgottenAfterAWhile(t *testing.T) {
	t.Parallel()
	tr := tree(t.TempDir())
	if err := os.MkdirAll(tr.images(), 0o700); err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	for name, age := range map[string]time.Duration{"a.json": 2 * oldImage, "a.json.1": 2 * oldImage, "b.json": oldImage / 2, "b.json.2": 0} {
		path := filepath.Join(tr.images(), name)
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, now.Add(-age), now.Add(-age)); err != nil {
			t.Fatal(err)
		}
	}
	sweepImages(tr, now)
	left, _ := filepath.Glob(filepath.Join(tr.images(), "*"))
	if len(left) != 2 || filepath.Base(left[0]) != "b.json" || filepath.Base(left[1]) != "b.json.2" {
		t.Errorf("left: %v", left)
	}
}
