package goenv

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"

	"golang.org/x/sync/errgroup"
)

// cDirs are where a C compiler and a linker find what they read, whatever the distribution; the compiler is asked for more.
var cDirs = []string{"/usr", "/lib", "/lib32", "/lib64", "/libx32", "/bin", "/sbin", "/opt", "/usr/share/pkgconfig"}

// noCDirs hold nothing of the kind; what is wanted below them is one of cDirs. notImage is nothing that an image has, and / would be
// all of it.
var (
	noCDirs  = []string{"/usr/share"}
	notImage = regexp.MustCompile(`^/((dev|proc|sys)(/.*)?)?$`)
)

var (
	// cFile is a file that is read for what it is named: headers, libraries, objects, pkg-config files, scripts of linker and compiler.
	cFile = regexp.MustCompile(`\.(h|hh|hpp|hxx|h\+\+|inc|inl|ipp|tcc|modulemap|a|la|o|obj|pc|ld|lds|specs?)$|\.so(\.|$)`)
	// cFolder is a folder all of which is read: C++ headers have no extension, and neither have the linker's own scripts.
	cFolder = regexp.MustCompile(`^(include|include-fixed|finclude|ldscripts)$`)
	// cTool is a compiler or what it runs, with the prefix of a cross compiler and the suffix of a version.
	cTool = regexp.MustCompile(`^([a-z0-9_]+-)*` +
		`(cc|c\+\+|gcc|g\+\+|clang|clang\+\+|cpp|tcc|zig|cc1|cc1plus|collect2|lto1|lto-wrapper|as|ld|ld\.[a-z]+|gold|lld|mold|ar|gcc-ar|pkg-config|pkgconf)` +
		`(-[0-9.]+)?$`)
)

// machineC is the C side of a machine.
type machineC struct {
	root  string   // the machine's /, for tests; "" is /
	dirs  []string // to look into, all of them absolute
	skip  []string // what of them is not looked into
	about string   // what the compiler says about itself
}

// fingerprint is the SHA-256 of what is there: paths, contents of files, targets of links. What differs between two builds of an image
// from the same packages is no part of it: times, owners, the linker's cache in /etc, what Python compiles.
func (c machineC) fingerprint(ctx context.Context) (string, error) {
	found, err := c.find(ctx)
	if err != nil {
		return "", err
	}
	paths := slices.Sorted(maps.Keys(found))
	sums := make([]string, len(paths))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(2 * runtime.GOMAXPROCS(0)) // a disk has more to do while a processor hashes
	for n, path := range paths {
		group.Go(func() (err error) {
			sums[n], err = c.sum(ctx, path, found[path])
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return "", err
	}
	all := sha256.New()
	fmt.Fprintf(all, "%q\n", c.about)
	for n, path := range paths {
		fmt.Fprintf(all, "%q %s\n", path, sums[n])
	}
	return hex.EncodeToString(all.Sum(nil)), nil
}

// find walks the folders and tells the type of each file that is part of the C side.
func (c machineC) find(ctx context.Context) (map[string]fs.FileMode, error) {
	found := map[string]fs.FileMode{}
	walked := map[string]bool{}
	for _, dir := range c.dirs {
		dir = filepath.Clean(dir)
		if notImage.MatchString(dir) {
			continue
		}
		err := filepath.WalkDir(filepath.Join(c.root, dir), func(path string, e fs.DirEntry, err error) error {
			path = "/" + strings.TrimPrefix(strings.TrimPrefix(path, c.root), "/")
			switch {
			case ctx.Err() != nil:
				return context.Cause(ctx)
			case errors.Is(err, fs.ErrNotExist), errors.Is(err, fs.ErrPermission):
				return nil // no job reads it either
			case err != nil:
				return err
			case e.IsDir():
				if walked[path] || e.Name() == "__pycache__" || slices.Contains(c.skip, path) {
					return fs.SkipDir
				}
				walked[path] = true
			case (e.Type().IsRegular() || e.Type() == fs.ModeSymlink) && isC(path):
				found[path] = e.Type()
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return found, nil
}

func isC(path string) bool {
	name := filepath.Base(path)
	if cFile.MatchString(name) || cTool.MatchString(name) {
		return true
	}
	return slices.ContainsFunc(strings.Split(filepath.Dir(path), "/"), cFolder.MatchString)
}

// buffers are for hashing.
var buffers = sync.Pool{New: func() any { return new([128 << 10]byte) }}

// sum stands for one file: its type, and its content or where it points to.
func (c machineC) sum(ctx context.Context, path string, of fs.FileMode) (string, error) {
	full := filepath.Join(c.root, path)
	if of == fs.ModeSymlink {
		target, err := os.Readlink(full)
		return fmt.Sprintf("link %q", target), err
	}
	file, err := os.OpenFile(full, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if errors.Is(err, fs.ErrPermission) {
		return "unreadable", nil // to a job too
	}
	if err != nil {
		return "", err
	}
	defer file.Close()
	content := sha256.New()
	if err := copyHash(ctx, content, file); err != nil {
		return "", err
	}
	return "file " + hex.EncodeToString(content.Sum(nil)), nil
}

// copyHash looks at the context often: a file may be as long as an image wants.
func copyHash(ctx context.Context, to hash.Hash, from io.Reader) error {
	buffer := buffers.Get().(*[128 << 10]byte)
	defer buffers.Put(buffer)
	for {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		n, err := from.Read(buffer[:])
		to.Write(buffer[:n])
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}
