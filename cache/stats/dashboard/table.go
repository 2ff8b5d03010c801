package dashboard

import (
	"time"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/stats"
)

// table is figures in rows. The first cell of a row says what the row is about.
type table struct {
	Caption string
	Hidden  bool // the caption is for those alone who do not see that a heading says the same
	Narrow  bool // it fits a telephone as it is
	Columns []column
	Rows    []row
	Note    string // below, such as how many rows were left out
}

type column struct {
	Name   string
	Number bool
	Bar    bool
}

type row []cell

// cell is what is shown in a row's column. What was written by others has been cleaned.
type cell struct {
	Text    string
	Note    string // in small below
	Href    string
	Time    time.Time // of which the text tells
	Bar     string    // how much of a column for bars is filled, in percent
	Unknown bool
	Whole   bool // its words are not broken
}

func text(s string) cell { return cell{Text: s, Unknown: s == unknown} }

// whole is text whose words are not broken.
func whole(s string) cell { return cell{Text: s, Whole: true} }

func when(t time.Time) cell { return cell{Text: clock(t), Time: t} }

// barTable shows how many jobs each group has.
func barTable(caption, what string, totals []stats.Total, means func(word string) string) table {
	all := 0
	for _, t := range totals {
		all += t.Jobs
	}
	list := table{Caption: caption, Hidden: true, Narrow: true, Columns: []column{{Name: what}, {Name: "Share", Bar: true}, {Name: "Jobs", Number: true}}}
	for _, t := range totals {
		share := float64(t.Jobs) / float64(all)
		list.Rows = append(list.Rows, row{
			{Text: clean(or(t.Group, "none"), shortName), Note: means(t.Group)}, {Bar: pos(share)}, {Text: count(t.Jobs), Note: percent(&share)},
		})
	}
	return list
}

// ending says what an outcome means.
func ending(outcome string) string { return "The job " + stats.Outcome(outcome) + "." }

// jobCell names a job and links to its page.
func jobCell(root string, j *stats.Job) cell {
	project := j.ProjectPath
	if project == "" {
		project = "project " + or(j.Project, unknown)
	}
	return cell{
		Text: clean(or(j.Name, "job "+j.Job), shortName),
		Note: clean(project, shortName) + " · " + clean(or(j.Ref, "no ref"), shortName) + " · " + clean(j.Job, shortName),
		Href: jobAddress(root, j.Instance, j.Job),
	}
}
