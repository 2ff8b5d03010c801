package checkout

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"golang.org/x/mod/modfile"
	"golang.org/x/mod/module"
)

// normal is the text that a graph's hash is taken of: what decides which modules and which toolchain a build uses, in a fixed order.
// Left out are go.sum files, which gather lines and are no lock files; comments, // indirect, retract, godebug, ignore, and tool,
// whose modules are required.
type normal struct{ text strings.Builder }

func newNormal() *normal {
	n := &normal{}
	n.line("v1") // of this form
	return n
}

func (n *normal) line(verb string, args ...string) { fmt.Fprintf(&n.text, "%s %q\n", verb, args) }

func (n *normal) sum() string { return hexSum(n.text.String()) }

// sorted writes lines in their order, each once.
func (n *normal) sorted(verb string, lines [][]string) {
	slices.SortFunc(lines, slices.Compare)
	for _, l := range slices.CompactFunc(lines, slices.Equal) {
		n.line(verb, l...)
	}
}

func (n *normal) versions(g *modfile.Go, t *modfile.Toolchain) {
	if g != nil {
		n.line("go", g.Version)
	}
	if t != nil {
		n.line("toolchain", t.Name)
	}
}

func (n *normal) replaces(rs []*modfile.Replace) {
	var lines [][]string
	for _, r := range rs {
		lines = append(lines, []string{r.Old.Path, r.Old.Version, r.New.Path, r.New.Version})
	}
	n.sorted("replace", lines)
}

func (n *normal) mod(m mod) {
	n.line("mod", m.dir, modulePath(m))
	n.versions(m.file.Go, m.file.Toolchain)
	var requires, excludes [][]string
	for _, r := range m.file.Require {
		requires = append(requires, []string{r.Mod.Path, r.Mod.Version})
	}
	for _, x := range m.file.Exclude {
		excludes = append(excludes, []string{x.Mod.Path, x.Mod.Version})
	}
	n.sorted("require", requires)
	n.sorted("exclude", excludes)
	n.replaces(m.file.Replace)
}

func (n *normal) work(w work) {
	n.line("work", w.dir)
	n.versions(w.file.Go, w.file.Toolchain)
	var uses [][]string
	for _, u := range w.file.Use {
		uses = append(uses, []string{path.Clean(u.Path)})
	}
	n.sorted("use", uses)
	n.replaces(w.file.Replace)
}

// vendor takes the modules that vendor/modules.txt lists, without their packages.
func (n *normal) vendor(dir string, modulesTxt []byte) {
	n.line("vendor", dir)
	for line := range strings.SplitSeq(string(modulesTxt), "\n") {
		if line = strings.TrimSpace(line); strings.HasPrefix(line, "#") {
			n.line("line", line)
		}
	}
}

func modulePath(m mod) string {
	if m.file.Module == nil {
		return ""
	}
	return m.file.Module.Mod.Path
}

// buildList names the module versions that the go.mod files require, after replacement.
func buildList(mods []mod, works []work) []string {
	names := []string{}
	for _, m := range mods {
		space := spaceOf(m, mods, works)
		for _, r := range m.file.Require {
			if name := space.resolve(r.Mod); name != "" {
				names = append(names, name)
			}
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// space is what decides about the requirements of a module. A job writes these files, so that each of them is only looked up in, however long.
type space struct {
	replaced []replaced // the first that knows a module decides: go.work's, the module's own, then the others'
	excluded map[module.Version]bool
	local    map[string]bool // paths of modules that are taken from the checkout
}

func spaceOf(m mod, mods []mod, works []work) space {
	s := space{local: map[string]bool{modulePath(m): true}, excluded: map[module.Version]bool{}}
	for _, x := range m.file.Exclude {
		s.excluded[x.Mod] = true
	}
	var others []replaced
	for _, w := range works {
		if !w.uses[m.dir] {
			continue
		}
		s.replaced = append(s.replaced, w.replaced)
		for _, other := range mods {
			if w.uses[other.dir] {
				s.local[modulePath(other)] = true
				others = append(others, other.replaced)
			}
		}
	}
	s.replaced = append(append(s.replaced, m.replaced), others...)
	s.replaced = slices.DeleteFunc(s.replaced, func(r replaced) bool { return len(r) == 0 })
	return s
}

// resolve gives the path@version that a requirement is met by; "" if by a folder, or by nothing that a cache could hold.
func (s space) resolve(required module.Version) string {
	if s.local[required.Path] || s.excluded[required] {
		return ""
	}
	v := s.replacement(required)
	if !validModule(v.Path, v.Version) {
		return "" // a folder has no version
	}
	return v.Path + "@" + v.Version
}

// replacement looks for a replacement of that version, then of any (https://go.dev/ref/mod#go-mod-file-replace).
func (s space) replacement(required module.Version) module.Version {
	for _, by := range s.replaced {
		for _, old := range []module.Version{required, {Path: required.Path}} {
			if v, ok := by[old]; ok {
				return v
			}
		}
	}
	return required
}

// replaced is what a file replaces, by what.
type replaced map[module.Version]module.Version

func replacedBy(rs []*modfile.Replace) replaced {
	by := replaced{}
	for _, r := range rs {
		if _, known := by[r.Old]; !known { // Go refuses a second one
			by[r.Old] = r.New
		}
	}
	return by
}
