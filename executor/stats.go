package executor

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/stats"
	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/stats/report"
	"gitlab.com/gitlab-go-executor/gitlab-go-executor/executor/settings"
)

// Format is how the ledger is shown.
type Format string

// The formats.
const (
	ForPeople Format = ""
	JSON      Format = "json"
	CSV       Format = "csv"
)

// Question is what Stats answers.
type Question struct {
	Filter stats.Filter
	By     string // what totals are grouped by
	Jobs   bool   // each job instead of totals; not for people
	Format Format
}

// Stats shows what the jobs of this host come to. If there are none a program gets zeros, and people a sentence.
func Stats(ctx context.Context, call Call, q Question) error {
	l, _, err := openLedger(ctx, call)
	if err != nil {
		return err
	}
	defer l.Close()
	q.Filter.Instance = instanceName(q.Filter.Instance)
	jobs, err := show(ctx, call.Stdout, l, q)
	if err != nil || jobs > 0 {
		return ledgerError(err)
	}
	none, out := "The ledger has no job yet.", call.Stdout
	if q.Filter != (stats.Filter{}) {
		none = "The ledger has no job that these flags choose."
	}
	if q.Format != ForPeople {
		out = call.Stderr
	}
	fmt.Fprintln(out, none)
	return nil
}

// show answers a question, and says how many jobs the answer is about. People are shown no table of none.
func show(ctx context.Context, w io.Writer, l *stats.Ledger, q Question) (jobs int, err error) {
	switch {
	case q.Jobs && q.Format == JSON:
		return report.JobsJSON(ctx, w, l, q.Filter)
	case q.Jobs:
		return report.JobsCSV(ctx, w, l, q.Filter)
	}
	totals, err := report.Count(ctx, l, q.Filter, q.By)
	switch {
	case err != nil:
	case q.Format == JSON:
		err = totals.JSON(w)
	case q.Format == CSV:
		err = totals.CSV(w)
	case totals.All.Jobs > 0:
		err = totals.Table(w)
	}
	return totals.All.Jobs, err
}

// Explain shows why a job was not warmer, and what that cost. The job is its number, or INSTANCE/NUMBER.
func Explain(ctx context.Context, call Call, name string, format Format) error {
	instance, number, found := strings.Cut(name, "/")
	if !found {
		instance, number = "", name
	}
	instance = instanceName(instance)
	l, t, err := openLedger(ctx, call)
	if err != nil {
		return err
	}
	defer l.Close()
	ended, err := endedJobs(ctx, l, stats.Filter{Instance: instance, Job: number})
	if err != nil {
		return err
	}
	unfinished, err := unfinishedJobs(t, instance, number)
	if err != nil {
		return err
	}
	if err := oneInstance(ended, unfinished, number); err != nil {
		return err
	}
	if len(unfinished) > 0 {
		err := errors.New(tellUnfinished(unfinished[0], time.Now()))
		if len(ended) == 0 {
			return err
		}
		fmt.Fprintf(call.Stderr, "%v. What follows is about an earlier attempt.\n", err)
	}
	if len(ended) == 0 {
		return fmt.Errorf("the ledger has no job %s: it ran on another host, before there was a ledger, or so long ago that it was dropped (stats.max_size)", name)
	}
	explained, err := report.Explain(ctx, l, ended[0])
	switch {
	case err != nil:
		return ledgerError(err)
	case format == JSON:
		return explained.JSON(call.Stdout)
	}
	return explained.Text(call.Stdout)
}

// endedJobs are the jobs of a number; of each GitLab there is one at most.
func endedJobs(ctx context.Context, l *stats.Ledger, f stats.Filter) (jobs []stats.Job, err error) {
	for j, err := range l.Jobs(ctx, f) {
		if err != nil {
			return nil, ledgerError(err)
		}
		jobs = append(jobs, j)
	}
	return jobs, nil
}

// unfinishedJobs are those that have a record: it goes with cleanup, or when the job is reaped.
func unfinishedJobs(t tree, instance, number string) (found []*store, err error) {
	jobs, _, err := allJobs(t)
	for _, s := range jobs {
		if id := s.get().Identity; id.Job == number && (instance == "" || id.Instance == instance) {
			found = append(found, s)
		}
	}
	return found, err
}

// oneInstance is an error if several GitLabs have a job of the number.
func oneInstance(ended []stats.Job, unfinished []*store, number string) error {
	var names []string
	for _, j := range ended {
		names = append(names, j.Instance+"/"+number)
	}
	for _, s := range unfinished {
		names = append(names, s.get().Identity.Instance+"/"+number)
	}
	slices.Sort(names)
	if names = slices.Compact(names); len(names) > 1 {
		return fmt.Errorf("several GitLabs have a job %s; say which: %s", number, strings.Join(names, ", "))
	}
	return nil
}

func tellUnfinished(s *store, now time.Time) string {
	r := s.get()
	if !s.ended() && r.Lease.alive(now) {
		return fmt.Sprintf("job %s is still running, since %s; it is in the ledger when it has ended", r.Identity.Job, r.Created.Format(time.DateTime))
	}
	return fmt.Sprintf("job %s has died with its GitLab Runner; it is in the ledger when the next job of this host is prepared, or by serve or prune", r.Identity.Job)
}

// openLedger opens the ledger that the settings name, to read it.
func openLedger(ctx context.Context, call Call) (*stats.Ledger, tree, error) {
	s, err := settings.Load(call.ConfigPath)
	if err != nil {
		return nil, "", ledgerError(err)
	}
	t := tree(filepath.Clean(s.StateDir))
	l, err := stats.OpenToRead(ctx, string(t))
	switch {
	case err == nil && s.Stats.MaxSize == 0:
		fmt.Fprintln(call.Stderr, "NOTE: jobs are not added to the ledger any more, since stats.max_size is 0.")
	case errors.Is(err, fs.ErrNotExist) && s.Stats.MaxSize == 0:
		return nil, "", fmt.Errorf("there is no ledger of jobs, since stats.max_size in %s is 0: set it to a size such as \"256m\", and jobs that end from then on are counted", call.ConfigPath)
	case errors.Is(err, fs.ErrNotExist):
		return nil, "", fmt.Errorf("there is no ledger of jobs in state_dir %s yet: the first job that ends makes it", t)
	}
	return l, t, ledgerError(err)
}

// ledgerError tells people what to do.
func ledgerError(err error) error {
	if errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("only root may read the ledger, which tells of private projects; run this with sudo: %w", err)
	}
	return err
}

// instanceName is how the ledger writes a GitLab's host and port (see runner.Identity).
func instanceName(s string) string { return strings.ReplaceAll(s, ":", "+") }
