package storetest

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/store"
)

// order has names that differ in characters before and after the slash: a folder "a" does not come where a file "a" does.
func order(t *testing.T, s store.Store) {
	keys := []string{
		"a+b", "a-", "a-b", "a-b/c", "a-b/c-d", "a-b/c.d", "a-b/c/d", "a-b/c0", "a.b/c", "a/b", "a/b-c", "a/b/c", "a0", "a0/b", "a_/b", "aa", "b", "Z", "Z/a", "0",
	}
	keys = slices.DeleteFunc(keys, func(k string) bool { // no key is the beginning of another one's path
		return slices.ContainsFunc(keys, func(other string) bool { return len(other) > len(k) && other[:len(k)+1] == k+"/" })
	})
	want := slices.Sorted(slices.Values(keys))
	rand.Shuffle(len(keys), func(i, j int) { keys[i], keys[j] = keys[j], keys[i] })
	for _, key := range keys {
		put(t, s, key, []byte(key))
	}
	wantListing(t, s, "", 0, want...)
	wantListing(t, s, "", 5, want[:5]...)
	found, err := s.List(t.Context(), "", 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range found {
		if o.Size != int64(len(o.Key)) {
			t.Errorf("%s: got %d bytes, want %d", o.Key, o.Size, len(o.Key))
		}
	}
}

func prefix(t *testing.T, s store.Store) {
	for _, key := range []string{
		"v1/host/1/build/linux-amd64/go1.26/e1", "v1/host/1/build/linux-amd64/go1.26/e2", "v1/host/1/build/linux-arm64/go1.26/e3",
		"v1/host/1/buildx/e4", "v1/host/1/modules/e5", "v1/host/12/modules/e6", "v2/x",
	} {
		put(t, s, key, []byte("x"))
	}
	for prefix, want := range map[string][]string{
		"v1/host/1/build/linux-amd64/go1.26/":   {"v1/host/1/build/linux-amd64/go1.26/e1", "v1/host/1/build/linux-amd64/go1.26/e2"},
		"v1/host/1/build/linux-amd64/go1.26/e2": {"v1/host/1/build/linux-amd64/go1.26/e2"},
		"v1/host/1/build/linux-a":               {"v1/host/1/build/linux-amd64/go1.26/e1", "v1/host/1/build/linux-amd64/go1.26/e2", "v1/host/1/build/linux-arm64/go1.26/e3"},
		"v1/host/1/buildx":                      {"v1/host/1/buildx/e4"},
		"v1/host/1/m":                           {"v1/host/1/modules/e5"},
		"v1/host/1":                             {"v1/host/1/build/linux-amd64/go1.26/e1", "v1/host/1/build/linux-amd64/go1.26/e2", "v1/host/1/build/linux-arm64/go1.26/e3", "v1/host/1/buildx/e4", "v1/host/1/modules/e5", "v1/host/12/modules/e6"},
		"v1/host/2":                             nil,
		"v1/host/1/build/linux-amd64/go1.2/":    nil,
		"v":                                     {"v1/host/1/build/linux-amd64/go1.26/e1", "v1/host/1/build/linux-amd64/go1.26/e2", "v1/host/1/build/linux-arm64/go1.26/e3", "v1/host/1/buildx/e4", "v1/host/1/modules/e5", "v1/host/12/modules/e6", "v2/x"},
		"v2/":                                   {"v2/x"},
	} {
		wantListing(t, s, prefix, 0, want...)
	}
}

func limit(t *testing.T, s store.Store) {
	var all []string
	for i := range 30 {
		all = append(all, fmt.Sprintf("a/%02d/e", i))
		put(t, s, all[i], []byte("x"))
	}
	for _, n := range []int{1, 2, 29, 30, 31, 1000} {
		wantListing(t, s, "a/", n, all[:min(n, len(all))]...)
	}
	wantListing(t, s, "a/", 0, all...)
	wantListing(t, s, "a/1", 3, "a/10/e", "a/11/e", "a/12/e")
}

// manyObjects is what a journal looks like that was never compacted. A store far away takes a while to fill, so fewer do there.
func manyObjects(t *testing.T, s store.Store) {
	const most, filling, quick = 3000, 10 * time.Second, 500 * time.Millisecond
	var all sync.WaitGroup
	var counts [16]int
	deadline := time.Now().Add(filling)
	for g := range counts {
		all.Go(func() {
			for i := g; i < most && time.Now().Before(deadline); i += len(counts) {
				if err := s.Put(t.Context(), fmt.Sprintf("pool/%05d-entry.json", i), []byte("x")); err != nil {
					t.Error(err)
					return
				}
				counts[g]++
			}
		})
	}
	all.Wait()
	var want []string
	for i := range min(100, slices.Min(counts[:])*len(counts)) {
		want = append(want, fmt.Sprintf("pool/%05d-entry.json", i))
	}
	wantListing(t, s, "pool/", len(want), want...)
	best := time.Hour
	for range 5 { // the machine may be busy
		start := time.Now()
		if _, err := s.List(t.Context(), "pool/", 100); err != nil {
			t.Fatal(err)
		}
		best = min(best, time.Since(start))
	}
	if best > quick {
		t.Errorf("a listing of 100 took %s", best)
	}
}
