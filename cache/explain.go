package cache

import (
	"cmp"
	"slices"
	"strings"

	"golang.org/x/mod/semver"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/stats"
)

// What is kept of a restore so that people can be told why it was not warmer.

// noteBase keeps what was found in a journal: the entry for the job's graph, or else the newest one.
func (p *plan) noteBase(kindName, tier string, of read) {
	base := stats.Base{Kind: kindName, Tier: tier, Entries: len(of.entries)}
	switch {
	case of.err != nil:
		base.Problem = of.err.Error()
	case len(of.problems) > 0:
		base.Problem = of.problems[0].Error()
	}
	at := slices.IndexFunc(of.entries, func(e Entry) bool { return e.isFor(p.Request.Graph) })
	base.Exact = at >= 0
	if len(of.entries) > 0 {
		e := of.entries[max(at, 0)]
		base.Job, base.Graph, base.Saved = e.Job, e.Graphs[0], e.Created
	}
	if base.Exact {
		base.Graph = graphKey(p.Request.Graph)
	}
	p.bases = append(p.bases, base)
}

// Base is the journal that the base is from: that of the kind whose reason speaks for the job, the upper tier first, but the one that has
// an entry for the very graph before one that has not. It is nil if there was nothing.
func (r Restored) Base() *stats.Base {
	var found *stats.Base
	for i, b := range r.Bases {
		if b.Entries > 0 && b.Kind == r.headline && (found == nil || b.Exact && !found.Exact) {
			found = &r.Bases[i]
		}
	}
	return found
}

// changed are the wanted modules that no layer holds, each with the newest version that the layers hold instead.
func (p *plan) changed() []stats.Change {
	there, newest := map[string]bool{}, map[string]string{}
	for _, l := range p.Layers {
		for _, m := range l.Modules {
			there[m] = true
			path, version, _ := strings.Cut(m, "@")
			if semver.Compare(version, newest[path]) > 0 {
				newest[path] = version
			}
		}
	}
	var changes []stats.Change
	for _, m := range p.Request.Modules {
		if !there[m] {
			path, version, _ := strings.Cut(m, "@")
			changes = append(changes, stats.Change{Path: path, Had: newest[path], Want: version})
		}
	}
	slices.SortFunc(changes, func(a, b stats.Change) int { return cmp.Compare(a.Path, b.Path) })
	return changes
}
