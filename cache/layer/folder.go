package layer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// maxDepth is how deep a job's folders are followed. Each level costs an open file; module paths and packages stay far below.
const maxDepth = 200

// folder is an open folder of which a job may have made everything. What is in it is reached from it, one name at a time, so that
// neither symbolic links nor long paths matter.
type folder struct{ *os.File }

func openFolder(path string) (folder, error) { return openAt(unix.AT_FDCWD, path, path) }

// sub opens a folder in the folder.
func (f folder) sub(name string) (folder, error) {
	return openAt(int(f.Fd()), name, filepath.Join(f.Name(), name))
}

func openAt(at int, name, path string) (folder, error) {
	fd, err := unix.Openat(at, name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return folder{}, &fs.PathError{Op: "open", Path: path, Err: err}
	}
	return folder{os.NewFile(uintptr(fd), path)}, nil
}

// file opens a regular file in the folder.
func (f folder) file(name string) (*os.File, error) {
	path := filepath.Join(f.Name(), name)
	fd, err := unix.Openat(int(f.Fd()), name, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: path, Err: err}
	}
	return os.NewFile(uintptr(fd), path), nil
}

func (f folder) stat(name string) (unix.Stat_t, error) {
	var stat unix.Stat_t
	err := unix.Fstatat(int(f.Fd()), name, &stat, unix.AT_SYMLINK_NOFOLLOW)
	return stat, err
}

// has says whether anything has this name.
func (f folder) has(name string) (bool, error) {
	_, err := f.stat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// each calls do with what is in the folder, in no order.
func (f folder) each(ctx context.Context, do func(fs.DirEntry) error) error {
	for {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		entries, err := f.ReadDir(1 << 10)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("list a folder of a job: %w", err)
		}
		for _, e := range entries {
			if err := do(e); err != nil {
				return err
			}
		}
	}
}
