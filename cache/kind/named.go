package kind

import (
	"fmt"
	"regexp"
	"slices"
)

// Named gives the kind of a name: Modules, Build, or else that of a tool which keeps a cache of its own beside Go's. It is nil if no cache can
// have that name.
//
// A tool's cache has to have the format of Go's build cache, as those of golangci-lint and staticcheck have, which are forks of
// cmd/go/internal/cache. What that format is relied on for: files are named by what they hold, so that what was torn or forged is told from what is whole; an
// entry means the same wherever it is, so that what many jobs added can be put together in any order; and a file that is opened is an
// item that is used, so that hits can be counted and the rest be dropped. Nothing of that is known of other files.
func Named(name string) Kind {
	switch name {
	case Modules().Name():
		return Modules()
	case Build().Name():
		return Build()
	}
	if CheckExtra(name) != nil {
		return nil
	}
	return build{extra: name}
}

var (
	extraName = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)
	reserved  = []string{"modules", "build", "layers", "dead"} // Go's own, and what stands beside the kinds in the store's keys
)

// CheckExtra says what is wrong with the name of a tool's cache.
func CheckExtra(name string) error {
	switch {
	case slices.Contains(reserved, name):
		return fmt.Errorf("%s is taken; take the name of the tool, such as golangci-lint", name)
	case !extraName.MatchString(name):
		return fmt.Errorf("%q is no name for a cache; use up to 63 lower-case letters, digits and hyphens between them, such as golangci-lint", name)
	}
	return nil
}
