package stats

import (
	"context"
	"iter"
)

// Slowest gives at most so many of the jobs, those that took longest first.
func (l *Ledger) Slowest(ctx context.Context, f Filter, most int) iter.Seq2[Job, error] {
	return l.ranked(ctx, f, "seconds", most)
}

// Coldest gives at most so many of the jobs: those that had to fetch and compile most, in modules and packages. A job that is known to have
// done neither, or of which that is not known, is none of them.
func (l *Ledger) Coldest(ctx context.Context, f Filter, most int) iter.Seq2[Job, error] {
	return l.ranked(ctx, f, "coalesce(modules_missed, 0) + coalesce(build_new, 0)", most)
}

// ranked gives the jobs with the greatest positive figures. The rows are chosen by their numbers, so that those of a whole ledger need not be
// sorted with their details.
func (l *Ledger) ranked(ctx context.Context, f Filter, figure string, most int) iter.Seq2[Job, error] {
	where, args := f.where()
	if where == "" {
		where = " WHERE true"
	}
	order := " ORDER BY " + figure + " DESC, ended DESC, number DESC"
	return l.list(ctx, " WHERE number IN (SELECT number FROM jobs"+where+" AND "+figure+" > 0"+order+" LIMIT ?)"+order, append(args, most))
}
