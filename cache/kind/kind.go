// Package kind knows what each kind of cache holds: what is accepted from a job, what counts as a hit, what a compaction keeps.
// Whatever a job left is hostile; what a kind gives to be saved has been proven to be what its name says.
package kind

import (
	"context"
	"iter"
	"os"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/layer"
)

// Kind is one kind of cache. Its name is its folder in the mount and its segment in the store's keys. All methods may be
// called by several goroutines.
type Kind interface {
	Name() string
	// Counts says whether hits are counted by the items of a class.
	Counts(Class) bool
	// Prepare makes in dir, the kind's folder in a job's mount, what the tool expects to find or must not find stale. Every
	// folder is open to any user.
	Prepare(dir string) error
	// ItemOf says which item a file belongs to, by its slash-separated path below the kind's folder; "" if to none.
	ItemOf(path string) string
	// Harvest decides what of a job's changes is accepted. It reads all that it accepts and verifies it. Nobody writes to the
	// folder any more. A file that is not as it should be is left out and counted, never an error; an error is ctx's, or a
	// disk's.
	Harvest(ctx context.Context, in Input) (Harvest, error)
	// Files gives the files of items for a layer, from the kind's folder in a mount or a layer's tree, in a fixed order, each
	// once, with the modes and times that the kind needs. Names are below the kind's folder. A file that is missing, or is not
	// what it should be, is an error, of which Refused tells that it is not a disk's.
	Files(root *os.Root, items []Item) iter.Seq2[layer.File, error]
}

// Item is what hits are counted by, and what a compaction keeps or drops: a module version, a cache entry.
type Item struct {
	ID     string // a module version such as golang.org/x/mod@v0.29.0, a file's name as sumdb/sum.golang.org/…, or the 64 hex digits of an action; no white space
	Class  Class
	Detail string // build: the 64 hex digits of the output's content; modules: "info" if the version's .info is with it, of a record its tree's size; may be empty
	Size   int64  // bytes of its files, as far as they are its own

	content string // of a Checksum that was just harvested; else the file has it
}

// Class tells items of a kind apart.
type Class string

// The closed set of classes.
const (
	Module   Class = "module"   // modules: with zip and tree
	ModFile  Class = "modfile"  // modules: the go.mod alone, which the module graph needs
	Checksum Class = "checksum" // modules: a record or a tile of the checksum database
	Package  Class = "package"  // build: a compiled package, which is what "compiled" counts
	TestLog  Class = "testlog"  // build: what a test read, see go help test
	Index    Class = "index"    // build: a module or package index
	OtherRun Class = "other"    // build: anything else, such as what vet found out or a test printed; a tool's: all that is there
)

// Input is what a harvest works on.
type Input struct {
	Root    *os.Root        // the kind's folder in the mount: what the base holds and what the job changed
	Changed []string        // files that the job made or changed, slash-separated below Root, sorted; hostile names
	Known   map[string]Item // what the base has, by ID
	Sums    Sums            // the go.sum lines as get_sources left them
	MaxSize int64           // bytes that are accepted of a tool's cache; 0 is as much as of any other
}

// Sums is what go.sum files say: "module version" or "module version/go.mod" → "h1:…", several if they disagree.
type Sums map[string][]string

// Harvest is what is worth saving of a job's changes.
type Harvest struct {
	Items []Item   // accepted and not yet known, sorted by ID
	New   []string // IDs of all that the job fetched (modules: any file of the version) or made (of the classes that count), accepted or not, sorted
	// Compiled are the packages of New by their import paths, programs by their folders, sorted, as far as they can be told; a package that was compiled in
	// several ways comes several times. The job says so: for people, not to be relied on.
	Compiled []string
	Refused  map[string]int // why things were left out → how many; the words are constants of this package
}
