package dashboard

import (
	"maps"
	"slices"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/stats"
)

// The lists on a job's page.

// names are a list that may be long.
type names struct {
	Count string
	Shown []string
	More  string // how many are not shown
}

func phases(j *stats.Job) table {
	list := table{Caption: "Time of each phase", Hidden: true, Narrow: true, Columns: []column{{Name: "Phase"}, {Name: "Share", Bar: true}, {Name: "Time", Number: true}}}
	steps := []struct {
		name, note string
		seconds    *float64
	}{
		{"prefetch", "while images were pulled", j.PrefetchSeconds},
		{"lookup", "", j.LookupSeconds},
		{"download", "", j.DownloadSeconds},
		{"mount", "", j.MountSeconds},
		{"scripts", "without after_script", j.ScriptSeconds},
		{"harvest", "", j.HarvestSeconds},
		{"write", "", j.WriteSeconds},
		{"upload", "0 where serve does it", j.UploadSeconds},
	}
	most := 0.0
	for _, s := range steps {
		if s.seconds != nil {
			most = max(most, *s.seconds)
		}
	}
	for _, s := range steps {
		share := cell{}
		if s.seconds != nil && most > 0 {
			share.Bar = pos(max(*s.seconds, 0) / most)
		}
		list.Rows = append(list.Rows, row{{Text: s.name, Note: s.note}, share, text(secondsOf(s.seconds))})
	}
	return list
}

func bases(j *stats.Job) table {
	list := table{Caption: "Journals that were looked at for a base", Hidden: true, Columns: []column{
		{Name: "Kind"}, {Name: "Trust tier"}, {Name: "Entries", Number: true}, {Name: "Nearest entry"}, {Name: "Saved"}, {Name: "Found"},
	}}
	for _, b := range j.Detail.Bases[:min(len(j.Detail.Bases), mostNames)] {
		entry, saved, found := text("none"), text("never"), "nothing was ever saved there"
		if b.Entries > 0 {
			entry = cell{Text: "job " + clean(or(b.Job, unknown), shortName), Href: jobAddress("../../", j.Instance, b.Job), Note: "graph " + graph(b.Graph)}
			saved, found = text(unknown), "another graph"
			if !b.Saved.IsZero() {
				saved = when(b.Saved)
			}
			if b.Exact {
				found = "this very graph"
			}
		}
		list.Rows = append(list.Rows, row{
			text(clean(b.Kind, shortName)), text(clean(b.Tier, shortName)), text(count(b.Entries)), entry, saved, {Text: found, Note: clean(b.Problem, longName)},
		})
	}
	return list
}

func changed(j *stats.Job) table {
	list := table{Caption: "Modules that the base did not hold", Hidden: true, Columns: []column{{Name: "Module"}, {Name: "The base had"}, {Name: "The job wanted"}}}
	for _, c := range j.Detail.Changed[:min(len(j.Detail.Changed), mostNames)] {
		list.Rows = append(list.Rows, row{text(clean(c.Path, longName)), text(clean(or(c.Had, "no version"), shortName)), text(clean(c.Want, shortName))})
	}
	if more := len(j.Detail.Changed) - mostNames; more > 0 {
		list.Note = "And " + count(more) + " more."
	}
	return list
}

func compiled(j *stats.Job) names {
	all := j.Detail.Compiled
	n := names{Count: plural(len(all), "package", "packages")}
	for _, name := range all[:min(len(all), mostNames)] {
		n.Shown = append(n.Shown, clean(name, longName))
	}
	if more := len(all) - len(n.Shown); more > 0 {
		n.More = "And " + count(more) + " more."
	}
	return n
}

func refused(j *stats.Job) table {
	list := table{Caption: "Files that were not saved", Hidden: true, Narrow: true, Columns: []column{{Name: "Why"}, {Name: "Files", Number: true}}}
	for _, reason := range slices.Sorted(maps.Keys(j.Detail.Refused)) {
		list.Rows = append(list.Rows, row{text(clean(reason, longName)), text(count(j.Detail.Refused[reason]))})
	}
	return list
}
