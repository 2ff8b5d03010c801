//go:build faults

package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/faulttest"
)

// What a storm is.
const (
	stormJobs   = 200
	stormAtOnce = 6
)

// storm is a host whose jobs are stopped in every way, and what is known of each.
type storm struct {
	*goHost
	watch *watch
	mu    sync.Mutex
	ended []stormJob
}

func TestFaultAStormOfCancelsLeavesNothing(t *testing.T) {
	t.Parallel()
	s := &storm{goHost: newGoHost(t, `stop_timeout = "1s"`)}
	s.patience = patience
	s.ran(withoutC(s.goJob(stormScript...)).timeout(1800)) // it compiles the standard library
	s.prune()
	before := s.snapshot()
	s.watch = s.watchContainers()

	began := time.Now()
	chance := faulttest.Rand(t)
	var group errgroup.Group
	group.SetLimit(stormAtOnce)
	var done atomic.Int64
	n := faulttest.Times(t, stormJobs)
	for range n {
		j := s.draw(chance)
		group.Go(func() error {
			s.ride(j)
			if so := done.Add(1); so%20 == 0 {
				faulttest.Progress(t, "%d of %d jobs, %s", so, n, time.Since(began).Round(time.Second))
			}
			return nil
		})
	}
	_ = group.Wait() // it has no errors: jobs tell t
	faulttest.Progress(t, "%d jobs, %d at once, took %s: %s", n, stormAtOnce, time.Since(began).Round(time.Second), s.tally())

	after := withoutC(s.goJob(append(slices.Clone(stormScript), "go run .")...))
	r, f := s.ran(after)
	s.says(r, "v1.0.0 5\n")
	compiled := without(s.compiledBy(after), []string{"/builds/group/project"}) // go run links it
	if f.Reason != "exact" || f.Missed != 0 || f.Cached != 1 || len(compiled) > 0 {
		t.Errorf("a job after the storm: %s; compiled %q", f, compiled)
	}
	s.prune()
	if now := s.snapshot(); !slices.Equal(now, before) {
		t.Errorf("left by the storm:\n%s\ngone:\n%s", strings.Join(without(now, before), "\n"), strings.Join(without(before, now), "\n"))
	}
	s.watch.allGone()
	s.accounts(append(s.ended, stormJob{job: after, way: "by itself", result: &r}))
}

func without(all, some []string) []string {
	return slices.DeleteFunc(slices.Clone(all), func(s string) bool { return slices.Contains(some, s) })
}

// ride runs a job and ends it in its way. A job whose Runner lives on has to clean up after itself.
func (s *storm) ride(j stormJob) {
	run := s.start(j.job)
	j.moment.await(run)
	if j.way == "killed" {
		run.killFamily()
		j.recorded = s.hasRecord(j.job)
	} else {
		if signal, ok := stormSignals[j.way]; ok {
			_ = run.cmd.Process.Signal(signal) // it may have ended
		}
		r := run.wait()
		j.result = &r
		for _, what := range s.leftOf(j.job) {
			s.t.Errorf("%s left behind %s\n%s", j, what, r.Log)
		}
	}
	s.mu.Lock()
	s.ended = append(s.ended, j)
	s.mu.Unlock()
}

func (h *host) hasRecord(j job) bool {
	_, err := os.Stat(filepath.Join(h.StateDir, "jobs", h.instance, fmtID(j), "record.json"))
	return err == nil
}

// tally says how many jobs ended in each way.
func (s *storm) tally() string {
	count := map[string]int{}
	for _, j := range s.ended {
		word := "killed"
		if j.result != nil {
			word = strings.TrimSpace(j.result.State + " " + j.result.FailureReason)
		}
		count[j.way+" → "+word]++
	}
	var words []string
	for word, n := range count {
		words = append(words, fmt.Sprintf("%s: %d", word, n))
	}
	slices.Sort(words)
	return strings.Join(words, ", ")
}

// outcomes are those that the ledger may have of a job that was stopped in a way. It may have ended before, and which of its
// own time and a cancel stopped it is told by a clock that starts later than the Runner's (timeoutGrace).
var outcomes = map[string][]string{
	"by itself": {"success"},
	"canceled":  {"canceled", "success"},
	"aborted":   {"canceled", "success"},
	"stopped":   {"canceled", "success"},
	"timeout":   {"timed_out", "canceled", "success"},
	"killed":    {"lost", "canceled", "success"}, // canceled: a stage whose Runner is gone
}

// accounts checks that the ledger has each job once, with an outcome that fits. Jobs that had no record yet are not known to anybody.
func (s *storm) accounts(jobs []stormJob) {
	rows := s.rows()
	begun := s.prepared()
	missing := 0
	for _, j := range jobs {
		row, ok := rows[fmtID(j.job)]
		if !ok {
			missing++
			if j.recorded || j.result != nil && (begun[fmtID(j.job)] || j.result.State == "success") {
				s.t.Errorf("%s is not in the ledger", j)
			}
			continue
		}
		if word := row.word("outcome"); !slices.Contains(outcomes[j.way], word) || j.result != nil && j.result.State == "success" && word != "success" {
			s.t.Errorf("%s: in the ledger as %s %s in %s", j, word, row.word("reason"), row.word("failed_stage"))
		}
	}
	faulttest.Progress(s.t, "the ledger has %d rows; %d jobs were stopped before they were prepared", len(rows), missing)
	if known := len(jobs) - missing + 1; len(rows) != known { // and the one before the storm
		s.t.Errorf("the ledger has %d rows of %d jobs", len(rows), known)
	}
}

// prepared are the jobs whose prepare has said something to the operator.
func (h *host) prepared() map[string]bool {
	h.t.Helper()
	found := map[string]bool{}
	for line := range strings.Lines(h.operatorLog()) {
		if _, rest, ok := strings.Cut(line, `"job":"`); ok && strings.Contains(line, `"stage":"prepare"`) {
			id, _, _ := strings.Cut(rest, `"`)
			found[id] = true
		}
	}
	return found
}
