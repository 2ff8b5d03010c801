package stats

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"slices"
	"strings"
	"time"
)

// Filter chooses jobs. A zero field chooses all.
type Filter struct {
	Since, Until time.Time // by when they ended; Until is not part of it
	Instance     string
	Project      string // number or path
	Job          string // number
}

func (f Filter) where() (clause string, args []any) {
	var parts []string
	add := func(part string, values ...any) { parts, args = append(parts, part), append(args, values...) }
	if !f.Since.IsZero() {
		add("ended >= ?", f.Since.UnixMilli())
	}
	if !f.Until.IsZero() {
		add("ended < ?", f.Until.UnixMilli())
	}
	if f.Instance != "" {
		add("instance = ?", f.Instance)
	}
	if f.Project != "" {
		add("(project = ? OR project_path = ?)", f.Project, f.Project)
	}
	if f.Job != "" {
		add("job = ?", f.Job)
	}
	if len(parts) == 0 {
		return "", nil
	}
	return " WHERE " + strings.Join(parts, " AND "), args
}

// jobsAtOnce is how many jobs are read in one step. A step ends before its jobs are used: as long as somebody reads, SQLite cannot take back
// what the ledger's log has grown by.
const jobsAtOnce = 100

// Jobs gives jobs, those that ended first at first. The ledger may be written meanwhile; a job whose attempt is replaced then may come twice.
func (l *Ledger) Jobs(ctx context.Context, f Filter) iter.Seq2[Job, error] {
	return func(yield func(Job, error) bool) {
		where, args := f.where()
		clause, values := where, args
		for {
			jobs, numbers, err := l.read(ctx, clause+" ORDER BY ended, number LIMIT ?", append(values, jobsAtOnce))
			if !each(jobs, err, yield) || len(jobs) < jobsAtOnce {
				return
			}
			last := len(jobs) - 1
			clause, values = and(where, "(ended, number) > (?, ?)"), append(slices.Clone(args), jobs[last].Ended.UnixMilli(), numbers[last])
		}
	}
}

// each gives jobs, or why there are none, and says whether more are wanted.
func each(jobs []Job, err error, yield func(Job, error) bool) bool {
	if err != nil {
		yield(Job{}, err)
		return false
	}
	for _, j := range jobs {
		if !yield(j, nil) {
			return false
		}
	}
	return true
}

// and adds a condition to a clause.
func and(where, condition string) string {
	if where == "" {
		return " WHERE " + condition
	}
	return where + " AND " + condition
}

// Newest gives at most so many of the jobs, the newest first.
func (l *Ledger) Newest(ctx context.Context, f Filter, most int) iter.Seq2[Job, error] {
	where, args := f.where()
	return l.list(ctx, where+" ORDER BY ended DESC, number DESC LIMIT ?", append(args, most))
}

// list gives the few jobs that clauses choose.
func (l *Ledger) list(ctx context.Context, clauses string, args []any) iter.Seq2[Job, error] {
	return func(yield func(Job, error) bool) {
		jobs, _, err := l.read(ctx, clauses, args)
		each(jobs, err, yield)
	}
}

// read gives the jobs that clauses choose, and their numbers.
func (l *Ledger) read(ctx context.Context, clauses string, args []any) (jobs []Job, numbers []int64, err error) {
	rows, err := l.db.QueryContext(ctx, "SELECT number, "+columnList+" FROM jobs"+clauses, args...)
	if err != nil {
		return nil, nil, l.failed(err)
	}
	defer rows.Close()
	for rows.Next() {
		var j Job
		var number int64
		if err := rows.Scan(append([]any{&number}, j.Fields()...)...); err != nil {
			return nil, nil, l.failed(err)
		}
		jobs, numbers = append(jobs, j), append(numbers, number)
	}
	if err := rows.Err(); err != nil {
		return nil, nil, l.failed(err)
	}
	return jobs, numbers, nil
}

// Find gives the newest job of a number. If there is none the error is fs.ErrNotExist.
func (l *Ledger) Find(ctx context.Context, f Filter) (Job, error) {
	for j, err := range l.Newest(ctx, f, 1) {
		return j, err
	}
	return Job{}, fmt.Errorf("the ledger %s has no such job: %w", l.path, fs.ErrNotExist)
}

// ModulesOf gives the modules of a project's graph, if any job of it is known.
func (l *Ledger) ModulesOf(ctx context.Context, instance, project, graph string) ([]string, error) {
	var d Detail
	err := l.db.QueryRowContext(ctx, "SELECT detail FROM jobs WHERE instance = ? AND project = ? AND graph = ? ORDER BY ended DESC LIMIT 1", instance, project, graph).Scan(&d)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, l.failed(err)
	}
	return d.Modules, nil
}
