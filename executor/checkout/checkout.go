// Package checkout reads the source tree of a job once Runner has fetched it: which modules it asks for, and which of its files
// git can vouch for. Those get modification times that follow from their content, so that a test result which Go cached in one
// clone is still good in the next: go test compares the times of all files that a test opened (cmd/go/internal/test, hashOpen).
//
// Run works inside the helper container, beside the container's own git, since a checkout's config names programs that git runs
// (core.fsmonitor, clean filters): there they can do no more than what Runner's own git has let them do a moment before.
// ReadReport works on the host, on what the helper container printed, and believes nothing.
package checkout

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"
	"unicode"
)

// Options of Run.
type Options struct {
	Dir          string        // the checkout (CI_PROJECT_DIR)
	Stamp        bool          // false: the files have the times that a plain git gives them (GO_EXECUTOR_FILE_TIMES=off)
	Foreign      bool          // files of other origin will come into the tree (cache: paths in the project, artifacts of other jobs): only testdata/ is stamped
	RefreshLimit time.Duration // of git's index refresh, each time; 0: none
}

// Report is what Run found and did; the host reads it as JSON from the helper container's output.
type Report struct {
	Graph    Graph               `json:"graph"`
	Sums     map[string][]string `json:"sums"` // of the go.sum files: "path version" or "path version/go.mod" → "h1:…", several if they disagree
	Times    Times               `json:"times"`
	Problems []string            `json:"problems"` // one sentence each; none of them keeps a job from running
}

// Graph is what the go.mod, go.work and vendor/modules.txt files of a tree ask for.
type Graph struct {
	Hash      string   `json:"hash"`      // hex sha256 of the normalised requirements; "" when the tree has no go.mod
	Modules   []string `json:"modules"`   // path@version, sorted: requirements after replacement, without local replacements and workspace modules
	Toolchain string   `json:"toolchain"` // the newest that go and toolchain lines ask for, such as go1.26.8; "" if none
	Vendored  bool     `json:"vendored"`
}

// Times tells which files bear stable times.
type Times struct {
	Mode      string  `json:"mode"`      // a constant of this package
	Why       string  `json:"why"`       // a word or two why not all; "" if all
	Files     int     `json:"files"`     // files and symbolic links with stable times, whether set now or before
	Dirs      int     `json:"dirs"`      // directories likewise
	Dirty     int     `json:"dirty"`     // tracked files that git calls changed, or cannot tell
	Refreshed bool    `json:"refreshed"` // git's index knows the times; if not, the first git status reads every file
	Seconds   float64 `json:"seconds"`
}

// Modes of Times: how much of the tree is stamped.
const (
	ModeAll      = "all"      // every tracked file that is clean
	ModeTestdata = "testdata" // only what lies below a testdata folder
	ModeOff      = "off"      // nothing, since the job wants it so
	ModeNone     = "none"     // nothing, since git cannot tell what the files are
)

// Run stamps the checkout and reads its module graph. What goes wrong becomes one of the report's problems; an error means that
// there is no checkout to read.
func Run(ctx context.Context, o Options) (Report, error) {
	root, err := os.OpenRoot(o.Dir)
	if err != nil {
		return Report{}, fmt.Errorf("the checkout cannot be read: %w", err)
	}
	defer root.Close()
	started := time.Now()
	r := Report{Times: Times{Mode: ModeNone, Why: "no git repository"}}
	p := &problems{list: []string{}}
	var repos []repository
	isGit := exists(root, ".git")
	if isGit {
		if repos, err = listAll(ctx, root, o, p); err != nil {
			p.add("Git cannot list the files of the checkout: %v", err)
			r.Times.Why, isGit = "git failed", false
		}
	}
	names := tracked(repos)
	if !isGit {
		names = found(ctx, root, p)
	}
	listed := time.Since(started)
	r.Graph, r.Sums = readGraph(ctx, reader{root, p}, names)
	if isGit {
		started = time.Now().Add(-listed) // listing is most of what stamping costs
		r.Times = setTimes(ctx, o, repos, p)
		r.Times.Seconds = time.Since(started).Seconds()
	}
	r.Problems = p.list
	return r, nil
}

func exists(root *os.Root, name string) bool {
	_, err := root.Lstat(name)
	return err == nil
}

// found lists the files of a tree that git knows nothing of, as far as they may matter to the graph.
func found(ctx context.Context, root *os.Root, p *problems) []string {
	var names []string
	err := fs.WalkDir(root.FS(), ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil: // a folder that cannot be read holds no module that Go could read
			return fs.SkipDir
		case d.IsDir() && name != "." && !mayHoldModules(d.Name()) && d.Name() != "vendor":
			return fs.SkipDir
		case !d.IsDir():
			names = append(names, name)
		}
		return nil
	})
	if err != nil {
		p.add("The checkout could not be searched for go.mod files: %v", err)
	}
	return names
}

const (
	maxProblems = 50
	maxProblem  = 400 // bytes
)

// problems are sentences for people; the names and messages in them come from the checkout.
type problems struct{ list []string }

func (p *problems) add(format string, args ...any) {
	if len(p.list) < maxProblems {
		p.list = append(p.list, printable(fmt.Sprintf(format, args...)))
	}
}

// printable keeps a terminal or a log from taking a name for something else.
func printable(s string) string {
	if len(s) > maxProblem {
		s = s[:maxProblem-len("…")] + "…"
	}
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n':
			return ' '
		case unicode.IsPrint(r) && r != unicode.ReplacementChar:
			return r
		}
		return '?'
	}, s)
}
