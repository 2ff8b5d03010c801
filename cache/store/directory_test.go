package store_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/leaktest"
	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/store"
	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/store/storetest"
)

func TestADirectoryIsAStore(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T) store.Store {
		return store.NewDirectory(filepath.Join(t.TempDir(), "not", "there", "yet"))
	})
}

func TestADirectoryOnAnotherFilesystemIsAStore(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T) store.Store { return store.NewDirectory(mount(t, "size=256m")) })
}

func TestWithinAFilesystemAFileAndItsObjectShareTheirBytes(t *testing.T) {
	t.Parallel()
	dir, source, fetched := t.TempDir(), newFile(t, "layer"), filepath.Join(t.TempDir(), "fetched")
	d := store.NewDirectory(dir)
	if err := d.PutFile(t.Context(), "layers/a.sqfs", source); err != nil {
		t.Fatal(err)
	}
	if err := d.GetFile(t.Context(), "layers/a.sqfs", fetched, nil); err != nil {
		t.Fatal(err)
	}
	object := filepath.Join(dir, "layers", "a.sqfs")
	if !sameFile(t, source, object) || !sameFile(t, object, fetched) {
		t.Error("they are copies")
	}
	if left, err := os.ReadDir(filepath.Join(dir, ".staging")); err == nil && len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestAcrossFilesystemsAFileIsCopiedForGood(t *testing.T) {
	t.Parallel()
	dir, source, fetched := mount(t, "size=16m"), newFile(t, "layer"), filepath.Join(t.TempDir(), "fetched")
	d := store.NewDirectory(dir)
	if err := d.PutFile(t.Context(), "layers/a.sqfs", source); err != nil {
		t.Fatal(err)
	}
	if err := d.GetFile(t.Context(), "layers/a.sqfs", fetched, nil); err != nil {
		t.Fatal(err)
	}
	for _, copied := range []string{filepath.Join(dir, "layers", "a.sqfs"), fetched} {
		info, err := os.Stat(copied)
		if err != nil || info.Mode() != 0o444 || sameFile(t, source, copied) {
			t.Errorf("got %v, %v, want a file of its own that nobody writes", info, err)
		}
	}
}

func TestOnlyRootEntersADirectory(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "store")
	d := store.NewDirectory(dir)
	if err := d.Put(t.Context(), "a/b/c", []byte("x")); err != nil {
		t.Fatal(err)
	}
	if err := d.PutFile(t.Context(), "d/e/f", newFile(t, "y")); err != nil {
		t.Fatal(err)
	}
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.IsDir() {
			return err
		}
		info, err := e.Info()
		if err == nil && info.Mode().Perm() != 0o700 {
			t.Errorf("%s has mode %v", path, info.Mode())
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

func TestAFullDirectoryRefusesAndKeepsWhatItHas(t *testing.T) {
	t.Parallel()
	d := store.NewDirectory(mount(t, "size=1m"))
	if err := d.Put(t.Context(), "small", []byte("x")); err != nil {
		t.Fatal(err)
	}
	big := make([]byte, 2<<20)
	source := newFile(t, string(big))
	for call, err := range map[string]error{"Put": d.Put(t.Context(), "big", big), "PutFile": d.PutFile(t.Context(), "big", source)} {
		if !errors.Is(err, store.ErrRefused) || !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("%s: %v", call, err)
		}
	}
	wantKeys(t, d, "small")
	if err := d.Put(t.Context(), "fits", make([]byte, 512<<10)); err != nil {
		t.Errorf("what did not fit has not been removed: %v", err)
	}
}

func TestAReadOnlyDirectoryRefusesWritesAndIsRead(t *testing.T) {
	t.Parallel()
	dir := mount(t, "size=1m")
	d := store.NewDirectory(dir)
	if err := d.Put(t.Context(), "a/b", []byte("x")); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("", dir, "", unix.MS_REMOUNT|unix.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	source := newFile(t, "x")
	for call, err := range map[string]error{
		"Put": d.Put(t.Context(), "c", []byte("x")), "PutFile": d.PutFile(t.Context(), "d", source), "Delete": d.Delete(t.Context(), "a/b"),
	} {
		if !errors.Is(err, store.ErrRefused) || !errors.Is(err, syscall.EROFS) {
			t.Errorf("%s: %v", call, err)
		}
	}
	if got, err := d.Get(t.Context(), "a/b", 10); err != nil || string(got) != "x" {
		t.Errorf("got %q, %v", got, err)
	}
	if err := d.Delete(t.Context(), "no"); err != nil {
		t.Errorf("what does not exist need not be deleted: %v", err)
	}
}

func TestAFullHostIsNotARefusalOfTheStore(t *testing.T) {
	t.Parallel()
	d := store.NewDirectory(t.TempDir())
	if err := d.Put(t.Context(), "big", make([]byte, 2<<20)); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(mount(t, "size=1m"), "fetched")
	if err := d.GetFile(t.Context(), "big", path, nil); errors.Is(err, store.ErrRefused) || !errors.Is(err, syscall.ENOSPC) {
		t.Error(err)
	}
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a part of it is left: %v", err)
	}
}

func TestWhatIsNoRegularFileIsNoObject(t *testing.T) {
	t.Parallel()
	dir, outside := t.TempDir(), newFile(t, "secret")
	d := store.NewDirectory(dir)
	if err := d.Put(t.Context(), "a", []byte("x")); err != nil {
		t.Fatal(err)
	}
	err := errors.Join(os.Symlink(outside, filepath.Join(dir, "link")), os.Symlink(dir, filepath.Join(dir, "loop")),
		unix.Mkfifo(filepath.Join(dir, "pipe"), 0o600), os.Mkdir(filepath.Join(dir, "lost+found"), 0o700))
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"link", "pipe", "lost+found"} {
		if _, err := d.Get(t.Context(), key, 100); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: %v", key, err)
		}
		if err := d.Delete(t.Context(), key); err != nil {
			t.Errorf("%s: %v", key, err)
		}
	}
	if err := d.PutFile(t.Context(), "b", filepath.Join(dir, "link")); err == nil {
		t.Error("a link was put in place of its file")
	}
	wantKeys(t, d, "a")
	if err := d.PutFile(t.Context(), "lost+found", outside); err == nil {
		t.Error("a folder was taken for an object that exists")
	}
	if err := d.PutFile(t.Context(), "a/b", outside); err == nil {
		t.Error("an object was put below another one")
	}
}

// putInto makes this test's program put objects of objectSize bytes into a folder until it is killed.
const (
	putInto    = "STORE_TEST_PUT_INTO"
	objectSize = 32 << 20
)

func TestMain(m *testing.M) {
	if settings := os.Getenv(moveIn); settings != "" {
		if err := move(settings, os.Args[1], os.Args[2]); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	dir := os.Getenv(putInto)
	if dir == "" {
		leaktest.Main(m)
	}
	d := store.NewDirectory(dir)
	for i := 0; ; i++ {
		data := bytes.Repeat([]byte{byte('a' + i%26)}, objectSize)
		if err := d.Put(context.Background(), fmt.Sprintf("pool/%d", i), data); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
	}
}

func TestAKilledPutLeavesNothingToBeSeenAndItsRemainsGo(t *testing.T) {
	t.Parallel()
	dir := mount(t, "size=512m")
	staging := filepath.Join(dir, ".staging")
	program := exec.CommandContext(t.Context(), os.Args[0])
	program.Env = append(os.Environ(), putInto+"="+dir)
	if err := program.Start(); err != nil {
		t.Fatal(err)
	}
	var remains []string
	for deadline := time.Now().Add(20 * time.Second); len(remains) == 0 && time.Now().Before(deadline); {
		for _, path := range glob(t, filepath.Join(staging, "*")) {
			if info, err := os.Stat(path); err == nil && info.Size() > 0 && info.Size() < objectSize {
				if err := program.Process.Kill(); err != nil {
					t.Fatal(err)
				}
				_ = program.Wait()
				remains = glob(t, filepath.Join(staging, "*"))
			}
		}
	}
	if len(remains) != 1 {
		t.Fatalf("it was not killed in the middle: %v", remains)
	}
	d := store.NewDirectory(dir)
	found, err := d.List(t.Context(), "", 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range found {
		if data, err := d.Get(t.Context(), o.Key, objectSize); err != nil || len(data) != objectSize {
			t.Errorf("%v: got %d bytes, %v", o, len(data), err)
		}
	}
	// A Put next to it lets it be, as it could be at work; one a day later does not.
	if err := store.NewDirectory(dir).Put(t.Context(), "next", []byte("x")); err != nil {
		t.Fatal(err)
	}
	if left := glob(t, filepath.Join(staging, "*")); len(left) != 1 {
		t.Errorf("another one's staging file was taken away: %v", left)
	}
	old := time.Now().Add(-25 * time.Hour)
	if err := os.Chtimes(remains[0], old, old); err != nil {
		t.Fatal(err)
	}
	if err := store.NewDirectory(dir).Put(t.Context(), "later", []byte("x")); err != nil {
		t.Fatal(err)
	}
	if left := glob(t, filepath.Join(staging, "*")); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}

func newFile(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// mount gives a filesystem of its own.
func mount(t *testing.T, options string) string {
	t.Helper()
	dir := t.TempDir()
	if err := unix.Mount("store-test", dir, "tmpfs", 0, options); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, 0); err != nil {
			t.Errorf("unmount: %v", err)
		}
	})
	return dir
}

func sameFile(t *testing.T, a, b string) bool {
	t.Helper()
	one, err := os.Stat(a)
	if err != nil {
		t.Fatal(err)
	}
	other, err := os.Stat(b)
	if err != nil {
		t.Fatal(err)
	}
	return os.SameFile(one, other)
}

func glob(t *testing.T, pattern string) []string {
	t.Helper()
	found, err := filepath.Glob(pattern)
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func wantKeys(t *testing.T, s store.Store, want ...string) {
	t.Helper()
	found, err := s.List(t.Context(), "", 0)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, o := range found {
		got = append(got, o.Key)
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
