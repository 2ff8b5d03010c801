package layer

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// overlay is one to be mounted in a work folder that prepareWork has made. All paths that the kernel is given are relative:
// fsconfig takes no string of more than 255 bytes, mount(2) no more than a page for all of them, and there no name may hold a
// comma or a colon.
type overlay struct {
	dir      string   // the work folder
	source   string   // its name in the mount table
	base     string   // the folder in which the lower ones are
	lowers   []string // the topmost first
	enforced bool     // by SELinux
}

// option is one of the overlay's; without a value it is a flag.
type option struct{ key, value string }

// options are all but the lower folders. What a distribution may have made a default is said: changes have to be whole files in
// their own place, or Changes would not find them.
func (o overlay) options() []option {
	options := []option{
		{"upperdir", upper},
		{"workdir", work},
		{"volatile", ""}, // nothing of it has to survive a crash of the host: it takes 2 ms to unmount instead of 700
		{"metacopy", "off"},
		{"redirect_dir", "nofollow"},
		{"index", "off"},
		{"nfs_export", "off"},
		{"xino", "auto"}, // one device number for all layers, where there is room for it
	}
	if o.enforced {
		options = append(options, option{"context", label})
	}
	return options
}

// errOld says that the kernel lacks the better way.
var errOld = errors.New("this kernel takes no lowerdir+")

// mountOverlay tries the better way first: it is the kernel that knows which it has.
func mountOverlay(o overlay) error {
	err := mountByFsconfig(o)
	if errors.Is(err, errOld) {
		return mountByMount(o)
	}
	return err
}

// mountByFsconfig gives the kernel one lower folder at a time, which Linux 6.7 and newer take. Each is looked up when it is
// given.
func mountByFsconfig(o overlay) error {
	return inFolder(o.base, func() error {
		fd, err := unix.Fsopen("overlay", unix.FSOPEN_CLOEXEC)
		if err != nil {
			return fmt.Errorf("%w: %w", errOld, err)
		}
		defer unix.Close(fd) //nolint:errcheck // there is nothing to be done about it
		for i, lower := range o.lowers {
			err := unix.FsconfigSetString(fd, "lowerdir+", lower)
			if i == 0 && errors.Is(err, unix.EINVAL) {
				return fmt.Errorf("%w: %w", errOld, err)
			}
			if err != nil {
				return refusal(err, fd)
			}
		}
		if err := unix.Chdir(o.dir); err != nil {
			return err
		}
		for _, option := range append(o.options(), option{"source", o.source}) {
			if option.value == "" {
				err = unix.FsconfigSetFlag(fd, option.key)
			} else {
				err = unix.FsconfigSetString(fd, option.key, option.value)
			}
			if err != nil {
				return refusal(fmt.Errorf("%s: %w", option.key, err), fd)
			}
		}
		if err := unix.FsconfigCreate(fd); err != nil {
			return refusal(err, fd)
		}
		mount, err := unix.Fsmount(fd, unix.FSMOUNT_CLOEXEC, unix.MOUNT_ATTR_NODEV|unix.MOUNT_ATTR_NOSUID)
		if err != nil {
			return refusal(err, fd)
		}
		defer unix.Close(mount) //nolint:errcheck // likewise
		return unix.MoveMount(mount, "", unix.AT_FDCWD, merged, unix.MOVE_MOUNT_F_EMPTY_PATH)
	})
}

// mountByMount is for older kernels. It gives short names to the lower folders.
func mountByMount(o overlay) error {
	const links = "l"
	folder := filepath.Join(o.dir, links)
	if err := errors.Join(os.RemoveAll(folder), os.Mkdir(folder, 0o700)); err != nil {
		return err
	}
	var names []string
	for i, lower := range o.lowers {
		name := filepath.Join(links, strconv.Itoa(i))
		if err := os.Symlink(filepath.Join(o.base, lower), filepath.Join(o.dir, name)); err != nil {
			return err
		}
		names = append(names, name)
	}
	options := []string{"lowerdir=" + strings.Join(names, ":")}
	for _, option := range o.options() {
		options = append(options, strings.TrimSuffix(option.key+"="+option.value, "="))
	}
	return inFolder(o.dir, func() error {
		if err := unix.Mount(o.source, merged, "overlay", unix.MS_NODEV|unix.MS_NOSUID, strings.Join(options, ",")); err != nil {
			return refusal(err, -1)
		}
		return nil
	})
}

// refusal adds what the kernel says about it (fsopen(2): messages are read from the context), and tells a host that cannot from
// one that happens to fail.
func refusal(err error, fd int) error {
	var said []string
	buf := make([]byte, 1024)
	for fd >= 0 {
		n, readErr := unix.Read(fd, buf)
		if readErr != nil || n == 0 {
			break
		}
		said = append(said, strings.TrimSpace(string(buf[:n])))
	}
	if len(said) > 0 {
		err = fmt.Errorf("%w: %s", err, strings.Join(said, "; "))
	}
	for _, cannot := range []error{unix.EINVAL, unix.ENODEV, unix.EPERM, unix.ENOSYS, unix.EOPNOTSUPP} {
		if errors.Is(err, cannot) {
			return &Lack{"no overlay can be mounted", "an overlay needs Linux 5.10, CAP_SYS_ADMIN, and an upper folder on a filesystem like ext4 or xfs", err}
		}
	}
	return err
}

// inFolder calls do in a folder, on a thread that no other goroutine gets to see: since it is never unlocked, it ends with its
// goroutine.
func inFolder(dir string, do func() error) error {
	done := make(chan error)
	go func() {
		runtime.LockOSThread()
		err := unix.Unshare(unix.CLONE_FS) // threads of a process share their working directory
		if err == nil {
			err = unix.Chdir(dir)
		}
		if err == nil {
			err = do()
		}
		done <- err
	}()
	return <-done
}
