package layer

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// copyTree copies folders and regular files, with their modes and times, over what is there: a folder is united with a folder,
// and else the new one takes the old one's place. Files are copied, never linked: jobs change some in place. Where the filesystem
// can share blocks, it does (copy_file_range(2), which io.Copy uses).
func copyTree(ctx context.Context, from, to string) error {
	var folders []stamp
	err := filepath.WalkDir(from, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		name, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		target := filepath.Join(to, name)
		switch {
		case e.IsDir():
			folders = append(folders, stamp{target, info.ModTime()})
			return replaceFolder(target, info)
		case e.Type().IsRegular():
			return replaceFile(path, target, info)
		}
		return nil // no layer of ours has anything else
	})
	// The deepest first, since what is made in a folder changes its time.
	for _, f := range slices.Backward(folders) {
		err = errors.Join(err, os.Chtimes(f.path, f.time, f.time))
	}
	return err
}

type stamp struct {
	path string
	time time.Time
}

func newFolder(path string, mode fs.FileMode) error {
	if err := os.Mkdir(path, 0o700); err != nil {
		return err
	}
	return os.Chmod(path, mode) // whatever the umask
}

func replaceFolder(path string, like fs.FileInfo) error {
	old, err := os.Lstat(path)
	if err == nil && old.IsDir() {
		return os.Chmod(path, like.Mode().Perm())
	}
	if err == nil {
		err = os.Remove(path)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return newFolder(path, like.Mode().Perm())
}

func replaceFile(from, to string, like fs.FileInfo) (err error) {
	if err := os.RemoveAll(to); err != nil {
		return err
	}
	source, err := os.Open(from)
	if err != nil {
		return err
	}
	defer source.Close()
	target, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(target, source)
	return errors.Join(err, target.Chmod(like.Mode().Perm()), target.Close(), os.Chtimes(to, like.ModTime(), like.ModTime()))
}
