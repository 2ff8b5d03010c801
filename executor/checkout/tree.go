package checkout

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
	"time"
)

// node is a file, a symbolic link or a folder of the checkout as git's indexes know it.
type node struct {
	mode     string            // of git's index
	id       [sha256.Size]byte // what it holds
	repo     int               // of a file: the repository that tracks it
	children map[string]*node  // of a folder
	unsure   bool              // git cannot vouch for it, or for something in it
	stable   bool              // it gets a time that follows from what it holds
}

func folder() *node { return &node{mode: modeDir, children: map[string]*node{}} }

// newTree puts the files of all repositories in their folders.
func newTree(repos []repository) *node {
	top := folder()
	for i, r := range repos {
		top.at(r.dir) // a submodule's, even if it is empty
		for _, e := range r.entries {
			if e.mode == modeGitlink {
				continue
			}
			dir, name := path.Split(e.path)
			n := &node{mode: e.mode, repo: i}
			n.id = sha256.Sum256(fmt.Appendf(nil, "%x %s", r.attributes, e.oid))
			top.at(path.Clean(dir)).children[name] = n
		}
	}
	for _, r := range repos {
		for _, names := range [][]string{r.dirty, r.foreign, r.filtered} {
			for _, name := range names {
				top.doubt(name)
			}
		}
	}
	return top
}

// at finds or makes a folder.
func (n *node) at(dir string) *node {
	if dir == "." {
		return n
	}
	for name := range strings.SplitSeq(dir, "/") {
		child := n.children[name]
		if child == nil || child.children == nil { // a folder where an index has a file too: what git reads is not written by git
			child = folder()
			n.children[name] = child
		}
		n = child
	}
	return n
}

// doubt marks a name and all folders above it.
func (n *node) doubt(name string) {
	n.unsure = true
	for part := range strings.SplitSeq(strings.TrimSuffix(name, "/"), "/") {
		if n = n.children[part]; n == nil {
			return // not tracked
		}
		n.unsure = true
	}
}

// settle decides what of a folder gets a stable time: what is sure, as far as reach goes. The id of a folder follows from all that
// is in it, to any depth.
func (n *node) settle(reach bool) {
	h := sha256.New()
	for _, name := range slices.Sorted(maps.Keys(n.children)) {
		child := n.children[name]
		if child.children != nil {
			child.settle(reach || name == "testdata")
		} else {
			child.stable = reach && !child.unsure
		}
		fmt.Fprintf(h, "%s %x %q\n", child.mode, child.id, name)
	}
	n.id = [sha256.Size]byte(h.Sum(nil))
	n.stable = reach && !n.unsure
}

// An era is the years that stable times are spread over. They are long past: go test does not cache what depends on a file that is
// younger than two seconds (modTimeCutoff), and git reads a file again that is as young as its index.
type era struct{ from, to int64 } // nanoseconds since 1970

// Make compares times. So what is made is later than what it is made from, as it is in a fresh clone of files in alphabetical
// order: generated Go code, and what Go itself writes (go.sum: go.mod). Folders come last (vendor: go.mod).
var (
	sourceEra = years(2000, 2010)
	madeEra   = years(2010, 2020)
	folderEra = years(2020, 2025)
)

func years(from, to int) era {
	return era{time.Date(from, 1, 1, 0, 0, 0, 0, time.UTC).UnixNano(), time.Date(to, 1, 1, 0, 0, 0, 0, time.UTC).UnixNano()}
}

// stamp is the time of a node: nanoseconds since 1970. Go's key of a test result holds size and mode beside it, so two contents
// would have to be of equal size and meet within 58 bits to be taken for each other.
func (n *node) stamp(name string) int64 {
	e := sourceEra
	switch {
	case n.children != nil:
		e = folderEra
	case path.Ext(name) == ".go", name == "go.sum", name == "go.work.sum", name == "modules.txt":
		e = madeEra
	}
	return e.from + int64(binary.BigEndian.Uint64(n.id[:])%uint64(e.to-e.from))
}

// stamped says whether a time is one of ours, be it for another content: git gives files the time at which it writes them.
func stamped(nano int64) bool { return sourceEra.from <= nano && nano < folderEra.to }
