package report

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/stats"
)

// bumped is a job of a feature branch that bumped one module, and what it compiled for that.
func bumped(number int) stats.Job {
	j := warm(number)
	j.Ref, j.Tier, j.CacheReason, j.Graph = "feature/x", "ref-0123456789abcdef-feature-x", "nearest", strings.Repeat("b", 64)
	j.BaseJob, j.BaseTier, j.BaseGraph = "1", "protected", strings.Repeat("a", 64)
	j.BuildNew = new(4)
	base := stats.Base{Kind: "build", Tier: "protected", Entries: 12, Job: "1", Graph: j.BaseGraph, Saved: day.Add(-38 * time.Minute)}
	of := base
	of.Kind = "modules"
	j.Detail = stats.Detail{
		Bases:    []stats.Base{{Kind: "build", Tier: j.Tier}, base, {Kind: "modules", Tier: j.Tier, Problem: "the store does not answer"}, of},
		Modules:  []string{"example.com/alpha@v1.2.0", "example.com/beta@v1.0.0", "example.com/delta@v0.1.0"},
		Changed:  []stats.Change{{Path: "example.com/alpha", Had: "v1.1.0", Want: "v1.2.0"}},
		Compiled: []string{"/builds/group/app", "example.com/alpha/x", "main of a test"},
		Refused:  map[string]int{"hash": 1, "name": 2}, Problems: []string{"layer 0123: it is gone\nand so on"},
	}
	return j
}

func explain(t *testing.T, l *stats.Ledger, j stats.Job) (Explanation, string) {
	t.Helper()
	e, err := Explain(t.Context(), l, j)
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	if err := e.Text(&out); err != nil {
		t.Fatal(err)
	}
	fits(t, out.String())
	return e, out.String()
}

func TestABumpedModuleIsExplained(t *testing.T) {
	t.Parallel()
	l := newLedger(t, warm(1), cold(2), bumped(3))
	j, err := l.Find(t.Context(), stats.Filter{Job: "3"})
	if err != nil {
		t.Fatal(err)
	}
	e, got := explain(t, l, j)
	same(t, got, `Job 3 "test" of group/app on gitlab.example.com, branch feature/x, tier
  ref-0123456789abcdef-feature-x
  It began at 2026-03-01 12:00:00 on runner-1, took 10.0s and succeeded.
  With image golang:1.26, platform linux-amd64-v1, Go go1.26.8, graph bbbbbbbbbbbb.

Caches: nearest
  Nobody had saved for this module graph yet, so the caches began with what was saved for another
  one.
  The base is what job 1 saved 38 minutes before, in the tier protected, for graph aaaaaaaaaaaa.
  Mounted: 2 layers, 84 MB.
  Where a base was looked for:
    build, its own tier: nothing was ever saved there.
    build, the tier protected: nobody has saved there for this graph: 12 entries looked at; the
      newest was saved by job 1, 38 minutes before, for graph aaaaaaaaaaaa.
    modules, its own tier: it could not be read: the store does not answer
    modules, the tier protected: nobody has saved there for this graph: 12 entries looked at; the
      newest was saved by job 1, 38 minutes before, for graph aaaaaaaaaaaa.

Modules
  10 wanted: 6 hit in layers that were on the host, 3 in layers from the store, 1 fetched.
  Changed since the graph of job 1:
    example.com/alpha v1.1.0 -> v1.2.0
    example.com/delta v0.1.0 added (the base held it all the same)

Packages
  30 hit, of 50 that the base held; 4 compiled anew.
  There are names for 3: a package that is compiled once more for its tests bears the same, and some
  bear none.
    of example.com/alpha@v1.2.0, which the base did not hold:
      example.com/alpha/x
    of the project:
      /builds/group/app
      main of a test
  Programs go by their folder. Go writes the commit into them, so that each commit compiles them
  anew, unless it is told -buildvcs=false.
  4 of 5 tested packages were taken from the cache of tests.

Problems
  1 file not taken into the caches: hash
  2 files not taken into the caches: name
  layer 0123: it is gone; and so on

What it cost
                                       time   bytes
  prefetch, while images were pulled  0.70s
  lookup of the journals              0.01s
  download of layers                  0.50s   40 MB
  mount                               0.02s
  scripts, with the three before      4.00s
  harvest of what is new              0.20s
  write into a layer                  0.05s  2.0 MB
  upload                              0.03s  1.0 MB
  Saved: 96.0s: job 2, the newest cold run of the same job before it, took 1m40s for its scripts
  with restore and save, and this one 4.28s.
`)

	var out strings.Builder
	if err := e.JSON(&out); err != nil {
		t.Fatal(err)
	}
	var object struct {
		Job     stats.Job
		Against string `json:"changed_against"`
		Changed []stats.Change
	}
	if err := json.Unmarshal([]byte(out.String()), &object); err != nil || object.Against != "base_graph" || !slices.Equal(object.Changed, e.Changed) || *object.Job.BuildNew != 4 {
		t.Errorf("%v\n%s", err, out.String())
	}
}

func TestWhyAJobWasNotWarmer(t *testing.T) {
	t.Parallel()
	l := newLedger(t, warm(1))
	with := func(change func(*stats.Job)) stats.Job {
		j := bumped(3)
		change(&j)
		return j
	}
	for name, c := range map[string]struct {
		job       stats.Job
		says, not []string
	}{
		"for this very graph": {with(func(j *stats.Job) {
			j.CacheReason, j.BaseGraph, j.Detail.Bases[1].Exact, j.Detail.Bases[1].Graph = "exact", j.Graph, true, j.Graph
		}), []string{"Caches: exact\n", "for this very graph. Mounted", "build, the tier protected: 12 entries; the newest for this graph was saved by job 1, 38 minutes before."}, []string{"hanged since", "->"}},
		"from nothing":                      {cold(3), []string{"Caches: first_run", "10 wanted: 0 hit in layers that were on the host, 0 in layers from the store, 10 fetched.", "0 hit, of 0 that the base held; 32 compiled anew.", "Saved: nothing: it was a cold run"}, []string{"base is", "names for"}},
		"in the base although added since":  {with(func(j *stats.Job) { j.BaseGraph, j.Detail.Bases[1].Graph = "none", "none" }), []string{"for a tree without go.mod. Mounted"}, nil},
		"of a graph that is not known here": {with(func(j *stats.Job) { j.BaseGraph = "c" }), []string{"did not hold these of the graph (what job 1 had in its own is not known to this host):\n    example.com/alpha v1.1.0 -> v1.2.0\n\n"}, []string{"delta", "Changed since"}},
		"neither known nor lacking":         {with(func(j *stats.Job) { j.BaseGraph, j.Detail.Changed = "c", nil }), []string{"The base held all that the graph names."}, nil},
		"with other things changed":         {with(func(j *stats.Job) { j.Detail.Modules = warm(1).Detail.Modules }), []string{"None has changed since the graph of job 1: the graphs differ in something else"}, nil},
		"without caches":                    {bare(3), []string{"of project 8 on", "took 0.50s and failed at once: its definition cannot run here (image_not_allowed in prepare).", "Caches: -\n  The job ended before anything was decided about its caches.", "Saved: nothing: it had no caches."}, []string{"Modules", "Packages", "lookup", "With", "later"}},
		"bypassed": {with(func(j *stats.Job) {
			*j = bare(3)
			j.Outcome, j.Reason, j.CacheReason, j.ScriptSeconds = "success", "", "bypassed", new(3.5)
		}), []string{"Caches: bypassed\n  The job sets GOCACHE or GOMODCACHE itself", "scripts, with the three before  3.50s"}, []string{"lookup"}},
		"killed": {with(func(j *stats.Job) {
			j.Outcome, j.Reason = "lost", "runner_gone"
			j.ModulesWanted, j.ModulesMissed, j.BuildHit, j.BuildNew, j.TestsOK, j.HarvestSeconds, j.WriteSeconds, j.SavedBytes = nil, nil, nil, nil, nil, nil, nil, nil
		}), []string{"was lost: its GitLab Runner died (runner_gone).", "What it used of them is not known.", "those that were compiled is not known", "ended before its caches were saved", "harvest of what is new                  -\n", "only jobs that succeed"}, []string{"tested packages"}},
		"without counted hits": {with(func(j *stats.Job) { j.ModulesWanted, j.BuildHit = nil, nil }), []string{"1 fetched. Hits were not counted.", "4 compiled anew. Hits were not counted."}, nil},
		"not saved":            {with(func(j *stats.Job) { j.SaveReason = "disk_full" }), []string{"not all of it (disk_full). There was too little space"}, nil},
		"journal read in part": {with(func(j *stats.Job) { j.Detail.Bases[1].Problem = "entry 7 is not signed" }), []string{"for graph aaaaaaaaaaaa. Not all could be read: entry 7 is not signed"}, nil},
		"never compared":       {with(func(*stats.Job) {}), []string{"Saved: not known: this ledger has no cold run of the same job"}, nil},
		"slower with caches":   {with(func(j *stats.Job) { j.SecondsSaved, j.ColdJob = new(-2.0), "9" }), []string{"Saved: -2.00s: job 9, the newest cold run of the same job before it, took 2.28s for"}, nil},
		"with a hostile name":  {with(func(j *stats.Job) { j.Name, j.Detail.Compiled[0], j.Detail.Changed[0].Path = hostile, hostile, hostile }), []string{`\x1b]0;title`}, nil},
	} {
		_, got := explain(t, l, c.job)
		plain := strings.Join(strings.Fields(got), " ") // sentences go over lines
		for _, text := range c.says {
			if !strings.Contains(got, text) && !strings.Contains(plain, text) {
				t.Errorf("%s: it does not say %q:\n%s", name, text, got)
			}
		}
		for _, text := range c.not {
			if strings.Contains(got, text) {
				t.Errorf("%s: it says %q:\n%s", name, text, got)
			}
		}
	}
}

func TestManyPackagesAreToldByModule(t *testing.T) {
	t.Parallel()
	j := bumped(3)
	j.BuildNew = new(160)
	j.Detail.Modules = []string{"example.com/alpha@v1.2.0", "example.com/alpha/x@v0.1.0-with-a-long-version", "golang.org/x/tools@v0.1.0"}
	j.Detail.Compiled = []string{"example.com/alpha/x/y/z", "/go-executor/modules/golang.org/x/tools@v0.1.0/cmd/stringer", "crypto/tls", "app/server"}
	for i := range 30 {
		j.Detail.Modules = append(j.Detail.Modules, fmt.Sprintf("example.org/m%02d@v1.0.0", i))
		for n := range 2 + i/29*6 {
			j.Detail.Compiled = append(j.Detail.Compiled, fmt.Sprintf("example.org/m%02d/p%d", i, n))
		}
	}
	for i := range 80 {
		j.Detail.Compiled = append(j.Detail.Compiled, fmt.Sprintf("example.com/alpha/p%02d", i))
	}
	e, got := explain(t, newLedger(t), j)
	of := map[string]string{}
	for _, g := range e.Compiled {
		for _, name := range g.Names {
			of[name] = g.Module
		}
	}
	for name, want := range map[string]string{
		"example.com/alpha/p00": "example.com/alpha@v1.2.0", "example.com/alpha/x/y/z": "example.com/alpha/x@v0.1.0-with-a-long-version", "crypto/tls": ofStandard, "app/server": ofProject,
		"/go-executor/modules/golang.org/x/tools@v0.1.0/cmd/stringer": "golang.org/x/tools@v0.1.0",
	} {
		if of[name] != want {
			t.Errorf("%s is of %q, want %q", name, of[name], want)
		}
	}
	for _, want := range []string{
		"    of example.com/alpha@v1.2.0, which the base did not hold:\n      example.com/alpha/p00\n", "      example.com/alpha/p02\n      and 77 more\n    of the project:\n",
		"and 34 packages of 15 modules more\n", "There are names for 150",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("it does not say %q:\n%s", want, got)
		}
	}
	if n := strings.Count(got, "\n"); n > 120 {
		t.Errorf("%d lines:\n%s", n, got)
	}
}

func TestWhatChangesBetweenGraphs(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ had, want, changes string }{
		{"a@v1 b@v1", "a@v1 b@v1", ""},
		{"a@v1 b@v1", "a@v2 b@v1", "a v1>v2"},
		{"b@v1 c@v1", "a@v1 b@v1", "a >v1, c v1>"},
		{"a@v1 a/b@v1", "a@v2 a/b@v1", "a v1>v2"},
		{"a@v1 a@v2", "a@v2 a@v3", "a v1>v3"}, // of a workspace
		{"a@v1", "a@v1 a@v2", "a >v2"},
		{"", "a@v1", "a >v1"},
	} {
		var got []string
		for _, change := range changes(strings.Fields(c.had), strings.Fields(c.want)) {
			got = append(got, change.Path+" "+change.Had+">"+change.Want)
		}
		if strings.Join(got, ", ") != c.changes {
			t.Errorf("from %s to %s: %v, want %s", c.had, c.want, got, c.changes)
		}
	}
}

func TestMoments(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 4, 1, 12, 30, 15, 0, time.FixedZone("here", 2*3600))
	for text, want := range map[string]string{
		"168h": "2026-03-25 12:30:15", "7d": "2026-03-25 12:30:15", "31d": "2026-03-01 12:30:15", "90m": "2026-04-01 11:00:15",
		"2026-03-01": "2026-03-01 00:00:00", "2026-03-01 15:04": "2026-03-01 15:04:00", "2026-03-01T15:04": "2026-03-01 15:04:00",
		"": "", "0h": "", "-1h": "", "-7d": "", "0d": "", "7": "", "d": "", "yesterday": "", "2026-02-30": "", "1e9d": "", "99999999d": "",
	} {
		at, err := Moment(text, now)
		switch {
		case want == "" && (err == nil || !strings.Contains(err.Error(), "168h, 7d")):
			t.Errorf("%q: %v, %v", text, at, err)
		case want != "" && (err != nil || at.Format(time.DateTime) != want || at.Location() != now.Location()):
			t.Errorf("%q: %v (%v), want %s", text, at, err, want)
		}
	}
}
