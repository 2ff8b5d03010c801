package dashboard

import (
	"cmp"
	"context"
	"iter"
	"maps"
	"slices"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/stats"
)

// figures are what the ledger says about a view.
type figures struct {
	total            stats.Total
	overTime         []stats.Total // by hour or day, the oldest first
	reasons, ends    []stats.Total // most jobs first
	projects         []stats.Total // likewise; of all, whichever is chosen
	slowest, coldest []stats.Job
}

// ask reads a full ledger, which is a hundred thousand jobs, as seldom as it can.
func ask(ctx context.Context, l *stats.Ledger, v view) (figures, error) {
	var f figures
	filter := v.filter()
	crossed, err := l.Crossed(ctx, filter, v.unit, "cache_reason", "outcome", "project")
	if err != nil {
		return f, err
	}
	for _, c := range crossed {
		f.total.Add(c.Total)
	}
	f.overTime, f.reasons, f.ends, f.projects = grouped(crossed, 0), byJobs(grouped(crossed, 1)), byJobs(grouped(crossed, 2)), byJobs(grouped(crossed, 3))
	if v.project != "" {
		if f.projects, err = l.Totals(ctx, stats.Filter{Since: filter.Since}, "project"); err != nil {
			return f, err
		}
		byJobs(f.projects)
	}
	if f.slowest, err = collect(l.Slowest(ctx, filter, mostRanked)); err != nil {
		return f, err
	}
	f.coldest, err = collect(l.Coldest(ctx, filter, mostRanked))
	return f, err
}

// grouped adds up totals by one of the kinds that they were crossed by, in the order of the groups' names.
func grouped(crossed []stats.Crossed, kind int) []stats.Total {
	groups := map[string]stats.Total{}
	for _, c := range crossed {
		t := groups[c.Groups[kind]]
		t.Group = c.Groups[kind]
		t.Add(c.Total)
		groups[t.Group] = t
	}
	return slices.SortedFunc(maps.Values(groups), func(a, b stats.Total) int { return cmp.Compare(a.Group, b.Group) })
}

// byJobs sorts those with most jobs first.
func byJobs(totals []stats.Total) []stats.Total {
	slices.SortStableFunc(totals, func(a, b stats.Total) int { return cmp.Compare(b.Jobs, a.Jobs) })
	return totals
}

func collect(found iter.Seq2[stats.Job, error]) (jobs []stats.Job, err error) {
	for j, err := range found {
		if err != nil {
			return nil, err
		}
		jobs = append(jobs, j)
	}
	return jobs, nil
}
