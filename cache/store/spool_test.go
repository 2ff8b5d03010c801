package store_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/store"
	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/store/storetest"
)

func TestASpoolIsAStore(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T) store.Store {
		return store.NewSpool(t.TempDir(), store.NewDirectory(t.TempDir()))
	})
}

// sending is a spool that is sent after each write.
type sending struct{ *store.Spool }

func (s sending) Put(ctx context.Context, key string, data []byte) error {
	return s.sent(ctx, s.Spool.Put(ctx, key, data))
}

func (s sending) PutFile(ctx context.Context, key, path string) error {
	return s.sent(ctx, s.Spool.PutFile(ctx, key, path))
}

func (s sending) sent(ctx context.Context, err error) error {
	if err != nil {
		return err
	}
	_, err = s.Send(ctx)
	return err
}

func TestASpoolThatIsSentIsAStore(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T) store.Store {
		return sending{store.NewSpool(t.TempDir(), store.NewDirectory(t.TempDir()))}
	})
}

// far is a store that can be taken away, and that notes what is written.
type far struct {
	store.Store
	gone  bool
	wrote []string
	read  []string
}

var errGone = errors.New("no route to host")

func (f *far) Get(ctx context.Context, key string, limit int64) ([]byte, error) {
	if f.gone {
		return nil, errGone
	}
	f.read = append(f.read, key)
	return f.Store.Get(ctx, key, limit)
}

func (f *far) List(ctx context.Context, prefix string, limit int) ([]store.Object, error) {
	if f.gone {
		return nil, errGone
	}
	return f.Store.List(ctx, prefix, limit)
}

func (f *far) Put(ctx context.Context, key string, data []byte) error {
	if f.gone {
		return errGone
	}
	f.wrote = append(f.wrote, key)
	return f.Store.Put(ctx, key, data)
}

func (f *far) PutFile(ctx context.Context, key, path string) error {
	if f.gone || strings.Contains(key, "unlucky") {
		return errGone
	}
	f.wrote = append(f.wrote, key)
	return f.Store.PutFile(ctx, key, path)
}

// aMinuteLater has a spool ask a store again that did not answer.
func aMinuteLater(t *testing.T, dir string) {
	t.Helper()
	ago := time.Now().Add(-2 * time.Minute)
	if err := os.Chtimes(filepath.Join(dir, ".down"), ago, ago); err != nil {
		t.Fatal(err)
	}
}

// layerAndEntry writes what a job writes: a file and a small object that names it.
func layerAndEntry(t *testing.T, s store.Store, name string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "layer")
	if err := os.WriteFile(path, []byte("layer "+name), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := s.PutFile(t.Context(), "z/layers/"+name, path); err != nil {
		t.Fatal(err)
	}
	if err := s.Put(t.Context(), "a/entries/"+name, []byte("entry")); err != nil {
		t.Fatal(err)
	}
}

func TestFilesAreSentBeforeWhatNamesThem(t *testing.T) {
	t.Parallel()
	f := &far{Store: store.NewDirectory(t.TempDir())}
	s := store.NewSpool(t.TempDir(), f)
	layerAndEntry(t, s, "1")
	layerAndEntry(t, s, "2")
	sent, err := s.Send(t.Context())
	if err != nil || sent.Objects != 4 {
		t.Fatalf("sent %+v, %v", sent, err)
	}
	if want := []string{"z/layers/1", "z/layers/2", "a/entries/1", "a/entries/2"}; !slices.Equal(f.wrote, want) {
		t.Errorf("sent %v, want %v", f.wrote, want)
	}
	if waiting, err := s.Waiting(t.Context()); err != nil || len(waiting) != 0 {
		t.Errorf("still waiting: %v, %v", waiting, err)
	}
}

func TestAnEntryWaitsForItsFile(t *testing.T) {
	t.Parallel()
	f := &far{Store: store.NewDirectory(t.TempDir())}
	s := store.NewSpool(t.TempDir(), f)
	layerAndEntry(t, s, "unlucky")
	if _, err := s.Send(t.Context()); !errors.Is(err, errGone) {
		t.Errorf("got %v", err)
	}
	if len(f.wrote) > 0 {
		t.Errorf("sent %v before the file", f.wrote)
	}
}

func TestWhatWaitsSurvivesAStoreThatIsGoneAndTheProcess(t *testing.T) {
	t.Parallel()
	dir, f := t.TempDir(), &far{Store: store.NewDirectory(t.TempDir()), gone: true}
	layerAndEntry(t, store.NewSpool(dir, f), "1")
	s := store.NewSpool(dir, f) // of another process
	if _, err := s.Send(t.Context()); !errors.Is(err, errGone) {
		t.Errorf("got %v", err)
	}
	if data, err := s.Get(t.Context(), "a/entries/1", 10); err != nil || string(data) != "entry" {
		t.Errorf("this host reads %q, %v", data, err)
	}
	f.gone = false
	aMinuteLater(t, dir)
	if sent, err := s.Send(t.Context()); err != nil || sent.Objects != 2 || sent.Bytes != int64(len("layer 1entry")) {
		t.Errorf("sent %+v, %v", sent, err)
	}
	if data, err := f.Get(t.Context(), "a/entries/1", 10); err != nil || string(data) != "entry" {
		t.Errorf("others read %q, %v", data, err)
	}
}

func TestProcessesThatSendAtTheSameTimeLoseNothing(t *testing.T) {
	t.Parallel()
	dir, remote := t.TempDir(), store.NewDirectory(t.TempDir())
	for i := range 20 {
		layerAndEntry(t, store.NewSpool(dir, remote), fmt.Sprint(i))
	}
	done := make(chan error)
	for range 3 {
		go func() {
			_, err := store.NewSpool(dir, remote).Send(t.Context())
			done <- err
		}()
	}
	for range 3 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	if objects, err := remote.List(t.Context(), "", 0); err != nil || len(objects) != 40 {
		t.Errorf("%d objects arrived, %v", len(objects), err)
	}
}

func TestSmallObjectsAreAskedForOnceAndKnownWhenTheStoreIsGone(t *testing.T) {
	t.Parallel()
	f := &far{Store: store.NewDirectory(t.TempDir())}
	s := store.NewSpool(t.TempDir(), f)
	for _, key := range []string{"a/1", "a/2", "b/3"} {
		if err := f.Put(t.Context(), key, []byte("entry "+key)); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if data, err := s.Get(t.Context(), key, 100); err != nil || string(data) != "entry "+key {
				t.Errorf("%s: %q, %v", key, data, err)
			}
		}
	}
	if len(f.read) != 3 {
		t.Errorf("asked for %v", f.read)
	}
	if err := f.Delete(t.Context(), "a/1"); err != nil { // by another host
		t.Fatal(err)
	}
	if objects, err := s.List(t.Context(), "a/", 0); err != nil || len(objects) != 1 {
		t.Errorf("listed %v, %v", objects, err)
	}
	if err := s.Put(t.Context(), "a/0", []byte("new")); err != nil {
		t.Fatal(err)
	}
	f.gone = true
	objects, err := s.List(t.Context(), "a/", 0)
	if !errors.Is(err, errGone) || len(objects) != 2 || objects[0].Key != "a/0" || objects[1].Key != "a/2" {
		t.Errorf("listed %v, %v; want what is known, and the reason", objects, err)
	}
	if data, err := s.Get(t.Context(), "a/2", 100); err != nil || string(data) != "entry a/2" {
		t.Errorf("a/2: %q, %v", data, err)
	}
}

func TestAListingThatEndsAtItsLimitForgetsNothingBeyondIt(t *testing.T) {
	t.Parallel()
	f := &far{Store: store.NewDirectory(t.TempDir())}
	s := store.NewSpool(t.TempDir(), f)
	for _, key := range []string{"a/1", "a/2", "a/3"} {
		if err := f.Put(t.Context(), key, nil); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Get(t.Context(), key, 1); err != nil {
			t.Fatal(err)
		}
	}
	if objects, err := s.List(t.Context(), "a/", 2); err != nil || len(objects) != 2 {
		t.Errorf("listed %v, %v", objects, err)
	}
	f.gone = true
	if objects, _ := s.List(t.Context(), "a/", 0); len(objects) != 3 {
		t.Errorf("known: %v", objects)
	}
}

// silent is a store that never answers.
type silent struct {
	store.Store
	asked int
}

func (h *silent) List(ctx context.Context, _ string, _ int) ([]store.Object, error) {
	h.asked++
	<-ctx.Done()
	return nil, context.Cause(ctx)
}

func TestAStoreThatDoesNotAnswerIsWaitedForOnce(t *testing.T) {
	t.Parallel()
	dir, h := t.TempDir(), &silent{}
	began := time.Now()
	for range 3 {
		s := store.NewSpool(dir, h) // of another process
		if _, err := s.List(t.Context(), "a/", 0); err == nil {
			t.Error("nothing was said")
		}
		if _, err := s.Get(t.Context(), "a/1", 10); err == nil || errors.Is(err, fs.ErrNotExist) {
			t.Errorf("got %v", err)
		}
		layerAndEntry(t, s, "1")
		if _, err := s.Send(t.Context()); err == nil {
			t.Error("it was sent")
		}
	}
	if h.asked != 1 || time.Since(began) > 20*time.Second {
		t.Errorf("asked %d times in %s", h.asked, time.Since(began))
	}
}
