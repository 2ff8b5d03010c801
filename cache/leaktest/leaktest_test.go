package leaktest

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// One after the other: each would see what the others leave.
func TestWhatTestsLeaveBehindIsFound(t *testing.T) {
	var undo func()
	for _, test := range []struct {
		what string
		do   func()
		want string
	}{
		{"nothing", func() {}, ""},
		{"a temporary file that is removed", func() {
			f := create(t)
			_ = f.Close()
			_ = os.Remove(f.Name())
		}, ""},
		{"a goroutine", func() {
			end := make(chan struct{})
			go func() { <-end }()
			undo = func() { close(end) }
		}, "found unexpected goroutines"},
		{"a file that is open", func() {
			f := create(t)
			_ = os.Remove(f.Name())
			undo = func() { _ = f.Close() }
		}, "open files"},
		{"a file", func() { _ = create(t).Close() }, "files: [- file]"},
		{"a mount", func() {
			at := filepath.Join(os.TempDir(), "mount")
			if err := os.Mkdir(at, 0o700); err != nil {
				t.Fatal(err)
			}
			if err := syscall.Mount("none", at, "tmpfs", 0, ""); err != nil {
				t.Skipf("this user may not mount: %v", err)
			}
			undo = func() { _, _ = syscall.Unmount(at, 0), os.RemoveAll(filepath.Dir(at)) }
		}, "mounts: [/"},
	} {
		undo = func() {}
		var dir string
		code, err := run(func() int {
			dir = os.TempDir()
			test.do()
			return 0
		})
		switch {
		case code != 0 || (err == nil) != (test.want == "") || (err != nil && !strings.Contains(err.Error(), test.want)):
			t.Errorf("%s: %d, %v, want %q", test.what, code, err, test.want)
		case os.TempDir() == dir:
			t.Errorf("%s: temporary files are still made in %s", test.what, dir)
		}
		undo()
		if _, err := os.Stat(dir); err == nil {
			t.Errorf("%s: %s is still there", test.what, dir)
		}
	}
}

func TestWhatTestsHaveInCommonIsUndoneBeforeItIsLookedFor(t *testing.T) {
	var common *os.File
	code, err := run(func() int {
		common = create(t)
		return 0
	}, func() error { return errors.Join(common.Close(), os.Remove(common.Name())) })
	if code != 0 || err != nil {
		t.Errorf("%d, %v", code, err)
	}
	if _, err := run(func() int { return 0 }, func() error { return os.ErrInvalid }); !errors.Is(err, os.ErrInvalid) {
		t.Errorf("it cannot be undone: %v", err)
	}
}

func TestFailedTestsMayLeaveWhatTheyLike(t *testing.T) {
	code, err := run(func() int {
		_ = create(t).Close()
		return 2
	})
	if code != 2 || err != nil {
		t.Errorf("%d, %v", code, err)
	}
}

// isKilled has this program be killed in the middle of its tests.
const isKilled = "TEST_IS_KILLED"

func TestMain(m *testing.M) {
	if os.Getenv(isKilled) == "" {
		os.Exit(m.Run())
	}
	Main(m)
}

func TestAProgramThatATestKillsLeavesNoFolderOfItsOwn(t *testing.T) {
	if os.Getenv(isKilled) != "" {
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	}
	code, err := run(func() int {
		child := exec.CommandContext(t.Context(), os.Args[0], "-test.run", "^"+t.Name()+"$")
		child.Env = append(os.Environ(), isKilled+"=1")
		if out, err := child.CombinedOutput(); err == nil || len(out) > 0 {
			t.Errorf("%v, %s", err, out)
		}
		return 0
	})
	if code != 0 || err != nil {
		t.Errorf("%d, %v", code, err)
	}
}

func create(t *testing.T) *os.File {
	t.Helper()
	f, err := os.Create(filepath.Join(os.TempDir(), "file"))
	if err != nil {
		t.Fatal(err)
	}
	return f
}
