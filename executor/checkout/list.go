package checkout

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"golang.org/x/sync/errgroup"
)

// repository is one git repository of the checkout: its own, or a submodule's. All names are from the checkout's folder on.
type repository struct {
	dir        string // "." or a submodule's folder
	entries    []entry
	dirty      []string // tracked, and not as the index says
	foreign    []string // not tracked, ignored or not; a folder ends with a slash
	filtered   []string // what they hold may depend on more than their blob
	attributes [sha256.Size]byte
}

// entry is a line of git's index.
type entry struct {
	path string
	mode string // modeFile …
	oid  string
}

// Modes of git's index, and the one of its trees' folders.
const (
	modeFile    = "100644"
	modeExec    = "100755"
	modeLink    = "120000"
	modeGitlink = "160000"
	modeDir     = "040000"
)

// parseIndex reads what `git ls-files -v -s -z` prints: "H 100644 <blob> 0\t<path>". A capital letter is git's word for what it
// checks; S is a file that a sparse checkout leaves out. Of a merge's stages none is what the file holds. Unsure is what git has
// been told not to look at (--assume-unchanged).
func parseIndex(lines []string) (entries []entry, unsure []string, err error) {
	for _, line := range lines {
		meta, name, ok := strings.Cut(line, "\t")
		f := strings.Fields(meta)
		if !ok || len(f) != 4 || !insideTree(name) {
			return nil, nil, fmt.Errorf("git's index has an entry %.300q", line)
		}
		tag, mode, oid, stage := f[0], f[1], f[2], f[3]
		if stage != "0" || strings.EqualFold(tag, "S") {
			continue
		}
		if tag != "H" {
			unsure = append(unsure, name)
		}
		entries = append(entries, entry{path: name, mode: mode, oid: oid})
	}
	return entries, unsure, nil
}

// maxPath is the longest path that Linux has (PATH_MAX). A name that is no longer has no more folders than a stack has room for.
const maxPath = 4096

// insideTree says whether a name of an index stays in the tree. Git writes no other, but a job can write an index.
func insideTree(name string) bool {
	if len(name) > maxPath {
		return false
	}
	for part := range strings.SplitSeq(name, "/") {
		if part == "" || part == "." || part == ".." || part == ".git" {
			return false
		}
	}
	return true
}

// listAll asks git about the checkout and its submodules, and theirs. What lies in a submodule that git cannot read is foreign.
func listAll(ctx context.Context, root *os.Root, o Options, p *problems) ([]repository, error) {
	first, err := list(ctx, o, ".")
	if err != nil {
		return nil, err
	}
	repos := []repository{first}
	for i := 0; i < len(repos); i++ {
		for _, e := range repos[i].entries {
			if e.mode != modeGitlink {
				continue
			}
			sub, err := submodule(ctx, root, o, e.path)
			if err != nil {
				p.add("Git cannot list the files of submodule %q: %v", e.path, err)
				sub = repository{dir: e.path, foreign: []string{e.path}}
			}
			repos = append(repos, sub)
		}
	}
	return repos, ctx.Err()
}

// submodule lists a submodule. One that has not been fetched is an empty folder; git does not tell if something lies there.
func submodule(ctx context.Context, root *os.Root, o Options, dir string) (repository, error) {
	info, err := root.Lstat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return repository{dir: dir}, nil
	case err != nil:
		return repository{}, err
	case info.IsDir() && exists(root, path.Join(dir, ".git")):
		return list(ctx, o, dir)
	}
	if names, err := fs.ReadDir(root.FS(), dir); err != nil || len(names) > 0 {
		return repository{dir: dir, foreign: []string{dir}}, nil //nolint:nilerr // no folder: something else lies there
	}
	return repository{dir: dir}, nil
}

// list asks git about one repository.
func list(ctx context.Context, o Options, dir string) (repository, error) {
	g := git{filepath.Join(o.Dir, dir)}
	r := repository{dir: dir}
	var index []string
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() (err error) {
		index, err = g.paths(ctx, "ls-files", "-v", "-s", "-z")
		return err
	})
	group.Go(func() (err error) {
		r.dirty, err = g.dirty(ctx, o)
		return err
	})
	group.Go(func() (err error) {
		r.foreign, err = g.paths(ctx, "ls-files", "-o", "-z", "--directory")
		return err
	})
	group.Go(func() (err error) { // a filter's output is its own affair, save that of LFS, whose blob names the content
		r.filtered, err = g.paths(ctx, "ls-files", "-z", "--", ".",
			":(exclude,attr:!filter)", ":(exclude,attr:-filter)", ":(exclude,attr:filter=lfs)")
		return err
	})
	if err := group.Wait(); err != nil {
		return r, err
	}
	entries, unsure, err := parseIndex(index)
	if err != nil {
		return r, err
	}
	r.entries, r.attributes = entries, attributes(entries)
	r.dirty = append(r.dirty, unsure...)
	r.place()
	return r, nil
}

// dirty lists what is not as the index says. Git's diff-files calls a file changed whose times are not those of the index, without
// reading it: then the index has not been refreshed since, such as after a chown, and is now.
func (g git) dirty(ctx context.Context, o Options) ([]string, error) {
	diff := []string{"diff-files", "-z", "--name-only", "--ignore-submodules=all"}
	names, err := g.paths(ctx, diff...)
	if err != nil || len(names) == 0 || o.RefreshLimit == 0 {
		return names, err
	}
	if err := g.refresh(ctx, o.RefreshLimit); err != nil {
		return names, nil //nolint:nilerr // what may be dirty counts as dirty
	}
	return g.paths(ctx, diff...)
}

// attributes is a hash of all .gitattributes: what a blob becomes in the tree depends on them too (line ends, encoding, $Id$).
func attributes(entries []entry) [sha256.Size]byte {
	h := sha256.New()
	for _, e := range entries {
		if path.Base(e.path) == ".gitattributes" {
			fmt.Fprintf(h, "%q %s\n", e.path, e.oid)
		}
	}
	return [sha256.Size]byte(h.Sum(nil))
}

// place makes a submodule's names those of the checkout.
func (r *repository) place() {
	if r.dir == "." {
		return
	}
	for i := range r.entries {
		r.entries[i].path = r.dir + "/" + r.entries[i].path
	}
	for _, names := range [][]string{r.dirty, r.foreign, r.filtered} {
		for i := range names {
			names[i] = r.dir + "/" + names[i]
		}
	}
}

// tracked names all files that git knows.
func tracked(repos []repository) []string {
	var names []string
	for _, r := range repos {
		for _, e := range r.entries {
			if e.mode != modeGitlink {
				names = append(names, e.path)
			}
		}
	}
	return names
}
