package layer

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"github.com/dustin/go-humanize"
)

// Copy is the Driver that copies: the reference for what Image does, and what hosts without loop devices or overlays have.
type Copy struct {
	host Host
	most int64 // bytes that a layer may unpack to
}

var _ Driver = (*Copy)(nil)

// NewCopy makes the driver of a host.
func NewCopy(h Host) *Copy { return &Copy{host: h, most: maxUnpacked} }

// maxUnpacked is four times what one harvest takes, since layers are merged. An image of some KB, made by hand, can claim more than any disk has.
const maxUnpacked = 64 << 30

// Layer unpacks the layer.
func (d *Copy) Layer(ctx context.Context, digest string) (string, error) {
	return d.host.readable(ctx, digest, unpacked, func(string) error {
		if err := d.unpack(ctx, digest); err != nil {
			return fmt.Errorf("unpack layer %.12s: %w", digest, err)
		}
		return nil
	})
}

// unpacked says whether the layer is there. It comes by a rename, so it is there whole; an empty folder is what a mount left.
func unpacked(dir string) bool {
	_, err := os.Lstat(filepath.Join(dir, Tree))
	return err == nil
}

func (d *Copy) unpack(ctx context.Context, digest string) error {
	unlock, err := d.host.working(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	if err := d.measure(ctx, digest); err != nil {
		return d.host.blame(ctx, digest, err)
	}
	path, err := aside(d.host.mnt(), staging)
	if err != nil {
		return err
	}
	t := newTool(ctx, "unsquashfs", "-quiet", "-no-progress", "-no-xattrs", "-strict-errors",
		"-processors", strconv.Itoa(min(runtime.NumCPU(), writerProcessors)), "-dest", path, d.host.File(digest))
	err = t.run()
	if err != nil {
		err = d.host.blame(ctx, digest, err)
	} else {
		err = complete(path)
	}
	if err == nil {
		err = os.Rename(path, d.host.Mnt(digest))
	}
	if err != nil {
		return errors.Join(err, os.RemoveAll(path))
	}
	return nil
}

// measure refuses a layer that unpacks to more than any of ours.
func (d *Copy) measure(ctx context.Context, digest string) error {
	files := listing{left: d.most}
	t := newTool(ctx, "unsquashfs", "-lln", d.host.File(digest))
	t.cmd.Stdout = &files
	err := t.run()
	if files.left < 0 {
		return fmt.Errorf("%w: it unpacks to more than %s", ErrCorrupt, humanize.IBytes(uint64(d.most)))
	}
	return err
}

// listing takes what unsquashfs -lln says of an image, and subtracts the size of each file, and a block for each name, from what is left:
//
//	-rw-r--r-- 0/0                     175 1970-01-01 00:00 squashfs-root/tree/build/00/…
//
// A line that a name with a line feed has forged can only subtract more.
type listing struct {
	left int64
	head []byte // of the line
}

const (
	headSize  = 80 // enough for mode, owners of ten digits, and a size
	blockSize = 4 << 10
)

// Write takes the lines as they come. Once nothing is left it ends the tool, which would list an image without end.
func (l *listing) Write(p []byte) (int, error) {
	for _, c := range p {
		switch {
		case c == '\n':
			l.line()
			l.head = l.head[:0]
		case len(l.head) < headSize:
			l.head = append(l.head, c)
		}
	}
	if l.left < 0 {
		return 0, ErrCorrupt
	}
	return len(p), nil
}

func (l *listing) line() {
	if l.left < 0 {
		return
	}
	l.left -= blockSize
	fields := strings.Fields(string(l.head))
	if len(fields) < 3 || fields[0][0] != '-' {
		return
	}
	size, err := strconv.ParseInt(fields[2], 10, 64)
	if err != nil || size < 0 || size > l.left {
		l.left = -1
		return
	}
	l.left -= size
}

// Release removes what was unpacked.
func (d *Copy) Release(ctx context.Context, digest string) error { return d.host.release(ctx, digest) }

// Held lists what is unpacked.
func (d *Copy) Held(context.Context) ([]string, error) {
	entries, err := os.ReadDir(d.host.mnt())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	var digests []string
	for _, e := range entries {
		if checkDigest(e.Name()) == nil && unpacked(d.host.Mnt(e.Name())) {
			digests = append(digests, e.Name())
		}
	}
	return digests, nil
}

// Mount copies the trees of the layers, the lowest first. The folder appears when it is whole; one that is there is kept.
func (d *Copy) Mount(ctx context.Context, w Work, layers []string) error {
	unlock, err := w.lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	if err := os.Chmod(w.Dir, 0o700); err != nil {
		return err
	}
	if _, err := os.Lstat(w.Merged()); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	path := filepath.Join(w.Dir, staging+merged)
	if err := os.RemoveAll(path); err != nil {
		return err
	}
	if err := newFolder(path, 0o777); err != nil {
		return err
	}
	unlockLayers, err := d.host.hold(ctx, layers, d.Layer, unpacked)
	if err != nil {
		return err
	}
	defer unlockLayers()
	for _, digest := range slices.Backward(layers) {
		if err := copyTree(ctx, filepath.Join(d.host.Mnt(digest), Tree), path); err != nil {
			return fmt.Errorf("copy layer %.12s: %w", digest, err)
		}
	}
	return os.Rename(path, w.Merged())
}

// Unmount does nothing: the changes are where they are.
func (d *Copy) Unmount(context.Context, Work) error { return nil }
