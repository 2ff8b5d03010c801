package kind

import (
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
	"syscall"

	"golang.org/x/mod/module"
	"golang.org/x/mod/sumdb/dirhash"
	modzip "golang.org/x/mod/zip"
)

// zipAndTree gives the size of the zip, its hash file and the extracted tree if all are right: Go uses a tree only beside the hash
// file and hashes neither again (DownloadDir and checkMod in cmd/go/internal/modfetch), and go mod download wants the zip.
func (v *version) zipAndTree() (int64, error) {
	_, err := v.root.Lstat(partFile(v.mod, "partial"))
	if err == nil {
		return 0, refusal(RefusedIncomplete) // Go was extracting it
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return 0, judge(err)
	}
	hash, err := read(v.root, partFile(v.mod, partZipHash), 1<<10)
	if err != nil {
		return 0, err
	}
	file, info, err := open(v.root, partFile(v.mod, partZip))
	if err != nil {
		return 0, err
	}
	defer file.Close()
	if err := isFolder(v.root, partFile(v.mod, partTree)); err != nil {
		return 0, err
	}
	if !v.vouched("", string(hash)) { // before the work of hashing
		return 0, refusal(RefusedSum)
	}
	archive, err := openZip(file, info.Size(), v.mod)
	if err == nil {
		err = v.budget.take(archive.size)
	}
	if err != nil {
		return 0, err
	}
	sum, err := archive.sum(v.ctx)
	if err == nil && sum != string(hash) {
		err = refusal(RefusedHash)
	}
	if err != nil {
		return 0, err
	}
	size, err := v.tree(archive, sum)
	return size + info.Size() + int64(len(hash)), err
}

// archive is what a module's zip says that it holds, by name below the module's root.
type archive struct {
	prefix  string // path@version/
	files   map[string]*zip.File
	folders map[string]bool
	names   []string // of files, with the prefix
	size    int64    // of all that it inflates to
}

// maxDirectory bounds what is read of a zip's directory, all of which is held in memory. Go's own source, with 15 000 files, has
// 1.6 MB.
const maxDirectory = 32 << 20

// openZip reads the directory of a zip and refuses what cmd/go would (checkZip in golang.org/x/mod/zip, which takes a path and no
// open file), and entries for folders, with which no extracted tree can have the sum of its zip.
func openZip(file io.ReaderAt, size int64, mod module.Version) (*archive, error) {
	if size > modzip.MaxZipFile {
		return nil, refusal(RefusedSize)
	}
	limited := &limitedAt{ReaderAt: file, left: maxDirectory}
	reader, err := zip.NewReader(limited, size)
	if err != nil {
		return nil, garbled(err)
	}
	limited.left = -1
	a := &archive{prefix: mod.String() + "/", files: map[string]*zip.File{}, folders: map[string]bool{".": true}}
	folded := map[string]string{}
	var total uint64
	for _, f := range reader.File {
		name, ok := strings.CutPrefix(f.Name, a.prefix)
		if !ok || module.CheckFilePath(name) != nil || a.files[name] != nil || !a.addFolders(name, folded) {
			return nil, refusal(RefusedName)
		}
		total += min(f.UncompressedSize64, modzip.MaxZipFile+1)
		if total > modzip.MaxZipFile || name == "go.mod" && f.UncompressedSize64 > modzip.MaxGoMod ||
			name == "LICENSE" && f.UncompressedSize64 > modzip.MaxLICENSE {
			return nil, refusal(RefusedSize)
		}
		a.files[name] = f
		a.names = append(a.names, f.Name)
	}
	a.size = int64(total)
	return a, nil
}

// addFolders notes the folders that a file is in. It is false if the name, or that of a folder, differs from another one in nothing but
// case: on some systems these would be one.
func (a *archive) addFolders(name string, folded map[string]string) bool {
	for p := name; p != "."; p = path.Dir(p) {
		lower := strings.ToLower(p)
		if other, ok := folded[lower]; ok && other != p {
			return false
		}
		folded[lower] = p
		if p != name {
			a.folders[p] = true
		}
	}
	return true
}

// sum is the h1 of the zip. What an entry inflates to is bounded by the size in the directory: archive/zip reads no more.
func (a *archive) sum(ctx context.Context) (string, error) {
	sum, err := dirhash.Hash1(a.names, func(name string) (io.ReadCloser, error) {
		r, err := a.files[strings.TrimPrefix(name, a.prefix)].Open()
		if err != nil {
			return nil, err
		}
		return readCloser{reading{ctx, r}, r}, nil
	})
	if err != nil && ctx.Err() == nil {
		err = garbled(err)
	}
	return sum, err
}

// readCloser reads from one and closes the other.
type readCloser struct {
	io.Reader
	io.Closer
}

// garbled tells what is wrong with a zip from what is wrong with the disk.
func garbled(err error) error {
	var errno syscall.Errno
	var r refusal
	if errors.As(err, &errno) || errors.As(err, &r) {
		return err
	}
	return refusal(RefusedFormat)
}

// limitedAt refuses to read more than what is left; less than 0 is no limit.
type limitedAt struct {
	io.ReaderAt
	left int64
}

func (l *limitedAt) ReadAt(p []byte, at int64) (int, error) {
	if l.left >= 0 {
		if l.left -= int64(len(p)); l.left < 0 {
			l.left = 0
			return 0, refusal(RefusedSize)
		}
	}
	return l.ReaderAt.ReadAt(p, at)
}

// tree gives the size of the extracted tree if it is what the zip, of this sum, holds.
func (v *version) tree(a *archive, sum string) (int64, error) {
	root, err := v.root.OpenRoot(partFile(v.mod, partTree))
	if err != nil {
		return 0, judge(err)
	}
	defer root.Close()
	w := &walk{ctx: v.ctx, root: root, archive: a, isToolchain: v.mod.Path == toolchain}
	if err := w.folder("."); err != nil {
		return 0, err
	}
	got, err := dirhash.Hash1(a.names, func(name string) (io.ReadCloser, error) {
		f, _, err := open(root, strings.TrimPrefix(name, a.prefix))
		if err != nil {
			return nil, err
		}
		return readCloser{reading{v.ctx, f}, f}, nil
	})
	if err == nil && got != sum {
		err = refusal(RefusedHash)
	}
	return a.size + w.copied, err
}

// walk checks that a tree holds no more than its zip does. It stops at the first file too many, so that a tree without end costs
// nothing.
type walk struct {
	ctx         context.Context
	root        *os.Root
	archive     *archive
	isToolchain bool
	copied      int64 // bytes of go.mod files that are copies
}

func (w *walk) folder(name string) error {
	folder, err := openDir(w.root, name)
	if err != nil {
		return judge(err)
	}
	defer folder.Close()
	for {
		entries, err := folder.ReadDir(1 << 8)
		for _, e := range entries {
			if err := w.entry(path.Join(name, e.Name()), e); err != nil {
				return err
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return judge(err)
		}
	}
}

func (w *walk) entry(name string, e os.DirEntry) error {
	if w.ctx.Err() != nil {
		return context.Cause(w.ctx)
	}
	f := w.archive.files[name]
	switch {
	case e.IsDir() && w.archive.folders[name]:
		return w.folder(name)
	case f == nil && w.isToolchain && path.Base(name) == "go.mod":
		return w.goModCopy(name)
	case f == nil:
		return refusal(RefusedHash)
	case !e.Type().IsRegular():
		return refusal(RefusedType)
	}
	info, err := e.Info()
	if err != nil {
		return judge(err)
	}
	if uint64(info.Size()) != f.UncompressedSize64 {
		return refusal(RefusedHash)
	}
	return nil
}

// goModCopy checks a go.mod of a toolchain. A module cannot hold another one, so in the zip it is called _go.mod, and Go copies it when
// it first switches (raceSafeCopy in cmd/go/internal/toolchain).
func (w *walk) goModCopy(name string) error {
	original := path.Join(path.Dir(name), "_go.mod")
	if w.archive.files[original] == nil {
		return refusal(RefusedHash)
	}
	want, err := read(w.root, original, modzip.MaxGoMod)
	if err != nil {
		return err
	}
	got, err := read(w.root, name, modzip.MaxGoMod)
	if err == nil && !bytes.Equal(got, want) {
		err = refusal(RefusedHash)
	}
	w.copied += int64(len(got))
	return err
}
