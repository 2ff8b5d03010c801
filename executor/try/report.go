package try

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"slices"
	"text/tabwriter"

	"github.com/docker/go-units"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/executor/outcome"
)

// Report is what --json prints.
type Report struct {
	Runs []Result `json:"runs"`
	// Speedup is the first run's total over the last's. It is null with one run, and when one of the two failed: how
	// fast a job failed says nothing.
	Speedup *float64 `json:"speedup"`
}

// Result is what is told of one run.
type Result struct {
	JobID int64 `json:"job_id"`
	// TotalSeconds passed from the start of config to the end of cleanup.
	TotalSeconds float64 `json:"total_seconds"`
	// Stages is the time of each stage that was called, of all its attempts.
	Stages map[string]float64 `json:"stages"`
	// ExitCode is the script's, or what GitLab Runner would report as such; null if there is none, as after a failure
	// of the host.
	ExitCode *int            `json:"exit_code"`
	Outcome  outcome.Outcome `json:"outcome"`
	Caches
}

// newReport sums up.
func newReport(runs []Result) *Report {
	r := &Report{Runs: runs}
	if len(runs) < 2 {
		return r
	}
	first, last := runs[0], runs[len(runs)-1]
	if first.Outcome == outcome.Success && last.Outcome == outcome.Success && last.TotalSeconds > 0 {
		speedup := math.Round(100*first.TotalSeconds/last.TotalSeconds) / 100
		r.Speedup = &speedup
	}
	return r
}

// failed says whether any run did not succeed.
func (r *Report) failed() bool {
	for _, run := range r.Runs {
		if run.Outcome != outcome.Success {
			return true
		}
	}
	return len(r.Runs) == 0
}

// script is the time that the job's own commands took.
func (r Result) script() float64 { return r.Stages[stageScript] + r.Stages[stageAfter] }

// order is that of the table's rows.
var order = []string{stageConfig, stagePrepare, stagePrepareFiles, stageSources, stageScript, stageAfter, stageCleanFiles, stageCleanup}

// table prints the times for people: stages as rows, runs as columns.
func (r *Report) table(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
	row := func(name string, cell func(Result) string) {
		fmt.Fprint(t, name)
		for _, run := range r.Runs {
			fmt.Fprint(t, "\t", cell(run))
		}
		fmt.Fprintln(t)
	}
	n := 0
	row("stage", func(Result) string { n++; return fmt.Sprintf("run %d", n) })
	for _, stage := range order {
		if !r.called(stage) {
			continue
		}
		row(stage, func(run Result) string {
			if s, ok := run.Stages[stage]; ok {
				return duration(s)
			}
			return "-"
		})
	}
	row("total", func(run Result) string { return duration(run.TotalSeconds) })
	row("  script", func(run Result) string { return duration(run.script()) })
	row("  overhead", func(run Result) string { return duration(run.TotalSeconds - run.script()) })
	row("outcome", func(run Result) string { return string(run.Outcome) })
	row("exit code", func(run Result) string {
		if run.ExitCode == nil {
			return "-"
		}
		return fmt.Sprint(*run.ExitCode)
	})
	if slices.ContainsFunc(r.Runs, func(run Result) bool { return run.Reason != nil }) {
		cacheRows(row)
	}
	if r.Speedup != nil {
		fmt.Fprintf(t, "speedup\t%.2f\n", *r.Speedup)
	}
	return t.Flush()
}

// cacheRows prints what the caches did.
func cacheRows(row func(name string, cell func(Result) string)) {
	row("restore", func(run Result) string { return optional(run.RestoreSeconds, duration) })
	row("to script", func(run Result) string { return optional(run.ToScriptSeconds, duration) })
	row("save", func(run Result) string { return optional(run.SaveSeconds, duration) })
	row("cache reason", func(run Result) string { return optional(run.Reason, func(s string) string { return s }) })
	row("modules hit", func(run Result) string {
		return share(less(run.Modules.Wanted, run.Modules.Missed), run.Modules.Wanted)
	})
	row("packages hit", func(run Result) string { return share(run.Build.Hit, sum(run.Build.Hit, run.Build.New)) })
	row("tests cached", func(run Result) string { return share(run.Tests.Cached, run.Tests.OK) })
	row("saved", func(run Result) string {
		return optional(run.SavedBytes, func(n int64) string { return units.BytesSize(float64(n)) })
	})
}

// called says whether any run called the stage.
func (r *Report) called(stage string) bool {
	for _, run := range r.Runs {
		if _, ok := run.Stages[stage]; ok {
			return true
		}
	}
	return false
}

// optional shows a figure that may be unknown.
func optional[T any](v *T, show func(T) string) string {
	if v == nil {
		return "-"
	}
	return show(*v)
}

// share shows a part of a whole.
func share(part, whole *int) string {
	if part == nil || whole == nil {
		return "-"
	}
	return fmt.Sprintf("%d/%d", *part, *whole)
}

func sum(a, b *int) *int {
	if a == nil || b == nil {
		return nil
	}
	return new(*a + *b)
}

func less(a, b *int) *int {
	if a == nil || b == nil {
		return nil
	}
	return new(*a - *b)
}

func duration(seconds float64) string { return fmt.Sprintf("%.2f s", seconds) }

// print writes the report: the table on standard output, or with asJSON the object there and the table on standard error.
func (r *Report) print(stdout, stderr io.Writer, asJSON bool) error {
	if !asJSON {
		return r.table(stdout)
	}
	if err := r.table(stderr); err != nil {
		return err
	}
	return json.NewEncoder(stdout).Encode(r)
}
