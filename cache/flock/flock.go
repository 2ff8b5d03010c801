// Package flock takes advisory locks on files, which the kernel gives back when their process dies.
package flock

import (
	"context"
	"errors"
	"fmt"
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
			return func() {
				// Closing alone would leave the lock to a child that another goroutine has just forked, until it execs.
				_ = unix.Flock(int(file.Fd()), unix.LOCK_UN)
				_ = file.Close()
			}, nil
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
