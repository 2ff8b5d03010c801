package kind

import (
	"io/fs"
	"iter"
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/mod/module"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/layer"
)

// Modules is the kind that holds GOMODCACHE. Its items are module versions, <path>@<version>, and files of the checksum database,
// sumdb/<server>/…
func Modules() Kind { return modules{verifier: sumGolangOrg} }

type modules struct {
	verifier string // the key of the checksum database, see golang.org/x/mod/sumdb/note
}

// moduleTime is the time of all files of a layer: the same for all, so that Go's index of a toolchain holds, and not in the
// future, since Go neither indexes a toolchain (modindex) nor caches a test (cmd/go/internal/test) with such files.
var moduleTime = time.Date(2015, 1, 1, 0, 0, 0, 0, time.UTC)

// detailInfo as an item's detail says that the version's .info is with it.
const detailInfo = "info"

// toolchain is the module that a switch to another Go downloads. It has no .mod and no .info.
const toolchain = "golang.org/toolchain"

func (modules) Name() string { return "modules" }

func (modules) Counts(c Class) bool { return c == Module || c == ModFile }

func (modules) Prepare(dir string) error {
	root, err := openFolders(dir, "cache", "cache/download")
	if err != nil {
		return err
	}
	return root.Close()
}

func (modules) ItemOf(path string) string {
	if mod, part := parsePart(path); part != "" {
		return mod.String()
	}
	if id := strings.TrimPrefix(path, download); id != path {
		if _, _, ok := parseChecksum(id); ok {
			return id
		}
	}
	return ""
}

// The parts of a module version: files of cache/download, by their suffix, and the extracted tree.
const (
	partInfo    = "info"
	partMod     = "mod"
	partZip     = "zip"
	partZipHash = "ziphash"
	partTree    = "tree"
)

const download = "cache/download/"

// parsePart says which part of which version a file is, or is of; "" if it is none.
func parsePart(path string) (mod module.Version, part string) {
	if rest, ok := strings.CutPrefix(path, download); ok {
		escaped, file, _ := strings.Cut(rest, "/@v/")
		dot := strings.LastIndexByte(file, '.')
		if dot < 0 {
			return module.Version{}, ""
		}
		switch part = file[dot+1:]; part {
		case partInfo, partMod, partZip, partZipHash:
			if mod, ok := unescape(escaped, file[:dot]); ok {
				return mod, part
			}
		}
		return module.Version{}, ""
	}
	escaped, rest, _ := strings.Cut(path, "@") // no module path has one
	version, inside, _ := strings.Cut(rest, "/")
	if mod, ok := unescape(escaped, version); ok && inside != "" {
		return mod, partTree
	}
	return module.Version{}, ""
}

// unescape accepts what Go gives names in its module cache (CachePath and DownloadDir in cmd/go/internal/modfetch).
func unescape(path, version string) (mod module.Version, ok bool) {
	path, errPath := module.UnescapePath(path)
	version, errVersion := module.UnescapeVersion(version)
	mod = module.Version{Path: path, Version: version}
	return mod, errPath == nil && errVersion == nil && isVersion(mod)
}

func isVersion(mod module.Version) bool {
	return module.Check(mod.Path, mod.Version) == nil && module.CanonicalVersion(mod.Version) == mod.Version
}

// parseVersion splits an item's ID.
func parseVersion(id string) (mod module.Version, ok bool) {
	path, version, _ := strings.Cut(id, "@")
	mod = module.Version{Path: path, Version: version}
	return mod, isVersion(mod)
}

// partFile is the name of a part; of a tree, its folder. The version has to be one (isVersion), or the name is empty.
func partFile(mod module.Version, part string) string {
	path, errPath := module.EscapePath(mod.Path)
	version, errVersion := module.EscapeVersion(mod.Version)
	switch {
	case errPath != nil || errVersion != nil:
		return ""
	case part == partTree:
		return path + "@" + version
	}
	return download + path + "/@v/" + version + "." + part
}

func (modules) Files(root *os.Root, items []Item) iter.Seq2[layer.File, error] {
	return func(yield func(layer.File, error) bool) {
		for _, item := range slices.SortedFunc(slices.Values(items), byID) {
			for file, err := range moduleFiles(root, item) {
				if !yield(file, err) || err != nil {
					return
				}
			}
		}
	}
}

// moduleFile is a file as it is.
func moduleFile(root *os.Root, name string) (layer.File, error) {
	info, err := root.Lstat(name)
	if err != nil {
		return layer.File{}, unreadable(err)
	}
	return fileOf(root, name, info, 0o444, moduleTime)
}

// moduleFiles are those of one item. Go extracts trees read-only; the commands of a toolchain it makes executable.
func moduleFiles(root *os.Root, item Item) iter.Seq2[layer.File, error] {
	return func(yield func(layer.File, error) bool) {
		if item.Class == Checksum {
			yield(checksumFile(root, item))
			return
		}
		mod, _ := parseVersion(item.ID)
		for _, part := range parts(mod, item) {
			file, err := moduleFile(root, partFile(mod, part))
			if !yield(file, err) || err != nil {
				return
			}
		}
		if item.Class == Module {
			treeFiles(root, mod, yield)
		}
	}
}

// parts are the single files of an item.
func parts(mod module.Version, item Item) []string {
	var found []string
	if item.Detail == detailInfo {
		found = append(found, partInfo)
	}
	if mod.Path != toolchain {
		found = append(found, partMod)
	}
	if item.Class == Module {
		found = append(found, partZip, partZipHash)
	}
	return found
}

// treeFiles yields the files of a tree in lexical order.
func treeFiles(root *os.Root, mod module.Version, yield func(layer.File, error) bool) {
	_ = fs.WalkDir(root.FS(), partFile(mod, partTree), func(name string, entry fs.DirEntry, err error) error {
		if err == nil && entry.IsDir() {
			return nil
		}
		var info fs.FileInfo
		if err == nil {
			info, err = entry.Info()
		}
		var file layer.File
		if err != nil {
			err = unreadable(err)
		} else {
			mode := fs.FileMode(0o444)
			if mod.Path == toolchain && info.Mode()&0o111 != 0 {
				mode = 0o555
			}
			file, err = fileOf(root, name, info, mode, moduleTime)
		}
		if !yield(file, err) || err != nil {
			return fs.SkipAll
		}
		return nil
	})
}
