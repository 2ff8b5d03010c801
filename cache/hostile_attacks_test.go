package cache

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/kind"
)

// attack is something that a job leaves in a folder of its caches, of its own or of the base's.
type attack struct {
	plant   func(dir string) error
	refused map[string]int // as what it is counted
}

func one(word string) map[string]int { return map[string]int{word: 1} }

// named writes a file of that name.
func named(name string) func(string) error {
	return func(dir string) error { return os.WriteFile(filepath.Join(dir, name), []byte("evil"), 0o666) } //nolint:gosec // as jobs do
}

// holed writes a file of that size, which takes no room.
func holed(size int64) func(string) error {
	return func(dir string) error {
		return errors.Join(named("holes")(dir), os.Truncate(filepath.Join(dir, "holes"), size))
	}
}

func linkedTo(target string) func(string) error {
	return func(dir string) error { return os.Symlink(target, filepath.Join(dir, "link")) }
}

func node(mode uint32, major, minor uint32) func(string) error {
	return func(dir string) error {
		return unix.Mknod(filepath.Join(dir, "node"), mode|0o666, int(unix.Mkdev(major, minor)))
	}
}

// extended gives a file or folder an attribute.
func extended(name, value string) func(string) error {
	return func(dir string) error { return unix.Setxattr(dir, name, []byte(value), 0) }
}

// deep makes so many folders with names so long, one in the other, and a file in the last.
func deep(levels, length int) func(string) error {
	return func(dir string) error {
		root, err := os.OpenRoot(dir)
		for range levels {
			if err != nil {
				return err
			}
			name := strings.Repeat("d", length)
			var next *os.Root
			if err = root.Mkdir(name, 0o777); err == nil {
				next, err = root.OpenRoot(name)
			}
			err = errors.Join(err, root.Close())
			root = next
		}
		return errors.Join(err, root.WriteFile("treasure", []byte("evil"), 0o666), root.Close())
	}
}

// socket leaves one. It is made by a short path: a long one is refused.
func socket(dir string) error {
	short, err := os.MkdirTemp("", "")
	if err != nil {
		return err
	}
	defer os.RemoveAll(short) //nolint:errcheck // the test's folder goes with the test
	if err := os.Symlink(dir, filepath.Join(short, "d")); err != nil {
		return err
	}
	listener, err := (&net.ListenConfig{}).Listen(context.Background(), "unix", filepath.Join(short, "d", "socket"))
	if err != nil {
		return err
	}
	listener.(*net.UnixListener).SetUnlinkOnClose(false)
	return listener.Close()
}

// attacks are what a job with the rights of root can make in the mount, whatever Docker leaves it of these.
func attacks(outside string) map[string]attack {
	secret := filepath.Join(outside, "secret")
	all := map[string]attack{
		"a link to a file of the host":         {linkedTo(secret), one(kind.RefusedType)},
		"a link to a folder of the host":       {linkedTo(outside), one(kind.RefusedType)},
		"a link to itself":                     {linkedTo("link"), one(kind.RefusedType)},
		"a link to a pipe of the host":         {linkedTo(filepath.Join(outside, "pipe")), one(kind.RefusedType)},
		"a character device":                   {node(unix.S_IFCHR, 1, 5), one(kind.RefusedType)},
		"a block device":                       {node(unix.S_IFBLK, 7, 0), one(kind.RefusedType)},
		"a pipe":                               {node(unix.S_IFIFO, 0, 0), one(kind.RefusedType)},
		"a socket":                             {socket, one(kind.RefusedType)},
		"a file of 4 GB of holes":              {holed(4 << 30), one(kind.RefusedName)},
		"a file of 1 TB of holes":              {holed(1 << 40), one(kind.RefusedName)},
		"a path that is too long to be opened": {deep(60, 200), one(kind.RefusedType)},
		"folders that nobody would follow":     {deep(210, 1), one(kind.RefusedType)},
		"two names of one file": {func(dir string) error {
			return errors.Join(named("x")(dir), os.Link(filepath.Join(dir, "x"), filepath.Join(dir, "y")))
		}, map[string]int{kind.RefusedName: 2}},
		"a file with setuid and setgid": {func(dir string) error {
			return errors.Join(named("x")(dir), os.Chmod(filepath.Join(dir, "x"), fs.ModeSetuid|fs.ModeSetgid|0o777))
		}, one(kind.RefusedName)},
		"a file with capabilities": {func(dir string) error {
			all := "\x01\x00\x00\x02\xff\xff\xff\xff\x00\x00\x00\x00\xff\xff\xff\xff\x00\x00\x00\x00" // VFS_CAP_REVISION_2, all permitted and effective
			return errors.Join(named("x")(dir), unix.Setxattr(filepath.Join(dir, "x"), "security.capability", []byte(all), 0))
		}, one(kind.RefusedName)},
		"a folder that nobody may enter":              {func(dir string) error { return errors.Join(named("x")(dir), os.Chmod(dir, 0)) }, one(kind.RefusedName)},
		"a folder that calls itself opaque":           {extended("trusted.overlay.opaque", "y"), nil},
		"a folder that calls itself opaque as a user": {extended("user.overlay.opaque", "y"), nil},
		"a folder that leads elsewhere":               {extended("trusted.overlay.redirect", "/secret"), nil},
	}
	for what, name := range map[string]string{
		"two lines": "a\nb", "backslashes": `..\..\x`, "an escape sequence": "\x1b[2J\x1b]0;x\a", "bytes that are no text": "\xff\xfe",
		"255 bytes": strings.Repeat("n", 255), "blanks": "  ", "text from right to left": "a\u202egpj.exe", "what looks like an escaped NUL": `a%00b\0`,
		"what a shell obeys": "$(reboot);`reboot`|&", "the form of an option": "--checkpoint-action=exec=reboot",
	} {
		all["a name of "+what] = attack{named(name), one(kind.RefusedName)}
	}
	return all
}
