package report

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/stats"
)

// Explanation is why a job was not warmer than it was, and what that cost. Its sentences are for people; the figures are those of the job.
type Explanation struct {
	Job      stats.Job      `json:"job"`
	Ended    string         `json:"ended"`            // how, as the end of a sentence
	Caches   string         `json:"caches"`           // the cache reason in a sentence
	Saving   string         `json:"saving,omitempty"` // why not all was saved
	Base     string         `json:"base,omitempty"`   // what the job began with
	Journals []string       `json:"journals"`         // what was looked at for a base, and why it was no nearer one
	Against  Against        `json:"changed_against"`  // what Changed is a comparison with
	Changed  []stats.Change `json:"changed"`          // modules; one that was removed has no want
	Compiled []Packages     `json:"compiled"`         // by the module that they are of
	Saved    string         `json:"saved"`            // how much, against which job, or why that is not known
}

// Against says what the modules of a job's graph are compared with.
type Against string

// What it can be.
const (
	AgainstNothing Against = ""
	AgainstGraph   Against = "base_graph" // the graph that the base was saved for
	AgainstContent Against = "base"       // what the base held, since that graph is not known to this host
)

// noGraph stands for a graph where a tree has no go.mod (graphKey in package cache).
const noGraph = "none"

// Graphs knows the modules of graphs; nothing, for those that this host has not seen.
type Graphs interface {
	ModulesOf(ctx context.Context, instance, project, graph string) ([]string, error)
}

// Explain explains a job.
func Explain(ctx context.Context, graphs Graphs, j stats.Job) (Explanation, error) {
	e := Explanation{
		Job: j, Ended: stats.Outcome(j.Outcome), Caches: stats.CacheReason(j.CacheReason), Base: base(j), Journals: journals(j), Compiled: byModule(j), Saved: saved(j), Changed: []stats.Change{},
	}
	if j.SaveReason != "" {
		e.Saving = stats.CacheReason(j.SaveReason)
	}
	if j.BaseGraph == "" || j.BaseGraph == cmp.Or(j.Graph, noGraph) {
		return e, nil
	}
	had, err := graphs.ModulesOf(ctx, j.Instance, j.Project, j.BaseGraph)
	if err != nil {
		return e, err
	}
	e.Against, e.Changed = AgainstGraph, changes(had, j.Detail.Modules)
	if had == nil {
		e.Against, e.Changed = AgainstContent, append([]stats.Change{}, j.Detail.Changed...)
	}
	return e, nil
}

// changes are the differences of two graphs, by path. Of a workspace a graph may have several versions of a module.
func changes(had, want []string) []stats.Change {
	var gone, come []string
	for _, m := range had {
		if !slices.Contains(want, m) {
			gone = append(gone, m)
		}
	}
	for _, m := range want {
		if !slices.Contains(had, m) {
			come = append(come, m)
		}
	}
	all := []stats.Change{}
	for _, m := range come {
		path, version, _ := strings.Cut(m, "@")
		c := stats.Change{Path: path, Want: version}
		if i := slices.IndexFunc(gone, func(m string) bool { return strings.HasPrefix(m, path+"@") }); i >= 0 {
			_, c.Had, _ = strings.Cut(gone[i], "@")
			gone = slices.Delete(gone, i, i+1)
		}
		all = append(all, c)
	}
	for _, m := range gone {
		path, version, _ := strings.Cut(m, "@")
		all = append(all, stats.Change{Path: path, Had: version})
	}
	slices.SortStableFunc(all, func(a, b stats.Change) int { return cmp.Compare(a.Path, b.Path) })
	return all
}

// base says in a sentence what the job began with.
func base(j stats.Job) string {
	if j.Layers == nil || *j.Layers == 0 {
		return ""
	}
	mounted := counted(*j.Layers, "layer")
	if j.LayerBytes != nil {
		mounted += ", " + size(*j.LayerBytes, true)
	}
	for _, b := range j.Detail.Bases {
		if b.Entries > 0 && b.Job == j.BaseJob && b.Tier == j.BaseTier && b.Graph == j.BaseGraph {
			return fmt.Sprintf("The base is what job %s saved %s, in %s, for %s. Mounted: %s.", b.Job, before(j, b), tier(j, b), graph(j, b.Graph), mounted)
		}
	}
	return "Mounted: " + mounted + "."
}

// journals says of each journal that was looked at what was there.
func journals(j stats.Job) []string {
	all := []string{}
	for _, b := range j.Detail.Bases {
		all = append(all, fmt.Sprintf("%s, %s: %s", b.Kind, tier(j, b), journal(j, b)))
	}
	return all
}

func journal(j stats.Job, b stats.Base) string {
	var text string
	switch {
	case b.Entries == 0 && b.Problem != "":
		return "it could not be read: " + b.Problem
	case b.Entries == 0:
		return "nothing was ever saved there."
	case b.Exact:
		text = fmt.Sprintf("%s; the newest for this graph was saved by job %s, %s.", counted(b.Entries, "entry"), b.Job, before(j, b))
	default:
		text = fmt.Sprintf("nobody has saved there for this graph: %s looked at; the newest was saved by job %s, %s, for %s.",
			counted(b.Entries, "entry"), b.Job, before(j, b), graph(j, b.Graph))
	}
	if b.Problem != "" {
		text += " Not all could be read: " + b.Problem
	}
	return text
}

// tier names a tier from the job's point of view.
func tier(j stats.Job, b stats.Base) string {
	if b.Tier == j.Tier {
		return "its own tier"
	}
	return "the tier " + b.Tier
}

// graph names a graph from the job's point of view.
func graph(j stats.Job, hash string) string {
	switch hash {
	case cmp.Or(j.Graph, noGraph):
		return "this very graph"
	case noGraph:
		return "a tree without go.mod"
	}
	return "graph " + hash[:min(len(hash), 12)]
}

func before(j stats.Job, b stats.Base) string {
	if d := j.Began.Sub(b.Saved); d > 0 {
		return age(d) + " before"
	}
	return "while this one began"
}

// counted is a number with its noun.
func counted(n int, noun string) string {
	if n != 1 {
		noun = strings.TrimSuffix(noun, "y") + map[bool]string{true: "ies", false: "s"}[strings.HasSuffix(noun, "y")]
	}
	return count(n) + " " + noun
}

// saved says what the caches saved.
func saved(j stats.Job) string {
	switch {
	case j.SecondsSaved != nil:
		mine := j.Save()
		if j.ScriptSeconds != nil {
			mine += *j.ScriptSeconds
		}
		return fmt.Sprintf("%s: job %s, the newest cold run of the same job before it, took %s for its scripts with restore and save, and this one %s.",
			duration(*j.SecondsSaved), j.ColdJob, duration(*j.SecondsSaved+mine), duration(mine))
	case j.Layers == nil:
		return "nothing: it had no caches."
	case *j.Layers == 0:
		return "nothing: it was a cold run, with which later ones are compared."
	case j.Outcome != "success":
		return "not known: only jobs that succeed are compared with a cold run."
	}
	return "not known: this ledger has no cold run of the same job (its project, name and platform) before it."
}
