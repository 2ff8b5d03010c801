// Package report shows the ledger to people, as tables and sentences, and to programs, as JSON and CSV.
package report

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"strings"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/stats"
)

// Totals are what some jobs come to, by group and in all.
type Totals struct {
	By     string
	Groups []stats.Total // none if By is empty
	All    stats.Total
}

// Count adds up the jobs that a filter chooses by group; by "" there is only the total of all.
func Count(ctx context.Context, l *stats.Ledger, f stats.Filter, by string) (Totals, error) {
	groups, err := l.Totals(ctx, f, by)
	t := Totals{By: by}
	for _, group := range groups { // and not asked for: jobs may have ended meanwhile
		t.All.Add(group)
	}
	if by != "" {
		t.Groups = groups
	}
	return t, err
}

// column is one of the table's.
type column struct {
	head [2]string // two lines
	cell func(stats.Total) string
}

// columns of the table, all but the group's.
var tableColumns = []column{
	{[2]string{"", "jobs"}, func(t stats.Total) string { return count(t.Jobs) }},
	{[2]string{"", "failed"}, func(t stats.Total) string { return count(t.Failed) }},
	{[2]string{"", "cold"}, func(t stats.Total) string { return ifKnown(count(t.Cold), t.Cached) }},
	{[2]string{"modules", "hit"}, func(t stats.Total) string { return percent(t.ModuleHits()) }},
	{[2]string{"build", "hit"}, func(t stats.Total) string { return percent(t.BuildHits()) }},
	{[2]string{"tests", "cached"}, func(t stats.Total) string { return percent(t.CachedTests()) }},
	{[2]string{"time", "saved"}, func(t stats.Total) string { return ifKnown(duration(t.SecondsSaved), t.Compared) }},
	{[2]string{"restore", "per job"}, func(t stats.Total) string { return each(t.RestoreSeconds, t.Restored) }},
	{[2]string{"save", "per job"}, func(t stats.Total) string { return each(t.SaveSeconds, t.Saved) }},
	{[2]string{"down-", "loaded"}, func(t stats.Total) string { return size(t.DownloadedBytes, t.Restored > 0) }},
	{[2]string{"up-", "loaded"}, func(t stats.Total) string { return size(t.UploadedBytes, t.Saved > 0) }},
}

// ifKnown is a figure that is known of so many jobs.
func ifKnown(figure string, jobs int) string {
	if jobs == 0 {
		return unknown
	}
	return figure
}

// leastGroup is what the names of groups get however wide the figures are.
const leastGroup = 8

// Table writes the totals for people.
func (t Totals) Table(w io.Writer) error {
	lines := make([][]string, 2, len(t.Groups)+3)
	for i := range lines {
		lines[i] = []string{""}
		for _, c := range tableColumns {
			lines[i] = append(lines[i], c.head[i])
		}
	}
	lines[1][0] = t.By
	line := func(name string, total stats.Total) {
		cells := []string{name}
		for _, c := range tableColumns {
			cells = append(cells, c.cell(total))
		}
		lines = append(lines, cells)
	}
	for _, group := range t.Groups {
		name := printable(group.Group)
		if name == "" {
			name = unknown
		}
		line(name, group)
	}
	line("total", t.All)
	out := bufio.NewWriter(w)
	writeAligned(out, lines)
	fmt.Fprint(out, "\n", wrap(t.explanation(), "", ""))
	return out.Flush()
}

// writeAligned writes cells, the first of each line to the left, the others to the right.
func writeAligned(w io.Writer, lines [][]string) {
	widths := make([]int, len(lines[0]))
	for _, cells := range lines {
		for i, cell := range cells {
			widths[i] = max(widths[i], columns(cell))
		}
	}
	rest, gap := pageWidth, 2
	for _, width := range widths[1:] {
		rest -= width + 1
	}
	if widths[0]+len(widths)-1 > rest {
		gap = 1
	}
	widths[0] = min(widths[0], max(rest, leastGroup))
	for _, cells := range lines {
		line := padRight(fit(cells[0], widths[0]), widths[0])
		for i, cell := range cells[1:] {
			line += padLeft(cell, widths[i+1]+gap)
		}
		fmt.Fprintln(w, strings.TrimRight(line, " "))
	}
}

// explanation says what "saved" means.
func (t Totals) explanation() string {
	text := "Time saved is what the newest cold run of the same job (its project, name and platform) took longer for its scripts with restore and save. "
	switch t.All.Compared {
	case 0:
		return text + "None of these jobs could be compared."
	case t.All.Jobs:
		return text + "All of these jobs were compared."
	}
	return text + fmt.Sprintf("%s of these %s jobs could be compared: those that succeeded, and of which a cold run is known.", count(t.All.Compared), count(t.All.Jobs))
}
