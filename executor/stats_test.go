package executor

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/stats"
	"gitlab.com/gitlab-go-executor/gitlab-go-executor/executor/runner"
)

// statsHost is a host whose ledger somebody asks.
type statsHost struct {
	*testing.T
	dir  string
	call Call
	out  bytes.Buffer // standard output
	errs bytes.Buffer
}

func newStatsHost(t *testing.T, settings string) *statsHost {
	t.Helper()
	h := &statsHost{T: t, dir: filepath.Join(t.TempDir(), "state")}
	h.call = Call{ConfigPath: filepath.Join(filepath.Dir(h.dir), "config.toml"), Stdout: &h.out, Stderr: &h.errs}
	if err := os.WriteFile(h.call.ConfigPath, fmt.Appendf(nil, "state_dir = %q\n%s", h.dir, settings), 0o600); err != nil {
		t.Fatal(err)
	}
	return h
}

// ended adds jobs to the ledger, and makes it if there is none.
func (h *statsHost) ended(jobs ...stats.Job) {
	h.Helper()
	l, err := stats.Open(h.Context(), h.dir)
	if err != nil {
		h.Fatal(err)
	}
	for _, j := range jobs {
		if err := l.Add(h.Context(), j); err != nil {
			h.Fatal(err)
		}
	}
	if err := l.Close(); err != nil {
		h.Fatal(err)
	}
}

func (h *statsHost) stats(q Question) (out, errs string, err error) {
	h.Helper()
	h.out.Reset()
	h.errs.Reset()
	err = Stats(h.Context(), h.call, q)
	return h.out.String(), h.errs.String(), err
}

// explains checks that the explanation, or the error, says something.
func (h *statsHost) explains(job string, format Format, failed bool, says ...string) string {
	h.Helper()
	h.out.Reset()
	h.errs.Reset()
	err := Explain(h.Context(), h.call, job, format)
	text := h.out.String() + h.errs.String()
	if err != nil {
		text += err.Error()
	}
	for _, want := range says {
		if !strings.Contains(text, want) || failed != (err != nil) {
			h.Errorf("job %s: it does not say %q, but (%v)\n%s", job, want, err, text)
		}
	}
	return h.out.String()
}

func endedJob(instance, number string) stats.Job {
	return stats.Job{
		Instance: instance, Project: "7", ProjectPath: "group/app", Job: number, Name: "test", Outcome: "success", Layers: new(1), CacheReason: "exact",
		Began: stats.Time{Time: time.Now().Add(-time.Minute)}, Ended: stats.Time{Time: time.Now()}, Seconds: 60,
	}
}

func TestWithoutALedgerASentenceSaysWhy(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		settings string
		content  string // of the file
		want     string
	}{
		"no job has ended yet": {"", "", "there is no ledger of jobs in state_dir /"},
		"it is off":            {"[stats]\nmax_size = 0\n", "", "since stats.max_size in /"},
		"it is none":           {"", strings.Repeat("this is no database, ", 99), "ledger.db is damaged (move it away, with its -wal and -shm, and the next job makes a new one)"},
	} {
		h := newStatsHost(t, c.settings)
		if c.content != "" {
			if err := os.MkdirAll(h.dir, 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(h.dir, "ledger.db"), []byte(c.content), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		for _, q := range []Question{{}, {Format: JSON}, {Format: CSV, Jobs: true}} {
			if out, errs, err := h.stats(q); err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") || out+errs != "" {
				t.Errorf("%s: %q %q %v", name, out, errs, err)
			}
		}
		h.explains("1", ForPeople, true, c.want)
	}
}

func TestADamagedLedgerIsToldFromAnEmptyOne(t *testing.T) {
	t.Parallel()
	h := newStatsHost(t, "")
	for i := range 200 {
		h.ended(endedJob("gitlab.example.com", fmt.Sprint(i)))
	}
	file := filepath.Join(h.dir, "ledger.db")
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for i := 20 << 10; i < len(data); i++ { // its head is well
		data[i] = 0xff
	}
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, q := range []Question{{}, {By: "project"}, {Format: JSON, Jobs: true}} {
		if _, _, err := h.stats(q); err == nil || !strings.Contains(err.Error(), "is damaged (move it away") {
			t.Errorf("%+v: %v", q, err)
		}
	}
}

func TestOfNoJobsProgramsGetZerosAndPeopleASentence(t *testing.T) {
	t.Parallel()
	h := newStatsHost(t, "")
	h.ended()
	for _, c := range []struct {
		q         Question
		out, errs string
	}{
		{Question{}, "The ledger has no job yet.\n", ""},
		{Question{By: "project", Filter: stats.Filter{Project: "9"}}, "The ledger has no job that these flags choose.\n", ""},
		{Question{Format: JSON, Jobs: true}, "", "The ledger has no job yet.\n"},
		{Question{Format: CSV, Jobs: true}, strings.Join(stats.Columns, ",") + "\n", "The ledger has no job yet.\n"},
	} {
		if out, errs, err := h.stats(c.q); out != c.out || errs != c.errs || err != nil {
			t.Errorf("%+v: %q %q %v", c.q, out, errs, err)
		}
	}
	out, _, err := h.stats(Question{Format: JSON, By: "day"})
	var object struct {
		Total  stats.Total
		Groups []stats.Total
	}
	if failed := json.Unmarshal([]byte(out), &object); failed != nil || err != nil || object.Groups == nil || object.Total.Jobs != 0 {
		t.Errorf("%v %v: %s", err, failed, out)
	}
}

func TestALedgerThatIsOffNowIsStillShown(t *testing.T) {
	t.Parallel()
	h := newStatsHost(t, "[stats]\nmax_size = 0\n")
	h.ended(endedJob("gitlab.example.com+8443", "1"))
	out, errs, err := h.stats(Question{By: "project", Filter: stats.Filter{Instance: "gitlab.example.com:8443"}})
	if err != nil || !strings.Contains(out, "group/app") || !strings.Contains(errs, "stats.max_size is 0") {
		t.Errorf("%v\n%s%s", err, out, errs)
	}
}

func TestAJobIsFoundByItsNumberOrNot(t *testing.T) {
	t.Parallel()
	h := newStatsHost(t, "")
	h.ended(endedJob("gitlab.example.com", "1"), endedJob("gitlab.example.com", "2"), endedJob("other.example.com+8443", "2"), endedJob("gitlab.example.com", "5"))
	h.explains("1", ForPeople, false, `Job 1 "test" of group/app on gitlab.example.com`)
	h.explains("2", ForPeople, true, "several GitLabs have a job 2; say which: gitlab.example.com/2, other.example.com+8443/2")
	h.explains("other.example.com:8443/2", ForPeople, false, "on other.example.com+8443")
	h.explains("3", ForPeople, true, "the ledger has no job 3: it ran on another host")
	h.explains("other.example.com/1", ForPeople, true, "the ledger has no job other.example.com/1")
	var object struct{ Job stats.Job }
	if out := h.explains("1", JSON, false); json.Unmarshal([]byte(out), &object) != nil || object.Job.Job != "1" {
		t.Errorf("%s", out)
	}

	alive, err := newLease(h.call.ConfigPath, time.Hour, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	for number, lease := range map[string]Lease{"3": alive, "4": {}, "5": alive} {
		id := runner.Identity{Instance: "gitlab.example.com", Project: "7", Tier: "protected", Job: number}
		if _, err := createStore(tree(h.dir).job(id), Record{Identity: id, Created: time.Now(), Lease: lease}); err != nil {
			t.Fatal(err)
		}
	}
	h.explains("3", ForPeople, true, "job 3 is still running, since ")
	h.explains("gitlab.example.com/3", ForPeople, true, "job 3 is still running, since ")
	h.explains("4", ForPeople, true, "job 4 has died with its GitLab Runner; it is in the ledger when")
	h.explains("5", ForPeople, false, "job 5 is still running", "What follows is about an earlier attempt.", `Job 5 "test"`)
}
