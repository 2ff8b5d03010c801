// Package storetest holds what every store promises, as tests.
package storetest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/store"
)

// Run tests a store. open gives one that is empty and that nobody else uses; it is called for each test, from several goroutines.
func Run(t *testing.T, open func(t *testing.T) store.Store) {
	for name, test := range map[string]func(t *testing.T, s store.Store){
		"an object that was put is there":                             putIsThere,
		"an object that was put a second time is still there":         putTwice,
		"a missing object does not exist":                             missing,
		"an object below another one does not exist":                  missingBelow,
		"an object that is too big is not read":                       tooBig,
		"readers see an object whole or not at all":                   wholeOrNot,
		"a listing is in the byte order of the keys":                  order,
		"a listing holds what begins with the prefix, and no more":    prefix,
		"a listing stops at its limit":                                limit,
		"a listing is quick beside thousands of objects":              manyObjects,
		"a deleted object is gone, and may be deleted again":          deleted,
		"objects come and go side by side":                            comeAndGo,
		"a big file comes back as it was":                             bigFile,
		"an empty file comes back":                                    emptyFile,
		"a file stays where it is when it is put":                     sourceStays,
		"a file put under an existing key leaves the object":          fileTwice,
		"a file that is fetched never replaces one":                   neverReplaces,
		"a file that cannot be fetched leaves nothing":                leavesNothing,
		"trouble with the caller's file is not a missing object":      callersFile,
		"keys that would not be safe everywhere are refused":          badKeys,
		"all calls end with their context, and leave nothing visible": endsWithContext,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, open(t))
		})
	}
}

func putIsThere(t *testing.T, s store.Store) {
	for _, want := range [][]byte{{}, []byte("hello"), bytes.Repeat([]byte{0, 1, 255}, 1<<20)} {
		key := fmt.Sprintf("v1/gitlab.example.com/42/protected/%d.json", len(want))
		put(t, s, key, want)
		if got, err := s.Get(t.Context(), key, int64(len(want))); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: got %d bytes, %v, want %d", key, len(got), err, len(want))
		}
	}
}

func putTwice(t *testing.T, s store.Store) {
	put(t, s, "a/b", []byte("same"))
	put(t, s, "a/b", []byte("same"))
	if got, err := s.Get(t.Context(), "a/b", 10); err != nil || string(got) != "same" {
		t.Errorf("got %q, %v", got, err)
	}
}

func missing(t *testing.T, s store.Store) {
	put(t, s, "a/b/c", []byte("x"))
	for _, key := range []string{"no", "a/b/no", "a/b/c.json", "a/b", "a"} {
		if _, err := s.Get(t.Context(), key, 10); !errors.Is(err, fs.ErrNotExist) || errors.Is(err, store.ErrRefused) {
			t.Errorf("Get %s: %v", key, err)
		}
		if err := s.GetFile(t.Context(), key, filepath.Join(t.TempDir(), "file"), nil); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("GetFile %s: %v", key, err)
		}
	}
	wantListing(t, s, "no/", 0)
}

func missingBelow(t *testing.T, s store.Store) {
	put(t, s, "a/b", []byte("x"))
	if _, err := s.Get(t.Context(), "a/b/c", 10); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Get: %v", err)
	}
	if err := s.Delete(t.Context(), "a/b/c"); err != nil {
		t.Errorf("Delete: %v", err)
	}
	wantListing(t, s, "a/b/", 0)
	wantListing(t, s, "", 0, "a/b")
}

func tooBig(t *testing.T, s store.Store) {
	put(t, s, "big", make([]byte, 1001))
	if got, err := s.Get(t.Context(), "big", 1000); err == nil || errors.Is(err, fs.ErrNotExist) || got != nil {
		t.Errorf("got %d bytes, %v", len(got), err)
	}
}

// wholeOrNot writes the same objects from several goroutines, each in both ways, while others read.
func wholeOrNot(t *testing.T, s store.Store) {
	const writers, readers, keys, size = 8, 8, 6, 3 << 20
	content := func(i int) []byte { return bytes.Repeat([]byte{byte('a' + i)}, size+i) }
	key := func(i int) string { return fmt.Sprintf("pool/%d/object", i) }
	sources := make([]string, keys)
	for i := range sources {
		sources[i] = filepath.Join(t.TempDir(), "source")
		write(t, sources[i], content(i))
	}
	var writing, reading sync.WaitGroup
	stop := make(chan struct{})
	for range readers {
		reading.Go(func() {
			for seen := false; ; {
				for i := range keys {
					got, err := s.Get(t.Context(), key(i), 2*size)
					switch {
					case errors.Is(err, fs.ErrNotExist):
					case err != nil:
						t.Errorf("%s: %v", key(i), err)
					case !bytes.Equal(got, content(i)):
						t.Errorf("%s: a part of it is seen: %d bytes of %d", key(i), len(got), size+i)
					}
				}
				if seen {
					return
				}
				select {
				case <-stop:
					seen = true // once more, when all is written
				default:
				}
			}
		})
	}
	for w := range writers {
		writing.Go(func() {
			for i := range keys {
				var err error
				if (w+i)%2 == 0 {
					err = s.Put(t.Context(), key(i), content(i))
				} else {
					err = s.PutFile(t.Context(), key(i), sources[i])
				}
				if err != nil {
					t.Errorf("%s: %v", key(i), err)
				}
			}
		})
	}
	writing.Wait()
	close(stop)
	reading.Wait()
	for i := range keys {
		if _, err := s.Get(t.Context(), key(i), 2*size); err != nil {
			t.Errorf("in the end: %v", err)
		}
	}
}

func deleted(t *testing.T, s store.Store) {
	put(t, s, "a/b/c", []byte("x"))
	put(t, s, "a/d", []byte("y"))
	for range 2 {
		if err := s.Delete(t.Context(), "a/b/c"); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Delete(t.Context(), "a"); err != nil { // no object, though others are below
		t.Error(err)
	}
	if _, err := s.Get(t.Context(), "a/b/c", 10); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	wantListing(t, s, "", 0, "a/d")
}

// comeAndGo has neighbours deleted all the time, so that what they share comes and goes too.
func comeAndGo(t *testing.T, s store.Store) {
	var all sync.WaitGroup
	for g := range 4 {
		all.Go(func() {
			for i := range 50 {
				key := fmt.Sprintf("tier/build/platform/%d-%d.json", g, i)
				if err := s.Put(t.Context(), key, []byte(key)); err != nil {
					t.Error(err)
					return
				}
				if got, err := s.Get(t.Context(), key, 100); err != nil || string(got) != key {
					t.Errorf("%s: got %q, %v", key, got, err)
				}
				if _, err := s.List(t.Context(), "tier/", 0); err != nil {
					t.Error(err)
				}
				if err := s.Delete(t.Context(), key); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	wantListing(t, s, "", 0)
}

func badKeys(t *testing.T, s store.Store) {
	long := strings.Repeat("x", 256)
	keys := []string{
		"", "/", "/a", "a/", "a//b", ".", "..", "a/..", "../a", "a/../b", "a/./b", "./a", ".staging/a", "a/.hidden",
		"a\x00b", "a b", "a\nb", "a\\b", "ä", "a:b", "a*", "a?b", "a%2fb", "a~", long, "a/" + long,
		strings.Repeat("abcdefg/", 113) + "x",
	}
	for _, key := range keys {
		path := filepath.Join(t.TempDir(), "file")
		write(t, path, []byte("x"))
		_, getErr := s.Get(t.Context(), key, 10)
		for call, err := range map[string]error{
			"Get": getErr, "Put": s.Put(t.Context(), key, []byte("x")), "PutFile": s.PutFile(t.Context(), key, path),
			"GetFile": s.GetFile(t.Context(), key, path+"2", nil), "Delete": s.Delete(t.Context(), key),
		} {
			if err == nil || errors.Is(err, fs.ErrNotExist) || errors.Is(err, store.ErrRefused) {
				t.Errorf("%s %q: %v", call, key, err)
			}
		}
	}
	for _, bad := range []string{"/", "/a", "a//", "../", "..", "a/../", "a/.", "a b", "\x00", long} {
		if found, err := s.List(t.Context(), bad, 0); err == nil {
			t.Errorf("List %q: %v", bad, found)
		}
	}
	good := strings.Repeat("abcdefg/", 112) + "A._+"
	put(t, s, good, []byte("x"))
	put(t, s, strings.Repeat("y", 255), []byte("x"))
	wantListing(t, s, "abc", 0, good)
}

func endsWithContext(t *testing.T, s store.Store) {
	put(t, s, "a", []byte("x"))
	path := filepath.Join(t.TempDir(), "file")
	write(t, path, []byte("x"))
	reason := errors.New("the job was canceled")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(reason)
	_, getErr := s.Get(ctx, "a", 10)
	_, listErr := s.List(ctx, "", 0)
	for call, err := range map[string]error{
		"Get": getErr, "List": listErr, "Put": s.Put(ctx, "b", []byte("x")), "PutFile": s.PutFile(ctx, "c", path),
		"GetFile": s.GetFile(ctx, "a", path+"2", nil), "Delete": s.Delete(ctx, "a"),
	} {
		if !errors.Is(err, reason) {
			t.Errorf("%s: got %v, want why the context ended", call, err)
		}
	}
	wantListing(t, s, "", 0, "a")
	wantNoFile(t, path+"2")
}

func put(t *testing.T, s store.Store, key string, data []byte) {
	t.Helper()
	if err := s.Put(t.Context(), key, data); err != nil {
		t.Fatal(err)
	}
}

func write(t *testing.T, path string, data []byte) {
	t.Helper()
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

func wantNoFile(t *testing.T, path string) {
	t.Helper()
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%s is there: %v", filepath.Base(path), err)
	}
}

func digest(t *testing.T, path string) [sha256.Size]byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return sha256.Sum256(data)
}

// settling is how long a listing may lag behind: the interface promises no more, and servers rarely do.
const settling = 5 * time.Second

// wantListing lists until it finds these keys and no others.
func wantListing(t *testing.T, s store.Store, prefix string, limit int, want ...string) {
	t.Helper()
	for deadline := time.Now().Add(settling); ; time.Sleep(settling / 50) {
		found, err := s.List(t.Context(), prefix, limit)
		if err != nil {
			t.Fatalf("List %q: %v", prefix, err)
		}
		got := []string{}
		for _, o := range found {
			got = append(got, o.Key)
		}
		if slices.Equal(got, want) {
			return
		}
		if time.Now().After(deadline) {
			t.Errorf("List %q, limit %d: got %.2000v, want %.2000v", prefix, limit, got, want)
			return
		}
	}
}
