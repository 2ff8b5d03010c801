package dashboard

import (
	"fmt"
	"net/url"
	"regexp"
	"strings"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/stats"
)

// mostNames is how many names a list of a job's page has.
const mostNames = 1000

// jobPage is the page of a job: what it was, how long its parts took, and why it was not warmer.
type jobPage struct {
	page
	Health   []state
	Lead     string
	Tiles    []tile
	Who      []term
	Cache    []term
	Phases   table
	Bases    table
	Changed  table
	Compiled names
	Refused  table
	Problems []string
	Why      string // what the changed modules and compiled packages tell, in a sentence
}

func newJobPage(j *stats.Job) jobPage {
	p := jobPage{Tiles: jobTiles(j), Who: who(j), Cache: cacheTerms(j), Phases: phases(j), Bases: bases(j), Changed: changed(j), Refused: refused(j), Compiled: compiled(j)}
	p.Heading = "Job " + clean(j.Job, shortName)
	if j.Name != "" {
		p.Heading += ": " + clean(j.Name, shortName)
	}
	p.Lead = lead(j)
	p.Health = []state{ended(j), cached(j)}
	p.Why = why(j)
	for _, problem := range j.Detail.Problems[:min(len(j.Detail.Problems), mostNames)] {
		p.Problems = append(p.Problems, clean(problem, longName))
	}
	return p
}

func lead(j *stats.Job) string {
	text := "Ended " + clock(j.Ended.Time) + " after " + seconds(j.Seconds)
	if j.SecondsSaved == nil {
		return text + "."
	}
	if *j.SecondsSaved < 0 {
		return text + ", " + seconds(-*j.SecondsSaved) + " more than its cold run."
	}
	return text + "; its caches saved it " + seconds(*j.SecondsSaved) + "."
}

func ended(j *stats.Job) state {
	s := stateOf("Outcome", clean(or(j.Outcome, unknown), shortName), j.Outcome == "success")
	if j.Reason != "" {
		s.Text += " (" + clean(j.Reason, shortName) + ")"
	}
	return s
}

// cached says how warm the job was; that it was cold is no fault of the host.
func cached(j *stats.Job) state {
	s := stateOf("Caches", clean(or(j.CacheReason, "none"), shortName), j.CacheReason == "exact")
	if s.Class == "bad" {
		s.Class, s.Mark = "unsure", "–"
	}
	return s
}

func jobTiles(j *stats.Job) []tile {
	modules, packages, tests := part(sum(j.ModulesHitHost, j.ModulesHitStore), j.ModulesWanted), part(j.BuildHit, sum(j.BuildHit, j.BuildNew)), part(j.TestsCached, j.TestsOK)
	list := []tile{
		tileOf("Module hits", percent(modules), "not counted: the host cannot, or the job had no caches",
			countOf(sum(j.ModulesHitHost, j.ModulesHitStore))+" of "+countOf(j.ModulesWanted)+" wanted; "+countOf(j.ModulesHitHost)+" from this host, "+countOf(j.ModulesHitStore)+" from the store"),
		tileOf("Packages not compiled", percent(packages), "not counted: the host cannot, or the job compiled nothing",
			countOf(j.BuildHit)+" of "+countOf(j.BuildAvailable)+" in the base hit, "+countOf(j.BuildNew)+" compiled"),
		tileOf("Tests cached", percent(tests), "no test was seen to pass", countOf(j.TestsCached)+" of "+countOf(j.TestsOK)+" packages that go test reported ok"),
		tileOf("Time saved", secondsOf(j.SecondsSaved), "there is no cold run of the same job to compare with, or one of both did not succeed",
			"scripts and saving, against job "+clean(j.ColdJob, shortName)+", which began with nothing"),
	}
	if j.SecondsSaved != nil {
		list[3].Href = jobAddress("../../", j.Instance, j.ColdJob)
	}
	return list
}

// sum of two figures is known if both are.
func sum[N int | int64](a, b *N) *N {
	if a == nil || b == nil {
		return nil
	}
	return new(*a + *b)
}

func part(hits, wanted *int) *float64 {
	if hits == nil || wanted == nil {
		return nil
	}
	return stats.Rate(int64(*hits), int64(*wanted))
}

func who(j *stats.Job) []term {
	named := func(name, value string) term {
		return term{Name: name, Cell: text(clean(or(value, unknown), longName))}
	}
	project := named("Project", or(j.ProjectPath, j.Project))
	if p := or(j.ProjectPath, j.Project); p != "" {
		project.Cell.Href = "../../" + address("all", p)
	}
	list := []term{
		named("Instance", j.Instance), project, named("Pipeline", j.Pipeline), named("Ref", strings.TrimSpace(j.RefType+" "+j.Ref)), named("Trust tier", j.Tier), named("Host", j.Host),
		named("Image", j.Image), named("Platform", j.Platform), named("Toolchain", j.Toolchain),
		{Name: "Began", Cell: when(j.Began.Time)},
		{Name: "Ended", Cell: when(j.Ended.Time)},
	}
	if page := inGitLab(j); page != "" {
		list = append(list, term{Name: "In GitLab", Cell: cell{Text: "job " + clean(j.Job, shortName), Href: page}})
	}
	if j.FailedStage != "" {
		list = append(list, named("Failed stage", j.FailedStage))
	}
	return list
}

// hostAndPort is how an instance is written, see package executor/runner; anything else would make a link to somewhere else.
var hostAndPort = regexp.MustCompile(`^([A-Za-z0-9.-]+)(?:\+([0-9]+))?$`)

// inGitLab is the address of the job in GitLab, if enough is known.
func inGitLab(j *stats.Job) string {
	instance := hostAndPort.FindStringSubmatch(j.Instance)
	if instance == nil || j.ProjectPath == "" || j.Job == "" {
		return ""
	}
	address := url.URL{Scheme: "https", Host: instance[1], Path: "/" + j.ProjectPath + "/-/jobs/" + j.Job}
	if instance[2] != "" {
		address.Host += ":" + instance[2]
	}
	return address.String()
}

func cacheTerms(j *stats.Job) []term {
	reason := text(clean(or(j.CacheReason, "none"), shortName))
	reason.Note = stats.CacheReason(j.CacheReason)
	base := cell{Text: "none", Note: "the job began with nothing"}
	switch {
	case j.BaseJob != "":
		base = cell{Text: "saved by job " + clean(j.BaseJob, shortName), Href: jobAddress("../../", j.Instance, j.BaseJob), Note: "tier " + clean(or(j.BaseTier, unknown), shortName) + ", graph " + graph(j.BaseGraph)}
	case j.Layers == nil:
		base = cell{Text: unknown, Note: "the job had no caches", Unknown: true}
	case *j.Layers > 0:
		base = cell{Text: unknown, Unknown: true}
	}
	list := []term{
		{Name: "Cache reason", Cell: reason},
		{Name: "Base", Cell: base},
		{Name: "Graph", Cell: text(graph(j.Graph))},
		{Name: "Layers", Cell: text(countOf(j.Layers))},
		{Name: "Their size", Cell: text(sizeOf(j.LayerBytes))},
		{Name: "Downloaded for it", Cell: text(sizeOf(j.DownloadedBytes))},
		{Name: "Saved", Cell: text(sizeOf(j.SavedBytes))},
		{Name: "Uploaded by it", Cell: text(sizeOf(j.UploadedBytes))},
	}
	if j.SaveReason != "" {
		list = append(list, term{Name: "Not all was saved", Cell: cell{Text: clean(j.SaveReason, shortName), Note: stats.CacheReason(j.SaveReason)}})
	}
	return list
}

// graph is the beginning of a graph hash, as log lines have it.
func graph(hash string) string { return clean(or(hash, unknown), 12) }

// why says what the two lists of a job come to. Only a job that had a base has them.
func why(j *stats.Job) string {
	switch {
	case j.Layers == nil:
		return "The job had no caches."
	case *j.Layers == 0:
		return "The job had no base, so it fetched and compiled all that it needed."
	}
	text := "The base held all of the job's modules"
	if n := len(j.Detail.Changed); n > 0 {
		text = fmt.Sprintf("The base lacked %s of the job's graph", plural(n, "module", "modules"))
	}
	switch n := len(j.Detail.Compiled); {
	case n > 0:
		text += ", and " + plural(n, "package was", "packages were") + " compiled anew"
	case j.BuildNew != nil && *j.BuildNew == 0:
		text += ", and nothing was compiled anew"
	}
	return text + "."
}
