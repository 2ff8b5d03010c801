package settings

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/kind"
)

// mostExtra is how many extra caches there may be. A job's caches are one overlay, for which the kernel takes 500 layers (OVL_MAX_STACK): with Go's own
// two kinds that is up to 32 of each of two tiers.
const mostExtra = 5

// environmentName is what every shell takes for a variable.
var environmentName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// foreign are variables that mean something else, and beginnings of such.
var (
	foreign       = []string{"PATH", "HOME", "PWD", "SHELL", "USER", "TMPDIR", "GOCACHE", "GOMODCACHE", "GOPATH", "GOROOT", "GOENV", "GOFLAGS"}
	foreignFamily = []string{"LD_", "CI_", "GITLAB_", "GIT_", "DOCKER_", "FF_", "GO_EXECUTOR_"}
)

// checkExtra is the part of check about extra caches.
func (c *Cache) checkExtra(r *report) {
	if len(c.Extra) > mostExtra {
		r.add("cache.extra", nil, "there are %d; at most %d extra caches fit into a job", len(c.Extra), mostExtra)
	}
	for i, extra := range c.Extra {
		r.extra(fmt.Sprintf("cache.extra[%d].", i), extra, c.Extra[:i])
	}
}

// extra checks one of them; before are those above it in the file.
func (r *report) extra(key string, extra Extra, before []Extra) {
	if err := kind.CheckExtra(extra.Name); extra.Name == "" {
		r.missing(key+"name", "name the tool, for example golangci-lint")
	} else if err != nil {
		r.add(key+"name", extra.Name, "%v", err)
	}
	if extra.Name != "" && slices.ContainsFunc(before, func(e Extra) bool { return e.Name == extra.Name }) {
		r.add(key+"name", extra.Name, "each extra cache at most once")
	}
	switch name := extra.Variable; {
	case name == "":
		r.missing(key+"variable", "name the variable that tells the tool where its cache is, for example GOLANGCI_LINT_CACHE")
	case !environmentName.MatchString(name):
		r.add(key+"variable", name, "not the name of a variable; use letters, digits and _, for example GOLANGCI_LINT_CACHE")
	case slices.Contains(foreign, name) || slices.ContainsFunc(foreignFamily, func(family string) bool { return strings.HasPrefix(name, family) }):
		r.add(key+"variable", name, "that means something else; name the variable that tells the tool where its cache is, for example GOLANGCI_LINT_CACHE")
	case slices.ContainsFunc(before, func(e Extra) bool { return e.Variable == name }):
		r.add(key+"variable", name, "each variable for one extra cache only")
	}
}

// missing records a key that a list of tables lacks, at the line of its table.
func (r *report) missing(key, what string) {
	table, _, _ := strings.Cut(key, "].")
	r.addAt(r.lines[table+"]"], key, nil, "is missing; %s", what)
}
