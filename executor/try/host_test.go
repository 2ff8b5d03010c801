package try

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Signals reach the whole process: no other test may be running.
func TestTheFirstSignalAsksAndTheSecondKills(t *testing.T) {
	var said strings.Builder
	ctx, kill, stop := Interruptible(context.Background(), &said)
	defer stop()
	for _, c := range []struct {
		signal syscall.Signal
		want   <-chan struct{}
	}{{syscall.SIGINT, ctx.Done()}, {syscall.SIGTERM, kill}} {
		select {
		case <-kill:
			t.Fatal("killed before it was asked for")
		default:
		}
		if err := syscall.Kill(os.Getpid(), c.signal); err != nil {
			t.Fatal(err)
		}
		select {
		case <-c.want:
		case <-time.After(10 * time.Second):
			t.Fatalf("%s has no effect", c.signal)
		}
	}
	if !errors.Is(context.Cause(ctx), errInterrupted) || strings.Count(said.String(), "\n") != 2 {
		t.Errorf("the cause is %v, said was %q", context.Cause(ctx), said.String())
	}
}

func TestWhatIsMountedInTheFolderOutlivesIt(t *testing.T) {
	t.Parallel()
	dir, kept := t.TempDir(), t.TempDir()
	write(t, filepath.Join(kept, "precious"), "x")
	point := filepath.Join(dir, "state", "a b")
	write(t, filepath.Join(point, "below"), "x")
	if err := unix.Mount(kept, point, "", unix.MS_BIND, ""); err != nil {
		t.Skipf("this user may not mount: %v", err)
	}
	if err := removeFolder(dir); err != nil {
		t.Error(err)
		_ = unix.Unmount(point, unix.MNT_DETACH)
	}
	if _, err := os.Stat(dir); !os.IsNotExist(err) {
		t.Errorf("the folder is still there: %v", err)
	}
	if got := read(t, filepath.Join(kept, "precious")); got != "x" {
		t.Errorf("the mount holds %q", got)
	}
}

func TestGoTellsWhatDiffersFromItsDefaults(t *testing.T) {
	t.Setenv("GOPRIVATE", "*.example.com") // from which go env derives GONOPROXY and GONOSUMDB
	t.Setenv("GOPROXY", "https://goproxy.example.com")
	t.Setenv("GOSUMDB", "")
	t.Setenv("GOENV", "off")
	got := hostGoEnv(t.Context(), os.Getenv)
	if len(got) != 2 || got["GOPRIVATE"] != "*.example.com" || got["GOPROXY"] != "https://goproxy.example.com" {
		t.Errorf("got %v", got)
	}
	t.Setenv("PATH", "/nowhere") // a host without Go
	if got = hostGoEnv(t.Context(), os.Getenv); got["GOPROXY"] != "https://goproxy.example.com" || got["GOSUMDB"] != "" {
		t.Errorf("without Go: %v", got)
	}
}
