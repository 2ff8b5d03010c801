//go:build faults

package stats

import (
	"slices"
	"strings"
	"testing"
	"time"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/faulttest"
)

// fill has a ledger hold so many jobs, one a minute, of a hundred projects with ten jobs each. Their rows are made by SQLite itself.
func (l *Ledger) fill(t *testing.T, from, to int) {
	t.Helper()
	l.add(t, cold(1, 60))
	values := slices.Clone(Columns)
	for i, column := range Columns {
		switch column {
		case "job":
			values[i] = "'x' || n"
		case "project":
			values[i] = "'p' || (n % 100)"
		case "name":
			values[i] = "'job ' || (n / 100 % 10)"
		case "layers":
			values[i] = "n % 2"
		case "began", "ended":
			values[i] = column + " - n * 60000"
		}
	}
	_, err := l.db.ExecContext(t.Context(), `WITH RECURSIVE numbers (n) AS (VALUES (?) UNION ALL SELECT n + 1 FROM numbers WHERE n < ?)
		INSERT INTO jobs (`+columnList+") SELECT "+strings.Join(values, ", ")+" FROM (SELECT * FROM jobs WHERE job = '1'), numbers", from+1, to)
	if err == nil {
		err = l.setMark(t.Context(), "metrics", int64(to))
	}
	if err != nil {
		t.Fatal(err)
	}
}

// TestFaultALedgerOfAMillionJobsIsWrittenAndAskedAsASmallOneIs is about a ledger with max_size = 0; by default one has some three hundred thousand.
func TestFaultALedgerOfAMillionJobsIsWrittenAndAskedAsASmallOneIs(t *testing.T) {
	l := newLedger(t)
	small, there := map[string]time.Duration{}, 0
	for _, jobs := range []int{1000, 10_000, faulttest.Times(t, 1_000_000)} {
		l.fill(t, there, jobs)
		there = jobs
		size, err := l.Size()
		if err != nil {
			t.Fatal(err)
		}
		faulttest.Progress(t, "%7d jobs, %d MB", jobs, size>>20)
		newest := row(1).Ended.Time
		week := Filter{Since: newest.Add(-12 * time.Hour)}
		for _, step := range []struct {
			what string
			flat bool // else it grows with the jobs
			do   func() error
		}{
			{"a job's row", true, func() error { return l.Add(t.Context(), row(2)) }},
			{"what serve counts", true, func() error { return l.Follow(t.Context(), "metrics", func(Job) error { return nil }) }},
			{"the newest jobs", true, func() error {
				for _, err := range l.Newest(t.Context(), Filter{}, 100) {
					if err != nil {
						return err
					}
				}
				return nil
			}},
			{"stats explain", true, func() error { _, err := l.Find(t.Context(), Filter{Instance: row(1).Instance, Job: "x7"}); return err }},
			{"stats of some hours", true, func() error { _, err := l.Totals(t.Context(), week, "project"); return err }},
			{"stats of all", false, func() error { _, err := l.Totals(t.Context(), Filter{}, "project"); return err }},
		} {
			took, times := time.Hour, 1
			if step.flat {
				times = 5 // the machine may be busy
			}
			for range times {
				began := time.Now()
				if err := step.do(); err != nil {
					t.Fatalf("%s: %v", step.what, err)
				}
				took = min(took, time.Since(began))
			}
			faulttest.Progress(t, "%7d jobs: %-20s %8.2f ms", jobs, step.what, float64(took.Microseconds())/1000)
			switch before, known := small[step.what]; {
			case !known:
				small[step.what] = took
			case step.flat && took > 3*before+100*time.Millisecond:
				t.Errorf("%s takes %s of %d jobs, %s of 1000", step.what, took, jobs, before)
			case took > 5*time.Minute:
				t.Errorf("%s takes %s of %d jobs", step.what, took, jobs)
			}
		}
	}
}
