package store_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/store"
)

// FIFREEZE and FITHAW of ioctl_fifreeze(2), which golang.org/x/sys/unix does not have.
const fiFreeze, fiThaw = 0xC0045877, 0xC0045878

const hanging = 3 * time.Second

// A frozen filesystem holds up whoever writes, for as long as it stays frozen, as one does whose server is gone.
func TestAFilesystemThatHangsIsGivenUpWithTheContext(t *testing.T) {
	t.Parallel()
	dir := ext4(t)
	d := store.NewDirectory(filepath.Join(dir, "store"))
	if err := d.Put(t.Context(), "before", []byte("x")); err != nil {
		t.Fatal(err)
	}
	source := newFile(t, "y")
	folder, err := os.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer folder.Close()
	if err := unix.IoctlSetInt(int(folder.Fd()), fiFreeze, 0); err != nil {
		t.Fatal(err)
	}
	thawed := make(chan error, 1)
	go func() { // even if nobody gives up
		time.Sleep(hanging)
		thawed <- unix.IoctlSetInt(int(folder.Fd()), fiThaw, 0)
	}()
	hung := errors.New("the save took too long")
	for call, put := range map[string]func(ctx context.Context) error{
		"Put":     func(ctx context.Context) error { return d.Put(ctx, "during", []byte("x")) },
		"PutFile": func(ctx context.Context) error { return d.PutFile(ctx, "during", source) },
	} {
		ctx, cancel := context.WithTimeoutCause(t.Context(), 50*time.Millisecond, hung)
		start := time.Now()
		err := put(ctx)
		if took := time.Since(start); !errors.Is(err, hung) || took > hanging/2 {
			t.Errorf("%s: after %s: %v", call, took, err)
		}
		cancel()
	}
	if err := <-thawed; err != nil {
		t.Fatal(err)
	}
	if err := d.Put(t.Context(), "after", []byte("x")); err != nil {
		t.Error(err)
	}
	settle(t)
}

// settle waits for the end of what was given up by this goroutine: it would go on in the folder below the mount once that is gone.
func settle(t *testing.T) {
	t.Helper()
	all := make([]byte, 4<<20)
	self := strings.Fields(string(all[:runtime.Stack(all, false)]))[1] // goroutine 7 [running]:
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		stacks := string(all[:runtime.Stack(all, true)])
		if !strings.Contains(stacks, "store.within in goroutine "+self+"\n") {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("what was given up goes on:\n%s", stacks)
		}
	}
}

// ext4 gives a filesystem on a disk of its own.
func ext4(t *testing.T) string {
	t.Helper()
	disk, dir := filepath.Join(t.TempDir(), "disk"), t.TempDir()
	for _, command := range [][]string{
		{"truncate", "-s", "16M", disk},
		{"mkfs.ext4", "-q", disk},
		{"mount", "-o", "loop", disk, dir},
	} {
		if out, err := exec.CommandContext(t.Context(), command[0], command[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%v: %v\n%s", command, err, out)
		}
	}
	t.Cleanup(func() {
		err := unix.Unmount(dir, 0)
		for deadline := time.Now().Add(10 * time.Second); errors.Is(err, unix.EBUSY) && time.Now().Before(deadline); {
			time.Sleep(10 * time.Millisecond) // until what was given up has ended
			err = unix.Unmount(dir, 0)
		}
		if err != nil {
			t.Errorf("unmount: %v", err)
		}
	})
	return dir
}
