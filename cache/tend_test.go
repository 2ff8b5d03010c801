package cache

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/store"
	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/store/s3test"
)

// farHost is a host whose store is a folder that other hosts have too, and far away for all of them.
func farHost(t *testing.T, remote store.Store) *Cache {
	t.Helper()
	return hostOf(t, Options{Store: remote, Far: true})
}

func (c *Cache) sends(t *testing.T) store.Sent {
	t.Helper()
	sent, err := c.Send(t.Context())
	must(t, err)
	return sent
}

func TestWhatIsSavedIsHereAtOnceAndElsewhereWhenItIsSent(t *testing.T) {
	t.Parallel()
	remote := store.NewDirectory(t.TempDir())
	a, b := farHost(t, remote), farHost(t, remote)
	compiled(t, a, request("1"), "a")
	if found, reason := sees(t, a, request("2"), "a"); found != "a" || reason != Exact {
		t.Errorf("the same host finds %q, %s", found, reason)
	}
	if found, reason := sees(t, b, request("3"), "a"); found != "" || reason != FirstRun {
		t.Errorf("another host finds %q, %s before anything was sent", found, reason)
	}
	if sent := a.sends(t); sent.Objects != 2 {
		t.Errorf("sent %+v, want a layer and an entry", sent)
	}
	j := begin(t, b, request("4"))
	if found := j.has("a"); found != "a" || j.got.Fetched != 1 {
		t.Errorf("another host finds %q of %+v", found, j.got)
	}
	j.end()
	if objects, bytes, err := a.Waiting(t.Context()); objects != 0 || bytes != 0 || err != nil {
		t.Errorf("%d objects of %d bytes still wait, %v", objects, bytes, err)
	}
}

func TestTwentyOneJobsOfThreeHostsAtTheSameTimeLoseNothing(t *testing.T) {
	t.Parallel()
	for name, server := range map[string]func(testing.TB) store.S3Config{"versitygw": s3test.Versity, "MinIO": s3test.MinIO} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			config := server(t)
			connect := func() store.Store {
				bucket, err := store.NewS3(config)
				must(t, err)
				return bucket
			}
			var group sync.WaitGroup
			var want []string
			for h := range 3 {
				c := farHost(t, connect())
				for n := range 7 {
					word := fmt.Sprintf("<%d.%d>", h, n)
					want = append(want, word)
					group.Go(func() {
						compiled(t, c, request(fmt.Sprintf("%d-%d", h, n)), "same", word)
						if err := errors.Join(send(t, c), c.Tend(t.Context(), n%2 == 0)); err != nil {
							t.Error(err)
						}
					})
				}
			}
			group.Wait()
			if found, _ := sees(t, farHost(t, connect()), request("last"), append(want, "same")...); found != strings.Join(want, "")+"same" {
				t.Errorf("lost: %q", found)
			}
		})
	}
}

func send(t *testing.T, c *Cache) error {
	_, err := c.Send(t.Context())
	return err
}

func TestAFarPoolIsCompactedOffTheJobsPathAndLosesNothing(t *testing.T) {
	t.Parallel()
	remote := store.NewDirectory(t.TempDir())
	a, b := farHost(t, remote), farHost(t, remote)
	var words []string
	for n := range 2 * mergeAt {
		words = append(words, fmt.Sprintf("<%d>", n))
		c := []*Cache{a, b}[n%2]
		j := begin(t, c, request(fmt.Sprint(n)))
		j.compile(words[n])
		j.opened(words...)
		j.end()
		c.sends(t)
	}
	entries := journalOf(t, b, request(""))
	if layers, _ := living(entries, "", 100); len(layers) != len(words) {
		t.Fatalf("%d layers before anybody compacts, want %d", len(layers), len(words))
	}
	must(t, b.Tend(t.Context(), true))
	must(t, a.Tend(t.Context(), false)) // has little to do
	layers, _ := living(journalOf(t, a, request("")), "", 100)
	if len(layers) > mergeAt {
		t.Errorf("%d layers are left", len(layers))
	}
	for name, c := range map[string]*Cache{"a": a, "b": b, "a new one": farHost(t, remote)} {
		if found, _ := sees(t, c, request("last-"+strings.ReplaceAll(name, " ", "-")), words...); found != strings.Join(words, "") {
			t.Errorf("host %s has lost something: %q", name, found)
		}
	}
	if marks, _ := os.ReadDir(filepath.Join(a.Dir, grownFolder)); len(marks) > 0 {
		t.Errorf("still to be looked at: %v", marks)
	}
}

func TestWithoutItsStoreAHostGoesOnWithWhatItKnows(t *testing.T) {
	t.Parallel()
	remote := &switchable{Store: store.NewDirectory(t.TempDir())}
	a, b := farHost(t, remote), farHost(t, remote)
	compiled(t, a, request("1"), "a")
	a.sends(t)
	compiled(t, b, request("2"), "b") // has read what a has saved

	remote.down.Store(true)
	j := begin(t, b, request("3"))
	if found := j.has("a", "b"); found != "ab" || j.got.Reason != StoreUnreachable || len(j.got.Problems) == 0 {
		t.Errorf("found %q of %+v", found, j.got)
	}
	j.compile("c")
	saved, err := j.c.Save(t.Context(), j.dir, true)
	if err != nil || saved.Items == 0 || len(saved.Problems) == 0 {
		t.Errorf("saved %+v, %v", saved, err)
	}
	remote.down.Store(false)
	must(t, os.Remove(filepath.Join(b.Dir, "spool", ".down"))) // as time would
	b.sends(t)
	if found, _ := sees(t, a, request("4"), "a", "b", "c"); found != "abc" {
		t.Errorf("the other host finds %q", found)
	}
}

// switchable is a store that can be taken away.
type switchable struct {
	store.Store
	down atomic.Bool
}

func (s *switchable) List(ctx context.Context, prefix string, limit int) ([]store.Object, error) {
	if s.down.Load() {
		return nil, errDown
	}
	return s.Store.List(ctx, prefix, limit)
}

// refuses is a store whose writes fail.
type refuses struct{ store.Store }

var errDown = errors.New("connection reset by peer")

func (refuses) Put(context.Context, string, []byte) error     { return errDown }
func (refuses) PutFile(context.Context, string, string) error { return errDown }

func TestAStoreThatTakesNothingCostsNoWarmthOnThisHost(t *testing.T) {
	t.Parallel()
	remote := store.NewDirectory(t.TempDir())
	c := farHost(t, refuses{remote})
	compiled(t, c, request("1"), "a")
	if _, err := c.Send(t.Context()); ReasonOf(err) != StoreUnreachable {
		t.Errorf("got %v", err)
	}
	if err := c.Tend(t.Context(), true); ReasonOf(err) != StoreUnreachable {
		t.Errorf("got %v", err)
	}
	if found, _ := sees(t, c, request("2"), "a"); found != "a" {
		t.Errorf("found %q", found)
	}
	if objects, _, err := c.Waiting(t.Context()); objects != 2 || err != nil {
		t.Errorf("%d objects wait, %v", objects, err)
	}
}

func TestABigLayerIsNotFetchedToSaveOrToCompactSmallOnes(t *testing.T) {
	t.Parallel()
	remote := store.NewDirectory(t.TempDir())
	c := farHost(t, remote)
	for n := range 2 * mergeAt {
		compiled(t, c, request(fmt.Sprint(n)), fmt.Sprint("w", n))
	}
	c.sends(t)
	running := begin(t, c, request("running"))
	running.compile("while others save")
	p := request("").pool("protected", "build")
	big := Entry{
		Created: journalOf(t, c, request(""))[0].Created.Add(1), Job: "big", Graphs: []string{digestOf("a")},
		Layer: &LayerRef{Digest: digestOf("b"), Size: math.MaxInt32, Items: 1},
	} // is nowhere
	direct := *c
	direct.store = remote
	must(t, direct.write(t.Context(), p, big))
	running.end() // has no problem with it
	must(t, c.Tend(t.Context(), true))
	layers, _ := living(journalOf(t, c, request("")), "", 100)
	if len(layers) > mergeAt {
		t.Errorf("%d layers are left", len(layers))
	}
	if _, err := os.Stat(c.host.File(digestOf("b"))); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the big layer: %v", err)
	}
}

func TestWhatIsPrefetchedIsThereBeforeTheSourcesAreAndCountsAsFetched(t *testing.T) {
	t.Parallel()
	remote := store.NewDirectory(t.TempDir())
	a, b := farHost(t, remote), farHost(t, remote)
	old := request("1")
	old.Toolchain = "go1.25.0"
	compiled(t, a, old, "old")
	compiled(t, a, request("2"), "a")
	a.sends(t)

	r := request("3")
	dir := filepath.Join(b.Dir, "jobs", r.Instance, r.Job)
	must(t, b.Prefetch(t.Context(), dir, guess(r), ""))
	files, err := b.host.Files()
	if err != nil || len(files) != 1 {
		t.Fatalf("prefetched %v, %v; want the layer of the newest toolchain", files, err)
	}
	j := begin(t, b, r)
	if found := j.has("a"); found != "a" || j.got.Fetched != 1 || j.got.Reason != Exact {
		t.Errorf("found %q of %+v", found, j.got)
	}
	j.opened("a")
	j.end()

	killed := filepath.Join(b.Dir, "jobs", r.Instance, "4")
	must(t, b.Prefetch(t.Context(), killed, guess(r), ""))
	must(t, b.Abandon(t.Context(), killed))
	if left, _ := filepath.Glob(filepath.Join(b.Dir, salvageFolder, "*")); len(left) > 0 {
		t.Errorf("a job that got nowhere left %v", left)
	}
	must(t, b.Prefetch(t.Context(), filepath.Join(a.Dir, "nobody"), Request{Instance: "x", Project: "y", Tier: "z", Job: "1", Kinds: Kinds()}, ""))
}
