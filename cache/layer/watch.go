package layer

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
	"unsafe"

	"github.com/moby/sys/mountinfo"
	"golang.org/x/sys/unix"
)

// Watch marks the overlay's filesystem with fanotify, so that opens in all mount namespaces are seen. Each overlay has a group of
// its own.
func (d *Image) Watch(w Work, target string, seen func(path string)) (stop func() error, err error) {
	root, err := filepath.EvalSymlinks(w.Merged())
	if err != nil {
		return nil, err
	}
	if mounted, err := mountinfo.Mounted(root); err != nil || !mounted {
		return nil, errors.Join(fmt.Errorf("%s is not mounted: the whole filesystem of the host would be watched", root), err)
	}
	const flags = unix.FAN_CLASS_NOTIF | unix.FAN_CLOEXEC | unix.FAN_UNLIMITED_QUEUE | unix.FAN_NONBLOCK
	fd, err := unix.FanotifyInit(flags, unix.O_RDONLY|unix.O_LARGEFILE|unix.O_CLOEXEC)
	if err != nil {
		return nil, &Lack{"opens cannot be watched", "that needs fanotify(7) in the kernel, and CAP_SYS_ADMIN", err}
	}
	if err := unix.FanotifyMark(fd, unix.FAN_MARK_ADD|unix.FAN_MARK_FILESYSTEM, unix.FAN_OPEN, unix.AT_FDCWD, root); err != nil {
		return nil, errors.Join(&Lack{"opens cannot be watched", "that needs Linux 4.20", err}, unix.Close(fd))
	}
	o := &opens{fd: fd, file: os.NewFile(uintptr(fd), "fanotify"), inside: []string{target, root}, seen: seen, ended: make(chan error, 1)}
	go func() { o.ended <- o.read() }()
	return o.stop, nil
}

// opens is one watch.
type opens struct {
	fd     int
	file   *os.File // of fd; with it, waiting takes no thread
	inside []string // paths under which processes have the folder
	seen   func(string)
	ended  chan error
}

// stop ends the wait for events at once. Those that are queued by then are still told.
func (o *opens) stop() error {
	err := o.file.SetReadDeadline(time.Unix(1, 0))
	return errors.Join(err, <-o.ended, o.file.Close())
}

// eventsSize bounds how many events are taken at once: each comes with an open file.
const eventsSize = 4 << 10

func (o *opens) read() error {
	buf := make([]byte, eventsSize)
	read := o.file.Read
	for {
		n, err := read(buf)
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded): // stopped: take what is there without waiting
			read = func(p []byte) (int, error) { return unix.Read(o.fd, p) }
			continue
		case errors.Is(err, unix.EINTR):
			continue
		case errors.Is(err, unix.EAGAIN):
			return nil
		case err != nil:
			return o.lost(fmt.Errorf("read what was opened: %w", err))
		}
		if err := o.events(buf[:n]); err != nil {
			return o.lost(err)
		}
	}
}

// lost takes the mark away, since nobody reads the queue any more.
func (o *opens) lost(err error) error {
	return errors.Join(err, unix.FanotifyMark(o.fd, unix.FAN_MARK_FLUSH|unix.FAN_MARK_FILESYSTEM, 0, unix.AT_FDCWD, "/"))
}

// Fields of struct fanotify_event_metadata (fanotify(7)); x/sys gives its size.
const (
	eventSize = int(unsafe.Sizeof(unix.FanotifyEventMetadata{}))
	maskAt    = int(unsafe.Offsetof(unix.FanotifyEventMetadata{}.Mask))
	fdAt      = int(unsafe.Offsetof(unix.FanotifyEventMetadata{}.Fd))
)

func (o *opens) events(buf []byte) error {
	var err error
	for len(buf) >= eventSize {
		length := binary.NativeEndian.Uint32(buf)
		mask := binary.NativeEndian.Uint64(buf[maskAt:])
		fd := int(int32(binary.NativeEndian.Uint32(buf[fdAt:])))
		if mask&unix.FAN_Q_OVERFLOW != 0 {
			err = errors.New("the kernel had no memory for all that was opened: some of it was lost")
		}
		if fd >= 0 {
			err = errors.Join(err, o.tell(fd))
		}
		if int(length) < eventSize || int(length) > len(buf) {
			return errors.New("the kernel's word on what was opened cannot be read")
		}
		buf = buf[length:]
	}
	return err
}

func (o *opens) tell(fd int) error {
	path, err := os.Readlink("/proc/self/fd/" + strconv.Itoa(fd))
	if err := errors.Join(err, unix.Close(fd)); err != nil {
		return err
	}
	o.seen(relative(path, o.inside))
	return nil
}

// deleted is what the kernel adds to the path of a file that was removed since (fs/d_path.c). A job may call a file so, and then
// is told to have opened another one, which it could have opened as well.
const deleted = " (deleted)"

// relative makes a path one below the watched folder. A process in a container has it under the container's path; when the
// container is gone, nothing is left above the folder.
func relative(path string, inside []string) string {
	path = strings.TrimSuffix(path, deleted)
	for _, root := range inside {
		if rest, ok := strings.CutPrefix(path, strings.TrimSuffix(root, "/")+"/"); ok {
			return rest
		}
	}
	return strings.TrimPrefix(path, "/")
}
