package report

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/stats"
)

// JSON writes the explanation as one object.
func (e Explanation) JSON(w io.Writer) error { return writeJSON(w, e, "  ") }

// Text writes the explanation for people.
func (e Explanation) Text(w io.Writer) error {
	p := &paper{bufio.NewWriter(w)}
	e.who(p)
	p.chapter("Caches: " + cmp.Or(e.Job.CacheReason, unknown))
	p.say("%s", e.Caches)
	if e.Base != "" {
		p.say("%s", e.Base)
	}
	if e.Saving != "" {
		p.say("What it made was not saved, or not all of it (%s). %s", e.Job.SaveReason, e.Saving)
	}
	if len(e.Journals) > 0 {
		p.say("Where a base was looked for:")
		p.list(e.Journals)
	}
	if e.Job.Layers != nil {
		e.modules(p)
		e.packages(p)
	}
	e.troubles(p)
	e.costs(p)
	return p.Flush()
}

// Limits of what people are told. JSON has all of it.
const (
	mostChanges = 100
	allNames    = 40 // so many packages are simply named
	fewNames    = 3  // of each module, if there are more
	mostOf      = 20 // modules
)

// paper is what people read. Every line of it is made printable.
type paper struct{ *bufio.Writer }

func (p *paper) chapter(title string) { fmt.Fprintf(p, "\n%s\n", printable(title)) }

func (p *paper) say(format string, args ...any) {
	fmt.Fprint(p, wrap(printable(fmt.Sprintf(format, args...)), "  ", "  "))
}

func (p *paper) list(lines []string) {
	for _, line := range lines {
		fmt.Fprint(p, wrap(printable(line), "    ", "      "))
	}
}

// who says who the job is, when it ran, and how it ended.
func (e Explanation) who(p *paper) {
	j := e.Job
	fmt.Fprint(p, wrap(printable(fmt.Sprintf("Job %s %q of %s on %s, %s %s, tier %s", j.Job, j.Name, cmp.Or(j.ProjectPath, "project "+j.Project), j.Instance, cmp.Or(j.RefType, "ref"), j.Ref, j.Tier)), "", "  "))
	ended := e.Ended
	if why := strings.Join(slices.DeleteFunc([]string{j.Reason, j.FailedStage}, func(s string) bool { return s == "" }), " in "); why != "" {
		ended += " (" + why + ")"
	}
	p.say("It began at %s on %s, took %s and %s.", j.Began.Format(time.DateTime), cmp.Or(j.Host, "this host"), duration(j.Seconds), ended)
	var with []string
	for _, part := range [][2]string{{"image ", j.Image}, {"platform ", j.Platform}, {"Go ", j.Toolchain}, {"graph ", j.Graph[:min(len(j.Graph), 12)]}} {
		if part[1] != "" {
			with = append(with, part[0]+part[1])
		}
	}
	if len(with) > 0 {
		p.say("With %s.", strings.Join(with, ", "))
	}
}

// modules says what was hit of the modules, and which changed.
func (e Explanation) modules(p *paper) {
	j := e.Job
	p.chapter("Modules")
	switch {
	case j.ModulesMissed == nil:
		p.say("What it used of them is not known.")
	case j.ModulesWanted == nil:
		p.say("%s fetched. Hits were not counted.", count(*j.ModulesMissed))
	default:
		p.say("%s wanted: %s hit in layers that were on the host, %s in layers from the store, %s fetched.",
			count(*j.ModulesWanted), figure(j.ModulesHitHost), figure(j.ModulesHitStore), count(*j.ModulesMissed))
	}
	switch {
	case e.Against == AgainstGraph && len(e.Changed) == 0:
		p.say("None has changed since the graph of job %s: the graphs differ in something else, such as a folder that replaces a module.", j.BaseJob)
	case e.Against == AgainstGraph:
		p.say("Changed since the graph of job %s:", j.BaseJob)
	case e.Against == AgainstContent && len(e.Changed) == 0:
		p.say("The base held all that the graph names.")
	case e.Against == AgainstContent:
		p.say("The base did not hold these of the graph (what job %s had in its own is not known to this host):", j.BaseJob)
	}
	var lines []string
	for i, c := range e.Changed {
		if i == mostChanges {
			lines = append(lines, fmt.Sprintf("and %s more", count(len(e.Changed)-i)))
			break
		}
		lines = append(lines, e.change(c))
	}
	p.list(lines)
}

func (e Explanation) change(c stats.Change) string {
	var text string
	switch {
	case c.Want == "":
		return c.Path + " " + c.Had + " removed"
	case c.Had == "":
		text = c.Path + " " + c.Want
		if e.Against == AgainstGraph {
			text += " added"
		}
	default:
		text = c.Path + " " + c.Had + " -> " + c.Want
	}
	if !isChanged(c.Path+"@"+c.Want, e.Job.Detail.Changed) {
		text += " (the base held it all the same)"
	}
	return text
}

// packages says what was hit and compiled.
func (e Explanation) packages(p *paper) {
	j := e.Job
	p.chapter("Packages")
	switch {
	case j.BuildNew == nil:
		p.say("What it used of those that were compiled is not known.")
	case j.BuildHit == nil:
		p.say("%s compiled anew. Hits were not counted.", count(*j.BuildNew))
	default:
		p.say("%s hit, of %s that the base held; %s compiled anew.", count(*j.BuildHit), figure(j.BuildAvailable), count(*j.BuildNew))
	}
	names := len(j.Detail.Compiled)
	if j.BuildNew != nil && names > 0 && names < *j.BuildNew {
		p.say("There are names for %s: a package that is compiled once more for its tests bears the same, and some bear none.", count(names))
	}
	for i, g := range e.Compiled {
		if i == mostOf && names > allNames {
			rest := 0
			for _, g := range e.Compiled[i:] {
				rest += len(g.Names)
			}
			p.list([]string{fmt.Sprintf("and %s of %s more", counted(rest, "package"), counted(len(e.Compiled)-i, "module"))})
			break
		}
		title := "of " + g.Module
		if g.Changed {
			title += ", which the base did not hold"
		}
		p.list([]string{title + ":"})
		for n, name := range g.Names {
			if n == fewNames && names > allNames {
				name = fmt.Sprintf("and %s more", count(len(g.Names)-n))
			}
			fmt.Fprintf(p, "      %s\n", printable(name))
			if n == fewNames && names > allNames {
				break
			}
		}
	}
	if slices.ContainsFunc(j.Detail.Compiled, func(name string) bool { return strings.HasPrefix(name, "/") }) {
		p.say("Programs go by their folder. Go writes the commit into them, so that each commit compiles them anew, unless it is told -buildvcs=false.")
	}
	for _, name := range slices.Sorted(maps.Keys(j.Detail.Extras)) {
		extra := j.Detail.Extras[name]
		p.say("%s: %s entries hit, of %s that the base held; %s new.", printable(name), figure(extra.Hit), figure(extra.Available), figure(extra.New))
	}
	if j.TestsOK != nil {
		p.say("%s of %s tested packages were taken from the cache of tests.", figure(j.TestsCached), count(*j.TestsOK))
	}
}

// figure is a number that may be unknown.
func figure(n *int) string {
	if n == nil {
		return unknown
	}
	return count(*n)
}

// troubles says what was refused, and what went wrong.
func (e Explanation) troubles(p *paper) {
	d := e.Job.Detail
	if len(d.Refused)+len(d.Problems) == 0 {
		return
	}
	p.chapter("Problems")
	for _, why := range slices.Sorted(maps.Keys(d.Refused)) {
		p.say("%s not taken into the caches: %s", counted(d.Refused[why], "file"), why)
	}
	for _, problem := range d.Problems {
		p.say("%s", strings.ReplaceAll(problem, "\n", "; "))
	}
}

// costs says what the caches cost and saved.
func (e Explanation) costs(p *paper) {
	j := e.Job
	p.chapter("What it cost")
	lines := [][]string{{"", "time", "bytes"}}
	for _, phase := range []struct {
		name    string
		seconds *float64
		bytes   *int64
	}{
		{"prefetch, while images were pulled", j.PrefetchSeconds, nil},
		{"lookup of the journals", j.LookupSeconds, nil},
		{"download of layers", j.DownloadSeconds, j.DownloadedBytes},
		{"mount", j.MountSeconds, nil},
		{"scripts, with the three before", j.ScriptSeconds, nil},
		{"harvest of what is new", j.HarvestSeconds, nil},
		{"write into a layer", j.WriteSeconds, j.SavedBytes},
		{"upload", j.UploadSeconds, j.UploadedBytes},
	} {
		if j.Layers == nil && phase.seconds == nil {
			continue // without caches there is none
		}
		line := []string{"  " + phase.name, unknown, ""}
		if phase.seconds != nil {
			line[1] = duration(*phase.seconds)
		}
		if phase.bytes != nil {
			line[2] = size(*phase.bytes, true)
		}
		lines = append(lines, line)
	}
	writeAligned(p, lines)
	if j.Layers != nil && j.HarvestSeconds == nil {
		p.say("It ended before its caches were saved. What it made is saved later, by the next job or by serve, and not told here.")
	}
	p.say("Saved: %s", e.Saved)
}
