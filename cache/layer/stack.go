package layer

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/moby/sys/mountinfo"
	"golang.org/x/sys/unix"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/crash"
	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/flock"
)

// Parts of an image driver's work folder, beside merged.
const (
	upper  = "upper"  // what was changed
	work   = "work"   // the kernel's own
	empty  = "empty"  // the lower folder of a stack without layers
	merged = "merged" // Work.Merged
)

func (w Work) lock(ctx context.Context) (unlock func(), err error) {
	return flock.Lock(ctx, filepath.Join(w.Dir, ".lock"), flock.Exclusive)
}

// Mount mounts an overlay. If the same layers are mounted there already, nothing is done.
func (d *Image) Mount(ctx context.Context, w Work, layers []string) error {
	unlock, err := w.lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	want := sourceOf(layers)
	there, err := mountedAt(w.Merged())
	switch {
	case err != nil:
		return err
	case there == want:
		return nil
	case there != "":
		return fmt.Errorf("%s is mounted over something else (%s): unmount it first", w.Merged(), there)
	}
	unlockLayers, err := d.host.hold(ctx, layers, d.Layer, holdsImage)
	if err != nil {
		return err
	}
	defer unlockLayers()
	if err := prepareWork(w); err != nil {
		return err
	}
	crash.At(crash.UpperMade)
	o := overlay{dir: w.Dir, source: want, base: d.host.mnt(), enforced: enforced()}
	for _, digest := range layers {
		o.lowers = append(o.lowers, filepath.Join(digest, Tree))
	}
	if len(layers) == 0 {
		o.base, o.lowers = w.Dir, []string{empty}
	}
	if err := d.mounter(o); err != nil {
		return fmt.Errorf("mount %d layers at %s: %w", len(layers), w.Merged(), err)
	}
	return nil
}

// sourceOf is the name under which a stack is in the mount table.
func sourceOf(layers []string) string {
	sum := sha256.Sum256([]byte(strings.Join(layers, ",")))
	return "layers-" + hex.EncodeToString(sum[:8])
}

// mountedAt gives the source of the topmost mount at path, or nothing.
func mountedAt(path string) (string, error) {
	path, err := filepath.EvalSymlinks(path)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	if mounted, err := mountinfo.Mounted(path); err != nil || !mounted {
		return "", err
	}
	mounts, err := mountinfo.GetMounts(mountinfo.SingleEntryFilter(path))
	if err != nil || len(mounts) == 0 {
		return "", err
	}
	return mounts[len(mounts)-1].Source, nil
}

// prepareWork makes what an overlay needs. The kernel's own folder is made anew each time: a volatile mount marks it, so that
// nobody takes up again what a crash may have cut off (Documentation/filesystems/overlayfs.rst, "Volatile mount"). We do, since
// whoever takes the changes checks them.
func prepareWork(w Work) error {
	if err := os.Chmod(w.Dir, 0o700); err != nil {
		return err
	}
	path := func(name string) string { return filepath.Join(w.Dir, name) }
	if err := os.RemoveAll(path(work)); err != nil {
		return err
	}
	for _, folder := range []string{merged, work, empty} {
		if err := os.MkdirAll(path(folder), 0o700); err != nil {
			return err
		}
	}
	err := os.Mkdir(path(upper), 0o777)
	if err == nil {
		err = os.Chmod(path(upper), 0o777) // whatever the umask: jobs run as any user
	}
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	return err
}

// patience is how long a mount may be busy before it is detached: something, such as a virus scanner, has a file open in it.
const patience = 5 * time.Second

// Unmount unmounts the overlay.
func (d *Image) Unmount(ctx context.Context, w Work) error {
	if _, err := os.Lstat(w.Merged()); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	}
	unlock, err := w.lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	patient, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	flags := unix.UMOUNT_NOFOLLOW
	for {
		mounted, err := mountinfo.Mounted(w.Merged())
		if err != nil || !mounted {
			return err
		}
		err = unix.Unmount(w.Merged(), flags)
		switch {
		case err == nil: // there may be one below
		case !errors.Is(err, unix.EBUSY):
			return fmt.Errorf("unmount %s: %w", w.Merged(), err)
		case patient.Err() != nil:
			flags |= unix.MNT_DETACH
		default:
			pause(patient, 10*time.Millisecond)
		}
	}
}
