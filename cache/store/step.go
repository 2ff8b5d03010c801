package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
	"time"
)

// grace is how long a step may take to notice that its context has ended.
const grace = 200 * time.Millisecond

// within takes a step that calls the kernel, which may hold it up for as long as it likes, as it does when the server of a network
// filesystem is gone. Such a step is left behind soon after ctx ends; should it succeed later, it is undone.
func within(ctx context.Context, undo func(), step func() error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	done, left := make(chan error), make(chan struct{})
	go func() {
		err := step()
		select {
		case done <- err:
		case <-left:
			if err == nil {
				undo()
			}
		}
	}()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
	}
	select {
	case err := <-done:
		return err
	case <-time.After(grace):
		close(left)
		return context.Cause(ctx)
	}
}

// stat tells about an object. What is no regular file is none, and neither is what would be below a file.
func stat(file string) (fs.FileInfo, error) {
	info, err := os.Lstat(file)
	if err == nil && info.Mode().IsRegular() {
		return info, nil
	}
	if err == nil || errors.Is(err, syscall.ENOTDIR) {
		err = &fs.PathError{Op: "stat", Path: file, Err: fs.ErrNotExist}
	}
	return nil, err
}

func open(file string) (*os.File, error) {
	if _, err := stat(file); err != nil {
		return nil, err
	}
	return os.Open(file)
}

// refused marks what the folder's filesystem will not do, now or later.
func refused(err error) error {
	for _, errno := range []syscall.Errno{syscall.EACCES, syscall.EPERM, syscall.EROFS, syscall.ENOSPC, syscall.EDQUOT} {
		if errors.Is(err, errno) {
			return fmt.Errorf("%w: %w", ErrRefused, err)
		}
	}
	return err
}

// local hides in an error about a file of the caller's what would be read as one about an object: that there is none.
func local(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return errors.New(err.Error())
	}
	return err
}
