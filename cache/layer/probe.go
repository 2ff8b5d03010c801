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

// Lack is something that a driver needs and this host does not have. As an error it is ErrUnsupported.
type Lack struct {
	What   string // is the matter
	Remedy string // what an administrator can do
	Err    error  // how that was found out; may be nil
}

// Error implements error.
func (l *Lack) Error() string {
	text := fmt.Sprintf("%v: %s (%s)", ErrUnsupported, l.What, l.Remedy)
	if l.Err != nil {
		text += ": " + l.Err.Error()
	}
	return text
}

// Unwrap gives ErrUnsupported, and the reason if there is one.
func (l *Lack) Unwrap() []error {
	if l.Err == nil {
		return []error{ErrUnsupported}
	}
	return []error{ErrUnsupported, l.Err}
}

// Lacks are those in an error of a driver, each by itself.
func Lacks(err error) []*Lack {
	switch e := err.(type) { //nolint:errorlint // it goes down by itself, and further than errors.As
	case *Lack:
		return []*Lack{e}
	case interface{ Unwrap() error }:
		return Lacks(e.Unwrap())
	case interface{ Unwrap() []error }:
		var all []*Lack
		for _, inner := range e.Unwrap() {
			all = append(all, Lacks(inner)...)
		}
		return all
	}
	return nil
}

// Probe says, in an error that wraps ErrUnsupported, what of the host keeps this driver from working. It mounts and unmounts an
// empty overlay below the state directory, since only the kernel can tell whether that filesystem will do; that takes
// milliseconds.
func (d *Image) Probe(ctx context.Context) error {
	if err := errors.Join(installed("sqfstar"), installed("mount"), Kernel()); err != nil {
		return err
	}
	return d.tryMount(ctx)
}

// Kernel says, in an error that wraps ErrUnsupported, what the kernel lacks for images to be mounted.
func Kernel() error {
	problems := []error{knows("squashfs"), knows("overlay")}
	if _, err := os.Stat("/dev/loop-control"); err != nil {
		problems = append(problems, &Lack{"no loop devices", "try modprobe loop; give a container /dev/loop-control and /dev/loop*", err})
	}
	return errors.Join(problems...)
}

// Probe says, in an error that wraps ErrUnsupported, what of the host keeps this driver from working.
func (d *Copy) Probe(context.Context) error {
	return errors.Join(installed("sqfstar"), installed("unsquashfs"))
}

func installed(name string) error {
	if _, err := exec.LookPath(name); err != nil {
		return missing(name, err)
	}
	return nil
}

func missing(tool string, err error) error {
	return &Lack{"there is no " + tool, "install " + packages[tool], err}
}

// knows asks for the filesystem, upon which the kernel loads its module; /proc/filesystems lists only those that are loaded.
func knows(filesystem string) error {
	fd, err := unix.Fsopen(filesystem, unix.FSOPEN_CLOEXEC)
	switch {
	case errors.Is(err, unix.ENODEV):
		return &Lack{"the kernel has no " + filesystem, "try modprobe " + filesystem, nil}
	case errors.Is(err, unix.EPERM):
		return &Lack{"mounting is not permitted", "mounting needs root and CAP_SYS_ADMIN", err}
	case errors.Is(err, unix.ENOSYS):
		return &Lack{"the kernel is too old", "mounting needs Linux 5.10", err}
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

// TakesManyLayers says whether the kernel takes the folders of an overlay one by one (Linux 6.7); on older ones their names have to fit
// into a page.
func TakesManyLayers() bool {
	fd, err := unix.Fsopen("overlay", unix.FSOPEN_CLOEXEC)
	if err != nil {
		return false
	}
	defer unix.Close(fd) //nolint:errcheck // there is nothing to be done about it
	return unix.FsconfigSetString(fd, "lowerdir+", "/") == nil
}
