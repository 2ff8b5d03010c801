package checkout

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"go/version"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/mod/modfile"
)

const (
	maxFile    = 4 << 20 // bytes of a go.mod, go.sum or modules.txt; cmd/go knows no limit, the largest known are below 1 MiB
	maxModules = 2000    // go.mod files of one tree
	maxSums    = 100_000 // lines of all go.sum files: about 12 MiB of the report
)

// mayHoldModules says whether Go looks for packages in a folder of that name (go help packages). What lies in vendor/ and testdata/
// belongs to others.
func mayHoldModules(dir string) bool {
	return dir != "vendor" && dir != "testdata" && !strings.HasPrefix(dir, ".") && !strings.HasPrefix(dir, "_")
}

// sources are the files that a graph is read from, by the folder that they are in, sorted.
type sources struct{ mods, works, vendors []string }

// pick takes them from the names of all files.
func pick(names []string) sources {
	var s sources
	for _, name := range names {
		dir, base := path.Split(name)
		dir = path.Clean(dir)
		if base == "modules.txt" && path.Base(dir) == "vendor" {
			if dir = path.Dir(dir); ours(dir) {
				s.vendors = append(s.vendors, dir)
			}
			continue
		}
		switch {
		case !ours(dir):
		case base == "go.mod":
			s.mods = append(s.mods, dir)
		case base == "go.work":
			s.works = append(s.works, dir)
		}
	}
	for _, dirs := range [][]string{s.mods, s.works, s.vendors} {
		slices.Sort(dirs)
	}
	return s
}

func ours(dir string) bool {
	if dir == "." {
		return true
	}
	for part := range strings.SplitSeq(dir, "/") {
		if !mayHoldModules(part) {
			return false
		}
	}
	return true
}

// mod is a go.mod file, and work a go.work file, of the checkout.
type (
	mod struct {
		dir      string
		file     *modfile.File
		replaced replaced
	}
	work struct {
		dir      string
		file     *modfile.WorkFile
		replaced replaced
		uses     map[string]bool // the folders of its modules
	}
)

func newMod(dir string, file *modfile.File) mod { return mod{dir, file, replacedBy(file.Replace)} }

func newWork(dir string, file *modfile.WorkFile) work {
	w := work{dir, file, replacedBy(file.Replace), map[string]bool{}}
	for _, u := range file.Use {
		w.uses[path.Join(dir, u.Path)] = true
	}
	return w
}

// readGraph reads the module graph and go.sum lines from the files of a checkout.
func readGraph(ctx context.Context, r reader, names []string) (Graph, map[string][]string) {
	from := pick(names)
	sums := newSums(names)
	if len(from.mods) > maxModules {
		r.problems.add("The checkout has %d go.mod files; only the first %d are read.", len(from.mods), maxModules)
		from.mods = from.mods[:maxModules]
	}
	var mods []mod
	var works []work
	for _, dir := range from.mods {
		if ctx.Err() != nil {
			break
		}
		if file := r.mod(path.Join(dir, "go.mod")); file != nil {
			mods = append(mods, newMod(dir, file))
		}
		sums.read(r, path.Join(dir, "go.sum"))
	}
	for _, dir := range from.works {
		if file := r.work(path.Join(dir, "go.work")); file != nil && ctx.Err() == nil {
			works = append(works, newWork(dir, file))
		}
		sums.read(r, path.Join(dir, "go.work.sum"))
	}
	h := newNormal()
	for _, m := range mods {
		h.mod(m)
	}
	for _, w := range works {
		h.work(w)
	}
	for _, dir := range from.vendors {
		h.vendor(dir, r.text(path.Join(dir, "vendor/modules.txt")))
	}
	if err := ctx.Err(); err != nil {
		r.problems.add("The module graph could not be read in time: %v", err)
		return Graph{}, sums.lines
	}
	g := Graph{Toolchain: newestToolchain(mods, works), Modules: buildList(mods, works), Vendored: len(from.vendors) > 0}
	if len(from.mods) > 0 {
		g.Hash = h.sum()
	}
	return g, sums.lines
}

// newestToolchain is the newest that any go or toolchain line asks for. Go takes a go line for a toolchain of that name
// (https://go.dev/doc/toolchain); it never switches to an older one than it is.
func newestToolchain(mods []mod, works []work) string {
	newest := ""
	ask := func(name string) {
		if validToolchain(name) && version.Compare(name, newest) > 0 {
			newest = name
		}
	}
	lines := func(g *modfile.Go, t *modfile.Toolchain) {
		if g != nil {
			ask("go" + g.Version)
		}
		if t != nil {
			ask(t.Name) // "default" is none
		}
	}
	for _, m := range mods {
		lines(m.file.Go, m.file.Toolchain)
	}
	for _, w := range works {
		lines(w.file.Go, w.file.Toolchain)
	}
	return newest
}

// reader reads files of the checkout.
type reader struct {
	root     *os.Root
	problems *problems
}

// text gives a file, nil if there is none that can be read. A symbolic link may lead anywhere in the checkout, and not out of it.
func (r reader) text(name string) []byte {
	data, err := r.read(name)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		r.problems.add("%q cannot be read: %v", name, err)
	}
	return data
}

func (r reader) read(name string) ([]byte, error) {
	f, err := r.root.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0) // nobody may ever write to a pipe
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil, errors.Join(errors.New("it is no regular file"), err)
	}
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if len(data) > maxFile {
		return nil, fmt.Errorf("it is larger than %d MiB", maxFile>>20)
	}
	return data, err
}

// mod parses a go.mod file. One that a newer Go than ours would understand is read as Go reads a dependency's: without what is
// unknown, and without replacements.
func (r reader) mod(name string) *modfile.File {
	data := r.text(name)
	if data == nil {
		return nil
	}
	file, strict := modfile.Parse(name, data, nil)
	if strict == nil {
		return file
	}
	file, err := modfile.ParseLax(name, data, nil)
	if err != nil {
		r.problems.add("%q is left out of the module graph: %v", name, err)
		return nil
	}
	r.problems.add("%q is not understood whole: %v", name, strict)
	return file
}

func (r reader) work(name string) *modfile.WorkFile {
	data := r.text(name)
	if data == nil {
		return nil
	}
	file, err := modfile.ParseWork(name, data, nil)
	if err != nil {
		r.problems.add("%q is left out of the module graph: %v", name, err)
		return nil
	}
	return file
}

// hexSum is a sha256 in hexadecimal.
func hexSum(data string) string {
	sum := sha256.Sum256([]byte(data))
	return hex.EncodeToString(sum[:])
}
