// Package leaktest fails a package whose tests leave something behind: goroutines, open files, mounts, or temporary files.
package leaktest

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/moby/sys/mountinfo"
	"go.uber.org/goleak"
)

// running is set for the processes that tests start: a test's own program, run once more by a test, may be killed and would leave the folder. What it
// leaves is found in the folder of the first.
const running = "GGE_LEAKTEST"

// Main runs the tests of a package and ends the process. It is for TestMain. undo is called after the tests, for what these have in common.
func Main(m *testing.M, undo ...func() error) {
	if os.Getenv(running) != "" {
		os.Exit(m.Run()) //nolint:forbidigo // as testing does when there is no TestMain
	}
	code, err := run(m.Run, undo...)
	if err != nil {
		fmt.Fprintln(os.Stderr, "the tests left something behind:", err)
		code = max(code, 1)
	}
	os.Exit(code) //nolint:forbidigo // as testing does when there is no TestMain
}

// run gives tests a folder for temporary files of their own: other packages' tests run at the same time. Failed tests may leave
// what they like, but the folder goes.
func run(tests func() int, undo ...func() error) (code int, err error) {
	elsewhere := os.TempDir()
	dir, err := os.MkdirTemp(elsewhere, "")
	if err != nil {
		return 1, err
	}
	if err := errors.Join(os.Setenv("TMPDIR", dir), os.Setenv(running, "1")); err != nil {
		return 1, err
	}
	defer func() { err = errors.Join(err, os.Setenv("TMPDIR", elsewhere), os.Unsetenv(running)) }()
	before, err := openFiles()
	if err != nil {
		return 1, err
	}
	code = tests()
	for _, do := range undo {
		err = errors.Join(err, do())
	}
	if code == 0 {
		// Goroutines first: they are waited for.
		err = errors.Join(err, goleak.Find(), opened(before), left(dir))
	}
	return code, errors.Join(err, remove(dir))
}

// openFiles is what each file descriptor of this process is of.
func openFiles() (map[string]string, error) {
	const dir = "/proc/self/fd"
	fds, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	files := map[string]string{}
	for _, fd := range fds {
		// The one that dir was read by is gone. Go itself keeps an eventpoll and an eventfd.
		if file, err := os.Readlink(filepath.Join(dir, fd.Name())); err == nil && !strings.HasPrefix(file, "anon_inode:[event") {
			files[fd.Name()] = file
		}
	}
	return files, nil
}

func opened(before map[string]string) error {
	now, err := openFiles()
	maps.DeleteFunc(now, func(fd, file string) bool { return before[fd] == file })
	if err == nil && len(now) > 0 {
		err = fmt.Errorf("open files: %v", now)
	}
	return err
}

func left(dir string) error {
	files, err := os.ReadDir(dir)
	if err == nil && len(files) > 0 {
		err = fmt.Errorf("files: %v", files)
	}
	return err
}

// remove removes a folder, unless that would remove what is mounted in it.
func remove(dir string) error {
	mounts, err := mountinfo.GetMounts(mountinfo.PrefixFilter(dir))
	if err != nil {
		return err
	}
	if len(mounts) > 0 {
		var at []string
		for _, m := range mounts {
			at = append(at, m.Mountpoint)
		}
		return fmt.Errorf("mounts: %v", at)
	}
	return os.RemoveAll(dir)
}
