package executor

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/executor/outcome"
	"gitlab.com/gitlab-go-executor/gitlab-go-executor/executor/runner"
)

func identity(project, tier, job string) runner.Identity {
	return runner.Identity{Instance: "gitlab.example.com", Project: project, Tier: tier, Job: job}
}

func TestAnObjectIsNotedBeforeAndAfterItsCreation(t *testing.T) {
	t.Parallel()
	tr := tree(t.TempDir())
	id := identity("1", "protected", "7")
	s, err := createStore(tr.job(id), Record{Identity: id, Objects: map[string]string{}})
	if err != nil {
		t.Fatal(err)
	}
	onDisk := func() Record {
		again, err := openStore(tr.job(id))
		if err != nil {
			t.Fatal(err)
		}
		return again.get()
	}
	_, err = s.creating("helper", func() (string, error) {
		if got, noted := onDisk().Objects["helper"]; !noted || got != "" {
			t.Errorf("while it is being created the record says %q, %v", got, noted)
		}
		return "the-id", nil
	})
	if err != nil || onDisk().Objects["helper"] != "the-id" {
		t.Errorf("after its creation the record says %q (%v)", onDisk().Objects["helper"], err)
	}
	if _, err := s.creating("build", func() (string, error) { return "", errors.New("no") }); err == nil {
		t.Error("a failed creation is no error")
	}
	if _, noted := onDisk().Objects["build"]; !noted {
		t.Error("a creation that failed, and may have happened, left no trace")
	}
}

func TestAJobNeverReplacesAnothersRecord(t *testing.T) {
	t.Parallel()
	tr := tree(t.TempDir())
	id := identity("1", "protected", "7")
	if _, err := createStore(tr.job(id), Record{Slot: 1}); err != nil {
		t.Fatal(err)
	}
	if _, err := createStore(tr.job(id), Record{Slot: 2}); err == nil {
		t.Error("a second record of the same job was made over the first")
	}
	s, err := openStore(tr.job(id))
	if err != nil || s.get().Slot != 1 {
		t.Errorf("the first record is gone: %v", err)
	}
	if hidden, _ := filepath.Glob(filepath.Join(tr.jobs(), "*", ".*")); len(hidden) > 0 {
		t.Errorf("left half made: %v", hidden)
	}
}

func TestEachJobOfAProjectHasASlotOfItsOwn(t *testing.T) {
	t.Parallel()
	tr := tree(t.TempDir())
	for i, id := range []runner.Identity{
		identity("1", "protected", "1"), identity("1", "protected", "2"), identity("2", "protected", "3"), identity("1", "ref-x", "4"),
	} {
		jobs, problems := allJobs(tr)
		if len(problems) > 0 || len(jobs) != i {
			t.Fatalf("%d records are read of %d: %v", len(jobs), i, problems)
		}
		want := []int{0, 1, 0, 0}[i]
		slot := freeSlot(jobs, id)
		if slot != want {
			t.Errorf("job %s has slot %d, want %d", id, slot, want)
		}
		if _, err := createStore(tr.job(id), Record{Identity: id, Slot: slot}); err != nil {
			t.Fatal(err)
		}
	}
	if err := bury(tr.job(identity("1", "protected", "1"))); err != nil {
		t.Fatal(err)
	}
	jobs, _ := allJobs(tr)
	if slot := freeSlot(jobs, identity("1", "protected", "5")); slot != 0 {
		t.Errorf("the slot of the job that ended is not free: %d", slot)
	}
}

func TestCrashesLeaveNothingThatALookupSees(t *testing.T) {
	t.Parallel()
	tr := tree(t.TempDir())
	dir := filepath.Join(tr.jobs(), "gitlab.example.com")
	old := time.Now().Add(-2 * staleStaging)
	for _, name := range []string{stagingPrefix + "1", deadPrefix + "7-1", stagingPrefix + "old"} {
		if err := os.MkdirAll(filepath.Join(dir, name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chtimes(filepath.Join(dir, stagingPrefix+"old"), old, old); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(tr.jobs(), ".lock"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if jobs, problems := allJobs(tr); len(jobs) > 0 || len(problems) > 0 {
		t.Errorf("seen: %v %v", jobs, problems)
	}
	sweep(tr, time.Now())
	left, _ := filepath.Glob(filepath.Join(dir, ".*"))
	if len(left) != 1 || filepath.Base(left[0]) != stagingPrefix+"1" {
		t.Errorf("left after the sweep: %v; want only what may be in the making", left)
	}
}

func TestHowAJobAsAWholeEnded(t *testing.T) {
	t.Parallel()
	began := time.Now()
	failed := &Verdict{Outcome: outcome.ScriptFailed, Reason: outcome.ExitCode, Stage: "build_script"}
	for name, c := range map[string]struct {
		record Record
		after  time.Duration
		want   outcome.Outcome
	}{
		"all stages ran":                {Record{Finished: true}, time.Minute, outcome.Success},
		"a stage failed":                {Record{Finished: true, Failed: failed}, time.Minute, outcome.ScriptFailed},
		"stopped between two stages":    {Record{}, time.Minute, outcome.Canceled},
		"its time ended between stages": {Record{}, time.Hour, outcome.TimedOut},
		"failed, and the rest left out": {Record{Failed: failed}, time.Minute, outcome.ScriptFailed},
	} {
		c.record.Created = began
		if got := ended(c.record, began.Add(c.after), time.Hour); got.Outcome != c.want {
			t.Errorf("%s: %s, want %s", name, got.Outcome, c.want)
		}
	}
}
