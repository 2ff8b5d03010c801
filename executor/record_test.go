package executor

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/executor/docker"
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

// living makes the record of a job that is alive until tomorrow.
func living(id runner.Identity, slot int) Record {
	boot, _ := bootID()
	return Record{
		Identity: id, Slot: slot, Owner: docker.Owner{Job: jobLabel(id.Instance, id.Job)},
		Lease: Lease{PID: 1, Boot: boot, Namespace: "another", Deadline: time.Now().Add(24 * time.Hour)},
	}
}

func TestEachJobOfAProjectHasASlotOfItsOwn(t *testing.T) {
	t.Parallel()
	tr := tree(filepath.Join(t.TempDir(), "with[glob]*chars"))
	claim := func(id runner.Identity) int {
		c, err := takeCensus(tr, jobLabel(id.Instance, id.Job), time.Now())
		if err != nil {
			t.Fatal(err)
		}
		slot := freeSlot(c, tr, id)
		if _, err := createStore(tr.job(id), living(id, slot)); err != nil {
			t.Fatal(err)
		}
		return slot
	}
	for _, c := range []struct {
		project, tier, job string
		want               int
	}{{"1", "protected", "1", 0}, {"1", "protected", "2", 1}, {"2", "protected", "3", 0}, {"1", "ref-x", "4", 0}} {
		if slot := claim(identity(c.project, c.tier, c.job)); slot != c.want {
			t.Errorf("job %s has slot %d, want %d", c.job, slot, c.want)
		}
	}
	if err := bury(tr.job(identity("1", "protected", "1"))); err != nil {
		t.Fatal(err)
	}
	if slot := claim(identity("1", "protected", "5")); slot != 0 {
		t.Errorf("the slot of the job that ended is not free: %d", slot)
	}
}

func TestAJobWhoseRecordSaysNothingIsLeftAlone(t *testing.T) {
	t.Parallel()
	tr := tree(t.TempDir())
	strange, mine := identity("1", "protected", "1"), identity("1", "protected", "2")
	if err := os.MkdirAll(tr.job(strange), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(tr.job(strange), recordName), []byte(`{"slot":"of another release"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(tr.builds(mine, 0), 0o700); err != nil {
		t.Fatal(err)
	}
	c, err := takeCensus(tr, jobLabel(mine.Instance, mine.Job), time.Now())
	if err != nil || !c.labels[jobLabel(strange.Instance, strange.Job)] {
		t.Errorf("it is taken for dead: %+v, %v", c, err)
	}
	if slot := freeSlot(c, tr, mine); slot != 1 {
		t.Errorf("slot %d, which may be its, is given away", slot)
	}
	if c, _ = takeCensus(tr, jobLabel(strange.Instance, strange.Job), time.Now()); c.labels[jobLabel(strange.Instance, strange.Job)] {
		t.Error("its own next attempt takes it for alive")
	}
}

func TestOfAJobThatEndedWhateverIsLeftIsReaped(t *testing.T) {
	t.Parallel()
	tr := tree(t.TempDir())
	id := identity("1", "protected", "1")
	s, err := createStore(tr.job(id), living(id, 0))
	if err != nil {
		t.Fatal(err)
	}
	if c, _ := takeCensus(tr, "another", time.Now()); len(c.living) != 1 || len(c.dead) != 0 {
		t.Errorf("while it runs: %+v", c)
	}
	if err := s.end(); err != nil {
		t.Fatal(err)
	}
	if err := s.update(func(*Record) {}); err != nil { // by a stage that the Runner gave up on
		t.Fatal(err)
	}
	if c, _ := takeCensus(tr, "another", time.Now()); len(c.living) != 0 || len(c.dead) != 1 {
		t.Errorf("once cleanup has begun: %+v", c)
	}
}

func TestTheStateDirectoryKeepsItsIdentity(t *testing.T) {
	t.Parallel()
	a, b := tree(t.TempDir()), tree(t.TempDir())
	if id, err := a.id(); id != "" || err != nil {
		t.Errorf("before the first job: %q, %v", id, err)
	}
	first, err := a.makeID()
	if err != nil || len(first) != 12 {
		t.Fatalf("%q, %v", first, err)
	}
	if again, err := a.makeID(); again != first || err != nil {
		t.Errorf("then %q, %v", again, err)
	}
	if other, _ := b.makeID(); other == first {
		t.Error("two state directories have one identity")
	}
}

func TestCrashesLeaveNothingThatALookupSees(t *testing.T) {
	t.Parallel()
	tr := tree(t.TempDir())
	dir := filepath.Join(tr.jobs(), "gitlab.example.com")
	for _, name := range []string{stagingPrefix + "1", deadPrefix + "7-1"} {
		if err := os.MkdirAll(filepath.Join(dir, name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(tr.jobs(), ".lock"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if jobs, unreadable, err := allJobs(tr); len(jobs) > 0 || len(unreadable) > 0 || err != nil {
		t.Errorf("seen: %v %v %v", jobs, unreadable, err)
	}
	sweep(tr)
	if left, _ := filepath.Glob(filepath.Join(dir, ".*")); len(left) > 0 {
		t.Errorf("left after the sweep: %v", left)
	}
}

func TestHowAJobAsAWholeEnded(t *testing.T) {
	t.Parallel()
	began := time.Now()
	failed := &Verdict{Outcome: outcome.ScriptFailed, Reason: outcome.ExitCode, Stage: "build_script"}
	for name, c := range map[string]struct {
		record Record
		killed string
		after  time.Duration
		want   outcome.Outcome
	}{
		"all stages ran":                       {Record{Finished: true}, "", time.Minute, outcome.Success},
		"all stages ran, and one more":         {Record{Finished: true}, "cleanup_file_variables", time.Minute, outcome.Success},
		"a stage failed":                       {Record{Finished: true, Failed: failed}, "", time.Minute, outcome.ScriptFailed},
		"stopped between two stages":           {Record{}, "", time.Minute, outcome.Canceled},
		"its time ended between stages":        {Record{}, "", time.Hour, outcome.TimedOut},
		"failed, and the rest left out":        {Record{Failed: failed}, "", time.Minute, outcome.ScriptFailed},
		"failed, and what came after it, died": {Record{Failed: failed}, "after_script", time.Minute, outcome.ScriptFailed},
		"the last stage was killed":            {Record{}, "cleanup_file_variables", time.Minute, outcome.Success},
		"a stage was killed":                   {Record{}, "build_script", time.Minute, outcome.SystemFailed},
		"a stage was killed late":              {Record{}, "build_script", time.Hour, outcome.SystemFailed},
	} {
		c.record.Created = began
		c.record.Lease.Deadline = began.Add(time.Hour + leaseSlack)
		if got := ended(c.record, c.killed, began.Add(c.after)); got.Outcome != c.want {
			t.Errorf("%s: %s, want %s", name, got.Outcome, c.want)
		}
	}
}
