package layer

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/moby/sys/mountinfo"
	"golang.org/x/sys/unix"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/crash"
	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/flock"
)

// Image is the Driver that mounts: each layer file once, through a loop device, and overlays over them. It also is a Watcher.
type Image struct {
	host    Host
	mounter func(overlay) error
}

var _ interface {
	Driver
	Watcher
} = (*Image)(nil)

// NewImage makes the driver of a host.
func NewImage(h Host) *Image { return &Image{host: h, mounter: mountOverlay} }

// Layer mounts the layer.
func (d *Image) Layer(ctx context.Context, digest string) (string, error) {
	dir, err := d.mounted(ctx, digest)
	if err != nil && !errors.Is(err, ErrCorrupt) && strings.Contains(err.Error(), "superblock") && d.mountsAnother(ctx, digest) {
		err = fmt.Errorf("%w: it is what its name says, and the kernel mounts others: %w", ErrCorrupt, err)
	}
	return dir, err
}

// mountsAnother tells an image that was made by hand from a host that can mount none, to both of which mount(8) says the same: it tries one of our own.
func (d *Image) mountsAnother(ctx context.Context, than string) bool {
	own, err := d.host.Write(ctx, nil, func(func(File, error) bool) {})
	if err != nil || own.Digest == than {
		return false
	}
	_, err = d.Layer(ctx, own.Digest)
	return errors.Join(err, d.Release(ctx, own.Digest), d.host.Remove(own.Digest)) == nil
}

func (d *Image) mounted(ctx context.Context, digest string) (string, error) {
	return d.host.readable(ctx, digest, holdsImage, func(dir string) error {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return err
		}
		crash.At(crash.MountPointMade)
		if err := d.mountImage(ctx, digest); err != nil {
			_ = os.Remove(dir)
			return fmt.Errorf("mount layer %.12s: %w", digest, d.host.blame(ctx, digest, err))
		}
		crash.At(crash.LayerMounted)
		if err := complete(dir); err != nil {
			return errors.Join(fmt.Errorf("layer %.12s: %w", digest, err), detach(dir), os.Remove(dir))
		}
		return nil
	})
}

// holdsImage asks the kernel whether a squashfs is mounted there. It is much cheaper than to read the mount table, and a folder
// that a reboot left tells nothing.
func holdsImage(dir string) bool {
	var stat unix.Statfs_t
	return unix.Statfs(dir, &stat) == nil && stat.Type == unix.SQUASHFS_MAGIC
}

// complete says whether what is readable is a layer.
func complete(dir string) error {
	tree, err := os.Lstat(filepath.Join(dir, Tree))
	if err != nil {
		return fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	index, err := os.Lstat(filepath.Join(dir, Index))
	if err != nil {
		return fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	if !tree.IsDir() || !index.Mode().IsRegular() {
		return fmt.Errorf("%w: it has no folder %q or no file %q", ErrCorrupt, Tree, Index)
	}
	return nil
}

// Attempts to mount an image, and what mount(8) says when another process was faster to take the loop device that it had found,
// or when the kernel had not yet given back one that it found to hold the same file.
const mountAttempts = 8

var lostRace = []string{"loop device", "busy", "already mounted"}

func (d *Image) mountImage(ctx context.Context, digest string) error {
	options := "loop,ro,nodev,nosuid" + imageContext(enforced())
	for attempt := 1; ; attempt++ {
		t := newTool(ctx, "mount", "-t", "squashfs", "-o", options, d.host.File(digest), d.host.Mnt(digest))
		err := t.run()
		if err == nil || attempt == mountAttempts || ctx.Err() != nil {
			return err
		}
		lost := func(text string) bool { return strings.Contains(string(t.said), text) }
		if !slices.ContainsFunc(lostRace, lost) {
			return err
		}
		pause(ctx, time.Duration(attempt)*20*time.Millisecond)
	}
}

// pause waits, at the longest until ctx ends.
func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// blame finds out whether it is the layer file's fault that it cannot be read.
func (h Host) blame(ctx context.Context, digest string, problem error) error {
	file, err := os.Open(h.File(digest))
	if err != nil {
		return errors.Join(problem, err)
	}
	defer file.Close()
	magic := make([]byte, 4)
	if _, err := file.ReadAt(magic, 0); err != nil || string(magic) != "hsqs" {
		return fmt.Errorf("%w: no squashfs image: %w", ErrCorrupt, problem)
	}
	info, err := digestOf(ctx, file)
	if err != nil {
		return errors.Join(problem, err)
	}
	if info.Digest != digest {
		return fmt.Errorf("%w: its digest is %.12s: %w", ErrCorrupt, info.Digest, problem)
	}
	return problem
}

// Release unmounts the layer. Overlays have a mount of their own of it, and files that are open stay so.
func (d *Image) Release(ctx context.Context, digest string) error { return d.host.release(ctx, digest) }

// release ends what either driver began.
func (h Host) release(ctx context.Context, digest string) error {
	if err := checkDigest(digest); err != nil {
		return err
	}
	dir := h.Mnt(digest)
	if _, err := os.Lstat(dir); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	unlock, err := h.lock(ctx, flock.Exclusive, digest)
	if err != nil {
		return err
	}
	defer unlock()
	if err := detach(dir); err != nil {
		return fmt.Errorf("unmount layer %.12s: %w", digest, err)
	}
	crash.At(crash.LayerUnmounted)
	if err := unix.Rmdir(dir); err == nil {
		return nil
	}
	return discard(dir, h.mnt())
}

// detach unmounts a layer even if somebody reads it: it is read-only, so whoever has it open can go on, and the kernel gives the
// loop device back after the last of them.
func detach(dir string) error {
	for holdsImage(dir) {
		if err := unix.Unmount(dir, unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW); err != nil {
			return err
		}
	}
	return nil
}

// Held reads the mount table.
func (d *Image) Held(context.Context) ([]string, error) {
	folder, err := filepath.EvalSymlinks(d.host.mnt())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	mounts, err := mountinfo.GetMounts(func(m *mountinfo.Info) (skip, stop bool) {
		held := m.FSType == "squashfs" && filepath.Dir(m.Mountpoint) == folder && checkDigest(filepath.Base(m.Mountpoint)) == nil
		return !held, false
	})
	if err != nil {
		return nil, err
	}
	var digests []string
	for _, m := range mounts {
		digests = append(digests, filepath.Base(m.Mountpoint))
	}
	slices.Sort(digests)
	return slices.Compact(digests), nil
}
