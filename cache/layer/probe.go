package layer

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"golang.org/x/sys/unix"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/flock"
)

// Probe says, in an error that wraps ErrUnsupported, what of the host keeps this driver from working. It mounts and unmounts an
// empty overlay below the state directory, since only the kernel can tell whether that filesystem will do; that takes
// milliseconds.
func (d *Image) Probe(ctx context.Context) error {
	problems := []error{installed("sqfstar"), installed("mount"), knows("squashfs"), knows("overlay")}
	if _, err := os.Stat("/dev/loop-control"); err != nil {
		problems = append(problems, fmt.Errorf("%w: no loop devices (try modprobe loop): %w", ErrUnsupported, err))
	}
	if err := errors.Join(problems...); err != nil {
		return err
	}
	return d.tryMount(ctx)
}

// Probe says, in an error that wraps ErrUnsupported, what of the host keeps this driver from working.
func (d *Copy) Probe(context.Context) error {
	return errors.Join(installed("sqfstar"), installed("unsquashfs"))
}

func installed(name string) error {
	if _, err := exec.LookPath(name); err != nil {
		return fmt.Errorf("%w: install %s: %w", ErrUnsupported, packages[name], err)
	}
	return nil
}

// knows asks for the filesystem, upon which the kernel loads its module; /proc/filesystems lists only those that are loaded.
func knows(filesystem string) error {
	fd, err := unix.Fsopen(filesystem, unix.FSOPEN_CLOEXEC)
	switch {
	case errors.Is(err, unix.ENODEV):
		return fmt.Errorf("%w: the kernel has no %s (try modprobe %s)", ErrUnsupported, filesystem, filesystem)
	case errors.Is(err, unix.EPERM):
		return fmt.Errorf("%w: mounting needs root and CAP_SYS_ADMIN: %w", ErrUnsupported, err)
	case errors.Is(err, unix.ENOSYS):
		return fmt.Errorf("%w: mounting needs Linux 5.10: %w", ErrUnsupported, err)
	case err != nil:
		return fmt.Errorf("ask the kernel for %s: %w", filesystem, err)
	}
	return unix.Close(fd)
}

// tryMount works in one folder, a process after the other, so that each finds what one that was killed has left.
func (d *Image) tryMount(ctx context.Context) error {
	unlock, err := flock.Lock(ctx, filepath.Join(d.host.mnt(), ".lock-probe"), flock.Exclusive)
	if err != nil {
		return err
	}
	defer unlock()
	w := Work{Dir: filepath.Join(d.host.mnt(), ".probe")}
	clean := func() error {
		if err := d.Unmount(context.WithoutCancel(ctx), w); err != nil {
			return err // what is mounted must not be removed file by file
		}
		return os.RemoveAll(w.Dir)
	}
	if err := clean(); err != nil {
		return err
	}
	return errors.Join(d.Mount(ctx, w, nil), clean())
}
