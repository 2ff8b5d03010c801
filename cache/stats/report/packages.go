package report

import (
	"cmp"
	"slices"
	"strings"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/stats"
)

// Packages are what was compiled anew of one module.
type Packages struct {
	Module  string   `json:"module"`            // a path@version of the graph, or one of the two below
	Changed bool     `json:"changed,omitempty"` // the base did not hold this version
	Names   []string `json:"packages"`
}

// What packages can be of other than a module of the graph.
const (
	ofStandard = "the standard library"
	ofProject  = "the project"
)

// byModule sorts what a job compiled anew: changed modules first, then the project, other modules, and the standard library.
func byModule(j stats.Job) []Packages {
	groups := map[string]*Packages{}
	for _, name := range j.Detail.Compiled {
		module := moduleOf(name, j.Detail.Modules)
		if groups[module] == nil {
			groups[module] = &Packages{Module: module, Changed: isChanged(module, j.Detail.Changed)}
		}
		groups[module].Names = append(groups[module].Names, name)
	}
	sorted := []Packages{}
	for _, g := range groups {
		sorted = append(sorted, *g)
	}
	slices.SortFunc(sorted, func(a, b Packages) int {
		return cmp.Or(cmp.Compare(a.rank(), b.rank()), cmp.Compare(a.Module, b.Module))
	})
	return sorted
}

func (p Packages) rank() int {
	switch {
	case p.Changed:
		return 0
	case p.Module == ofProject:
		return 1
	case p.Module == ofStandard:
		return 3
	}
	return 2
}

func isChanged(module string, changes []stats.Change) bool {
	return slices.ContainsFunc(changes, func(c stats.Change) bool { return c.Path+"@"+c.Want == module })
}

// moduleOf finds what a package is of: the module with the longest path that its own begins with. Programs go by their folder, whose
// name in the module cache holds the module's path and version.
func moduleOf(name string, modules []string) string {
	found, longest := "", 0
	for _, m := range modules {
		path, _, _ := strings.Cut(m, "@")
		inside := name == path || strings.HasPrefix(name, path+"/") || strings.Contains(name+"/", "/"+m+"/")
		if inside && len(path) > longest {
			found, longest = m, len(path)
		}
	}
	if found != "" {
		return found
	}
	if first, _, _ := strings.Cut(name, "/"); slices.Contains(standard, first) {
		return ofStandard
	}
	return ofProject
}

// standard are the first elements of the paths of Go's own packages. A project's may have no dot either, so that it cannot be told otherwise.
var standard = strings.Fields(`archive bufio builtin bytes cmd cmp compress container context crypto database debug embed encoding errors expvar flag
	fmt go hash html image index internal io iter log maps math mime net os path plugin reflect regexp runtime simd slices sort strconv strings structs sync
	syscall testing text time unicode unique unsafe vendor weak`)
