package dashboard

import (
	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/stats"
)

// How much the lists of the overview show at most.
const (
	mostRanked   = 10
	mostProjects = 50
	mostOptions  = 200
)

// overview is the page at /.
type overview struct {
	page
	Spans   []link
	Span    string
	Options []option
	Which   which
	Empty   string // said instead of figures, if there are none
	Health  []state
	Tiles   []tile
	Charts  []chart
	Lists   []section // one beside the other
	Tables  []section
	Meters  []meter
	Terms   []term
}

// which jobs are seen.
type which struct {
	Within  string // the span, and when it began; empty for all
	Since   cell
	Project string
}

type link struct {
	Text, Href string
	Current    bool
}

type option struct {
	Value, Text string
	Chosen      bool
}

// tile is one of the headline figures.
type tile struct {
	Name, Value, Note string
	Href              string // where the note leads to
	Unknown           bool
}

type section struct {
	ID, Title, Note string
	Table           table
}

// choices are the links and the form by which a reader chooses another view.
func (o *overview) choices(v view, projects []stats.Total) {
	o.Span, o.Which.Project = v.word, clean(v.project, shortName)
	if v.Duration > 0 {
		o.Which.Within, o.Which.Since = v.name, when(v.since())
	}
	for _, s := range spans {
		o.Spans = append(o.Spans, link{s.name, address(s.word, v.project), s.word == v.word})
	}
	o.Options = []option{{"", "all projects", v.project == ""}}
	found := v.project == ""
	for _, p := range projects[:min(len(projects), mostOptions)] {
		if p.Group == "" {
			continue
		}
		found = found || p.Group == v.project
		o.Options = append(o.Options, option{p.Group, clean(p.Group, shortName), p.Group == v.project})
	}
	if !found { // by its number, or one of those with few jobs
		o.Options = append(o.Options, option{v.project, clean(v.project, shortName), true})
	}
}

func (o *overview) fill(v view, f figures) error {
	if f.total.Jobs == 0 {
		o.Empty = "The ledger has no such jobs."
		return nil
	}
	o.Tiles = tiles(f.total)
	slots, step, err := slotted(f.overTime, v.unit, v.since(), v.now)
	if err != nil {
		return err
	}
	o.Charts = []chart{hitRates(slots, v.unit, step), savings(slots, v.unit, step)}
	o.Lists = []section{
		{"reasons", "Jobs by cache reason", "Why their caches were what they were.", barTable("Jobs by cache reason", "Cache reason", f.reasons, stats.CacheReason)},
		{"outcomes", "Jobs by outcome", "How they ended.", barTable("Jobs by outcome", "Outcome", f.ends, ending)},
	}
	if v.project == "" {
		o.Tables = append(o.Tables, section{"projects", "Projects", "Those with most jobs first.", projectTable(f.projects, v)})
	}
	o.Tables = append(o.Tables,
		section{"slowest", "Slowest jobs", "Those that took longest, from their first stage to their last.", slowestTable(o.Root, f.slowest)},
		section{"coldest", "Coldest jobs", "Those that fetched and compiled most.", coldestTable(o.Root, f.coldest)})
	return nil
}

func tiles(t stats.Total) []tile {
	const nowhere = "not known of any of these jobs"
	both := t.RestoreSeconds + t.SaveSeconds
	spent := unknown
	if t.Cached > 0 {
		spent = seconds(both)
	}
	return []tile{
		tileOf("Jobs", count(t.Jobs), "", count(t.Failed)+" failed; "+count(t.Cached)+" had caches, "+count(t.Cold)+" of them cold"),
		tileOf("Module hits", percent(t.ModuleHits()), nowhere, count(t.ModulesHitHost+t.ModulesHitStore)+" of "+count(t.ModulesWanted)+" wanted; "+
			count(t.ModulesHitHost)+" from the host, "+count(t.ModulesHitStore)+" from the store"),
		tileOf("Packages not compiled", percent(t.BuildHits()), nowhere, count(t.BuildHit)+" hit, "+count(t.BuildNew)+" compiled"),
		tileOf("Tests cached", percent(t.CachedTests()), nowhere, count(t.TestsCached)+" of "+count(t.TestsOK)+" packages that go test reported ok"),
		tileOf("Time saved", savedBy(t), "no job could be compared with a cold run of the same job",
			"by "+plural(t.Compared, "job", "jobs")+": scripts and saving, against the newest cold run of the same job"),
		tileOf("Time spent on caches", spent, "no job had caches",
			seconds(both/max(float64(t.Cached), 1))+" a job; "+seconds(t.RestoreSeconds)+" to restore, "+seconds(t.SaveSeconds)+" to save"),
	}
}

// tileOf says of a figure that is not known why.
func tileOf(name, value, whyUnknown, note string) tile {
	if value == unknown {
		return tile{Name: name, Value: value, Note: whyUnknown, Unknown: true}
	}
	return tile{Name: name, Value: value, Note: note}
}

func projectTable(projects []stats.Total, v view) table {
	list := table{Caption: "Projects", Hidden: true, Columns: []column{
		{Name: "Project"},
		{Name: "Jobs", Number: true},
		{Name: "Failed", Number: true},
		{Name: "Module hits", Number: true},
		{Name: "Packages not compiled", Number: true},
		{Name: "Tests cached", Number: true},
		{Name: "Time saved", Number: true},
	}}
	for _, p := range projects[:min(len(projects), mostProjects)] {
		first := cell{Text: clean(or(p.Group, unknown), shortName)}
		if p.Group != "" {
			first.Href = address(v.word, p.Group)
		}
		list.Rows = append(list.Rows, row{
			first, text(count(p.Jobs)), text(count(p.Failed)), text(percent(p.ModuleHits())), text(percent(p.BuildHits())), text(percent(p.CachedTests())),
			text(savedBy(p)),
		})
	}
	if more := len(projects) - mostProjects; more > 0 {
		list.Note = "And " + plural(more, "project", "projects") + " with fewer jobs."
	}
	return list
}

func savedBy(t stats.Total) string {
	if t.Compared == 0 {
		return unknown
	}
	return seconds(t.SecondsSaved)
}

func slowestTable(root string, jobs []stats.Job) table {
	list := table{Caption: "Slowest jobs", Hidden: true, Columns: []column{
		{Name: "Job"}, {Name: "Ended"}, {Name: "Outcome"}, {Name: "Cache reason"}, {Name: "Took", Number: true}, {Name: "Scripts", Number: true}, {Name: "Saved", Number: true},
	}}
	for i := range jobs {
		j := &jobs[i]
		list.Rows = append(list.Rows, row{
			jobCell(root, j), when(j.Ended.Time), text(clean(or(j.Outcome, unknown), shortName)), text(clean(or(j.CacheReason, "none"), shortName)),
			text(seconds(j.Seconds)), text(secondsOf(j.ScriptSeconds)), text(secondsOf(j.SecondsSaved)),
		})
	}
	return list
}

func coldestTable(root string, jobs []stats.Job) table {
	list := table{Caption: "Coldest jobs", Hidden: true, Columns: []column{
		{Name: "Job"}, {Name: "Ended"}, {Name: "Cache reason"}, {Name: "Modules fetched", Number: true}, {Name: "Packages compiled", Number: true}, {Name: "Scripts", Number: true},
	}}
	if len(jobs) == 0 {
		list.Note = "No job is known to have fetched or compiled anything."
	}
	for i := range jobs {
		j := &jobs[i]
		list.Rows = append(list.Rows, row{
			jobCell(root, j), when(j.Ended.Time), text(clean(or(j.CacheReason, "none"), shortName)),
			text(countOf(j.ModulesMissed)), text(countOf(j.BuildNew)), text(secondsOf(j.ScriptSeconds)),
		})
	}
	return list
}
