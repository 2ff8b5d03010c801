package storetest

import (
	"crypto/sha256"
	"errors"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/store"
)

func bigFile(t *testing.T, s store.Store) {
	const size = 40<<20 + 3
	data := make([]byte, size)
	if _, err := rand.NewChaCha8([32]byte{}).Read(data); err != nil {
		t.Fatal(err)
	}
	source, fetched := filepath.Join(t.TempDir(), "source"), filepath.Join(t.TempDir(), "fetched")
	write(t, source, data)
	if err := s.PutFile(t.Context(), "layers/big.sqfs", source); err != nil {
		t.Fatal(err)
	}
	if err := s.GetFile(t.Context(), "layers/big.sqfs", fetched, nil); err != nil {
		t.Fatal(err)
	}
	if digest(t, fetched) != sha256.Sum256(data) {
		t.Error("it is not what was put")
	}
	found, err := s.List(t.Context(), "layers/", 0)
	if err != nil || len(found) != 1 || found[0].Size != size {
		t.Errorf("got %v, %v, want one object of %d bytes", found, err, size)
	}
}

func emptyFile(t *testing.T, s store.Store) {
	source, fetched := filepath.Join(t.TempDir(), "source"), filepath.Join(t.TempDir(), "fetched")
	write(t, source, nil)
	if err := s.PutFile(t.Context(), "empty", source); err != nil {
		t.Fatal(err)
	}
	if err := s.GetFile(t.Context(), "empty", fetched, nil); err != nil {
		t.Fatal(err)
	}
	if digest(t, fetched) != sha256.Sum256(nil) {
		t.Error("it is not empty")
	}
}

func sourceStays(t *testing.T, s store.Store) {
	source := filepath.Join(t.TempDir(), "source")
	write(t, source, []byte("layer"))
	before, err := os.Stat(source)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.PutFile(t.Context(), "layers/a", source); err != nil {
		t.Fatal(err)
	}
	after, err := os.Stat(source)
	if err != nil || after.Mode() != before.Mode() || !after.ModTime().Equal(before.ModTime()) || digest(t, source) != sha256.Sum256([]byte("layer")) {
		t.Errorf("the source is now %v, %v, before it was %v", after, err, before)
	}
	if err := os.Remove(source); err != nil { // as a host does when it needs room
		t.Fatal(err)
	}
	if got, err := s.Get(t.Context(), "layers/a", 10); err != nil || string(got) != "layer" {
		t.Errorf("once its source is gone: got %q, %v", got, err)
	}
	if err := s.Delete(t.Context(), "layers/a"); err != nil {
		t.Error(err)
	}
}

func fileTwice(t *testing.T, s store.Store) {
	source := filepath.Join(t.TempDir(), "source")
	write(t, source, []byte("layer"))
	for range 2 {
		if err := s.PutFile(t.Context(), "a", source); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := s.Get(t.Context(), "a", 10); err != nil || string(got) != "layer" {
		t.Errorf("got %q, %v", got, err)
	}
}

func neverReplaces(t *testing.T, s store.Store) {
	put(t, s, "a", []byte("object"))
	path := filepath.Join(t.TempDir(), "file")
	write(t, path, []byte("mine"))
	if err := s.GetFile(t.Context(), "a", path, nil); err == nil || errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v, want an error about the file", err)
	}
	if digest(t, path) != sha256.Sum256([]byte("mine")) {
		t.Error("the file was replaced")
	}
}

func leavesNothing(t *testing.T, s store.Store) {
	path := filepath.Join(t.TempDir(), "file")
	if err := s.GetFile(t.Context(), "no", path, nil); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	wantNoFile(t, path)
	if left, err := os.ReadDir(filepath.Dir(path)); err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// callersFile matters to whoever takes fs.ErrNotExist for an object that was deleted.
func callersFile(t *testing.T, s store.Store) {
	put(t, s, "a", []byte("object"))
	if err := s.GetFile(t.Context(), "a", filepath.Join(t.TempDir(), "no", "such", "folder"), nil); err == nil || errors.Is(err, fs.ErrNotExist) {
		t.Errorf("GetFile: %v", err)
	}
	if err := s.PutFile(t.Context(), "b", filepath.Join(t.TempDir(), "no")); err == nil || errors.Is(err, fs.ErrNotExist) {
		t.Errorf("PutFile: %v", err)
	}
	wantListing(t, s, "", 0, "a")
}
