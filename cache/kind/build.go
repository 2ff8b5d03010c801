package kind

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/mod/module"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/layer"
)

// Build is the kind that holds GOCACHE. Its items are what cmd/go/internal/cache calls actions; an item's files are the entry
// <action>-a and the output <hash>-d that it names, which several items may share.
func Build() Kind { return build{} }

// build is also the kind of a tool that keeps a cache like Go's, see Named.
type build struct {
	extra string // the name of an extra cache; empty for Go's own
}

// buildTime is the time of all files of a layer: an entry older than an hour is stamped anew when it is used, which on an overlay
// copies the whole file, and one older than five days is deleted (markUsed and Trim in cmd/go/internal/cache). Nothing from the
// future is.
var buildTime = time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC)

func (b build) Name() string { return cmp.Or(b.extra, "build") }

func (b build) Counts(c Class) bool {
	if b.extra != "" {
		return c == OtherRun
	}
	return c == Package
}

// trimFile tells when the cache was trimmed last. If it is missing, or older than a day, Go walks the cache and deletes.
const trimFile = "trim.txt"

func (build) Prepare(dir string) error {
	folders := make([]string, 256)
	for i := range folders {
		folders[i] = fmt.Sprintf("%02x", i)
	}
	root, err := openFolders(dir, folders...)
	if err != nil {
		return err
	}
	defer root.Close()
	if err := root.RemoveAll(trimFile); err != nil {
		return err
	}
	now := strconv.FormatInt(time.Now().Unix(), 10)
	if err := root.WriteFile(trimFile, []byte(now), 0o666); err != nil {
		return err
	}
	return root.Chmod(trimFile, 0o666) // whatever the umask
}

// openFolders opens dir and makes sure that it and the folders below it are there and open to any user. Most are there already.
// Should a job have been here before, or a layer be forged, no symbolic link leads out, and what is no folder makes room for one.
func openFolders(dir string, folders ...string) (*os.Root, error) {
	parent, err := os.OpenRoot(filepath.Dir(dir))
	if err != nil {
		return nil, err
	}
	defer parent.Close()
	if err := openFolder(parent, filepath.Base(dir)); err != nil {
		return nil, err
	}
	root, err := parent.OpenRoot(filepath.Base(dir))
	if err != nil {
		return nil, err
	}
	for _, name := range folders {
		if err := openFolder(root, name); err != nil {
			return nil, errors.Join(err, root.Close())
		}
	}
	return root, nil
}

func openFolder(root *os.Root, name string) error {
	info, err := root.Lstat(name)
	switch {
	case err == nil && info.IsDir() && info.Mode().Perm() == 0o777:
		return nil
	case err == nil && !info.IsDir():
		err = errors.Join(root.Remove(name), root.Mkdir(name, 0o777))
	case errors.Is(err, fs.ErrNotExist):
		err = root.Mkdir(name, 0o777)
	}
	if err != nil {
		return err
	}
	return root.Chmod(name, 0o777) // whatever the umask
}

func (build) ItemOf(path string) string {
	if hash, suffix := parseEntry(path); suffix == "a" {
		return hash
	}
	return ""
}

// parseEntry splits "xx/<64 hex>-a", "xx/<64 hex>-d" and "xx/<64 hex>-d/<executable>". The suffix is empty for anything else.
func parseEntry(path string) (hash, suffix string) {
	folder, rest, _ := strings.Cut(path, "/")
	hash, suffix, _ = strings.Cut(rest, "-")
	if !isHash(hash) || hash[:2] != folder {
		return "", ""
	}
	suffix, executable, inside := strings.Cut(suffix, "/")
	switch {
	case suffix == "a" && !inside, suffix == "d" && (!inside || isExecutableName(executable)):
		return hash, suffix
	}
	return "", ""
}

func actionFile(id string) string   { return id[:2] + "/" + id + "-a" }
func outputFile(hash string) string { return hash[:2] + "/" + hash + "-d" }

// isExecutableName says whether Go may have given an executable this name, which is the last element of an import path or the name
// of a source file.
func isExecutableName(name string) bool {
	return !strings.Contains(name, "/") && module.CheckFilePath(name) == nil
}

// isHash says whether s is SHA-256 in lower-case hex.
func isHash(s string) bool {
	if len(s) != 64 {
		return false
	}
	for _, c := range []byte(s) {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

// executable is the name of the one file in an output that is a folder, as those of go run and go tool are (PutExecutable in
// cmd/go/internal/cache): Go refuses one with several.
func executable(root *os.Root, hash string) (string, error) {
	folder, err := openDir(root, outputFile(hash))
	if err != nil {
		return "", judge(err)
	}
	defer folder.Close()
	entries, err := folder.ReadDir(2)
	switch {
	case err == io.EOF: //nolint:errorlint // ReadDir gives it bare
		return "", refusal(RefusedIncomplete)
	case err != nil:
		return "", judge(err)
	case len(entries) > 1 || !isExecutableName(entries[0].Name()):
		return "", refusal(RefusedName)
	}
	return entries[0].Name(), nil
}

func (build) Files(root *os.Root, items []Item) iter.Seq2[layer.File, error] {
	return func(yield func(layer.File, error) bool) {
		if i := slices.IndexFunc(items, func(i Item) bool { return !isHash(i.ID) || !isHash(i.Detail) }); i >= 0 {
			yield(layer.File{}, fmt.Errorf("%w: %q with %q is no entry of a build cache", refusal(RefusedName), items[i].ID, items[i].Detail)) // as a forged index may say
			return
		}
		for _, name := range entryFiles(items) {
			file, err := buildFile(root, name)
			if !yield(file, err) || err != nil {
				return
			}
		}
	}
}

// entryFiles are the names of the items' files, sorted, each once.
func entryFiles(items []Item) []string {
	names := make([]string, 0, 2*len(items))
	for _, item := range items {
		names = append(names, actionFile(item.ID), outputFile(item.Detail))
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// buildFile is a file of a layer. Go overwrites entries in place, whoever it runs as, so that everybody may write to them.
func buildFile(root *os.Root, name string) (layer.File, error) {
	info, err := root.Lstat(name)
	mode := fs.FileMode(0o666)
	if err == nil && info.IsDir() {
		var inside string
		if inside, err = executable(root, name[3:3+64]); err != nil {
			return layer.File{}, fmt.Errorf("%s: %w", name, err)
		}
		name, mode = name+"/"+inside, 0o777
		info, err = root.Lstat(name)
	}
	if err != nil {
		return layer.File{}, unreadable(err)
	}
	return fileOf(root, name, info, mode, buildTime)
}

// fileOf is a file of a layer with the content that a regular file has below root.
func fileOf(root *os.Root, name string, info fs.FileInfo, mode fs.FileMode, mtime time.Time) (layer.File, error) {
	if !info.Mode().IsRegular() {
		return layer.File{}, fmt.Errorf("%s: want a regular file, found %s: %w", name, info.Mode(), refusal(RefusedType))
	}
	return layer.File{Name: name, Mode: mode, ModTime: mtime, Size: info.Size(), Open: func() (io.ReadCloser, error) {
		f, _, err := open(root, name)
		return f, err
	}}, nil
}
