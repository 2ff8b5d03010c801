// Package flock takes advisory locks on files, which the kernel gives back when their process dies.
package flock

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// How says who may hold a lock at the same time.
type How int

// Shared may be held by many, Exclusive by one alone.
const (
	Shared    How = unix.LOCK_SH
	Exclusive How = unix.LOCK_EX
)

// pause is the time between two attempts. flock(2) could wait by itself, but not until a context ends.
const pause = 5 * time.Millisecond

// Lock locks the file at path, which is made if need be, with its folder. It waits until ctx ends. Two locks of one process
// exclude each other too.
func Lock(ctx context.Context, path string, how How) (unlock func(), err error) {
	for {
		file, err := lock(ctx, path, how)
		if err != nil {
			return nil, err
		}
		unlock := func() {
			// Closing alone would leave the lock to a child that another goroutine has just forked, until it execs.
			_ = unix.Flock(int(file.Fd()), unix.LOCK_UN)
			_ = file.Close()
		}
		if isAt(file, path) {
			return unlock, nil
		}
		unlock() // Sweep has removed it since it was opened, and others may hold what is there now
	}
}

// isAt says whether a file that is open is still the one at path.
func isAt(file *os.File, path string) bool {
	mine, err := file.Stat()
	if err != nil {
		return false
	}
	there, err := os.Stat(path)
	return err == nil && os.SameFile(mine, there)
}

// Sweep removes the files of a folder of locks that nobody holds and that were made so long ago. Where each thing has a lock of its own, those
// of things that are gone would stay for ever.
func Sweep(ctx context.Context, folder string, olderThan time.Duration) error {
	entries, err := os.ReadDir(folder)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, e := range entries {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		info, err := e.Info()
		if err != nil || !info.Mode().IsRegular() || time.Since(info.ModTime()) < olderThan {
			continue
		}
		if err := remove(ctx, filepath.Join(folder, e.Name())); err != nil {
			return err
		}
	}
	return nil
}

// remove removes the file of a lock, if nobody holds it.
func remove(ctx context.Context, path string) error {
	now, cancel := context.WithTimeout(ctx, time.Millisecond)
	defer cancel()
	unlock, err := Lock(now, path, Exclusive)
	if err != nil {
		return nil // it is held
	}
	defer unlock()
	return os.Remove(path)
}

func lock(ctx context.Context, path string, how How) (*os.File, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, err
	}
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	for {
		err := unix.Flock(int(file.Fd()), int(how)|unix.LOCK_NB)
		if err == nil {
			return file, nil
		}
		if !errors.Is(err, unix.EWOULDBLOCK) && !errors.Is(err, unix.EINTR) {
			return nil, errors.Join(fmt.Errorf("lock %s: %w", path, err), file.Close())
		}
		select {
		case <-ctx.Done():
			return nil, errors.Join(fmt.Errorf("wait for the lock %s: %w", path, context.Cause(ctx)), file.Close())
		case <-time.After(pause):
		}
	}
}
