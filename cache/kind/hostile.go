package kind

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"runtime"
	"sync/atomic"
	"syscall"

	"golang.org/x/sync/errgroup"
)

// Why things that a job left are not taken. Counted is what was left out as one: a cache entry, a module version or its .info, a
// stray file.
const (
	RefusedName       = "name"       // no name that Go gives
	RefusedType       = "type"       // no regular file, or no folder where there has to be one
	RefusedSize       = "size"       // bigger than anything is let be, or not of the size that is told elsewhere
	RefusedFormat     = "format"     // garbled
	RefusedHash       = "hash"       // the content is not what the name, or the module's zip, says
	RefusedSum        = "sum"        // neither go.sum nor the checksum database vouches for it, or go.sum files disagree
	RefusedIncomplete = "incomplete" // something that belongs to it is missing
)

// Refusals are all of them.
func Refusals() []string {
	return []string{RefusedName, RefusedType, RefusedSize, RefusedFormat, RefusedHash, RefusedSum, RefusedIncomplete}
}

// Sizes that nothing honest exceeds: the biggest archives that the linker takes are about 2 GiB (cmd/internal/objfile has 32-bit
// offsets), and a harvest bigger than maxTotal would not fit a host's layers anyway.
const (
	maxFile  = 2 << 30
	maxTotal = 16 << 30
)

// maxItems bounds the entries, or module versions, that a harvest looks at: each costs some opens, and memory, also of every later job. All that Kubernetes compiles
// and tests is some 50 000.
const maxItems = 1 << 18

// budget is how many bytes a harvest may still read: files with holes are as big as they like, and the disk is no limit to what is hashed of them.
type budget struct{ left atomic.Int64 }

func newBudget() *budget {
	b := &budget{}
	b.left.Store(maxTotal)
	return b
}

// take refuses what is beyond.
func (b *budget) take(size int64) error {
	if b.left.Add(-size) < 0 {
		b.left.Add(size)
		return refusal(RefusedSize)
	}
	return nil
}

// refusal is one of the Refused words as an error.
type refusal string

func (r refusal) Error() string { return "not taken because of its " + string(r) }

// Refused says that an error is due to what is there, as a job or the writer of a layer has left it, and not to a disk.
func Refused(err error) bool {
	var r refusal
	return errors.As(err, &r)
}

// tally counts refusals.
type tally map[string]int

// note counts a refusal; any other error is given back.
func (t tally) note(err error) error {
	var r refusal
	if errors.As(err, &r) {
		t[string(r)]++
		return nil
	}
	return err
}

// judge tells the errors that a job can provoke by what it leaves, which are refusals, from those of a disk.
func judge(err error) error {
	var errno syscall.Errno
	switch {
	case err == nil, errors.Is(err, fs.ErrClosed):
		return err
	case errors.Is(err, fs.ErrNotExist):
		return refusal(RefusedIncomplete)
	case !errors.As(err, &errno): // os.Root: the path leads out of it
		return refusal(RefusedType)
	}
	switch errno {
	case syscall.ELOOP, syscall.ENOTDIR, syscall.EISDIR, syscall.ENAMETOOLONG, syscall.ENXIO, syscall.EACCES, syscall.EPERM:
		return refusal(RefusedType)
	}
	return err
}

// unreadable is judge for the error of a file of a layer, which is told in its own words too.
func unreadable(err error) error {
	if r := judge(err); Refused(r) {
		return fmt.Errorf("%w: %w", r, err)
	}
	return err
}

// open opens a regular file for reading. Nothing else is opened at all: the end of a FIFO may never come, and a device may act on
// being opened. os.Root follows a symbolic link within itself whatever the flags, hence the look before.
func open(root *os.Root, name string) (*os.File, fs.FileInfo, error) {
	info, err := root.Lstat(name)
	if err != nil {
		return nil, nil, judge(err)
	}
	if !info.Mode().IsRegular() {
		return nil, nil, refusal(RefusedType)
	}
	f, err := root.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, nil, judge(err)
	}
	info, err = f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = refusal(RefusedType)
	}
	if err != nil {
		_ = f.Close()
		return nil, nil, err
	}
	return f, info, nil
}

// openDir opens a folder and nothing else: hits are counted between two scripts too, when services of the job may still write.
func openDir(root *os.Root, name string) (*os.File, error) {
	return root.OpenFile(name, os.O_RDONLY|syscall.O_DIRECTORY|syscall.O_NONBLOCK, 0)
}

// isFolder refuses what is no folder itself, before it is opened as one.
func isFolder(root *os.Root, name string) error {
	info, err := root.Lstat(name)
	if err == nil && !info.IsDir() {
		return refusal(RefusedType)
	}
	return judge(err)
}

// read gives the content of a small regular file.
func read(root *os.Root, name string, limit int64) ([]byte, error) {
	f, info, err := open(root, name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if info.Size() > limit {
		return nil, refusal(RefusedSize)
	}
	data := make([]byte, info.Size())
	_, err = io.ReadFull(f, data)
	return data, err
}

// reading is a reader that ends with ctx.
type reading struct {
	ctx context.Context
	io.Reader
}

func (r reading) Read(p []byte) (int, error) {
	if r.ctx.Err() != nil {
		return 0, context.Cause(r.ctx)
	}
	return r.Reader.Read(p)
}

// each calls do for 0 to n-1, as many at a time as there are processors, until all are done, one fails or ctx ends.
func each(ctx context.Context, n int, do func(ctx context.Context, i int) error) error {
	group, inner := errgroup.WithContext(ctx)
	group.SetLimit(runtime.GOMAXPROCS(0))
	for i := range n {
		if inner.Err() != nil {
			break
		}
		group.Go(func() error { return do(inner, i) })
	}
	if err := group.Wait(); err != nil {
		return err
	}
	return context.Cause(ctx)
}
