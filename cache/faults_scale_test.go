//go:build faults

package cache

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/faulttest"
	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/store"
	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/store/s3test"
)

// A store as many projects leave it: ten pools each, of two tiers, two platforms and two toolchains, of five entries with a layer each.
const (
	poolsOfProject = 10
	entriesOfPool  = 5
)

// crowdOf gives the keys and bytes of the objects of the pools from one number to another. What is in a layer does not matter: nobody asks for it.
func crowdOf(from, to int, put func(key string, data []byte) error) error {
	for n := from; n < to; n++ {
		r := request(fmt.Sprint(n))
		r.Project, r.Tier = fmt.Sprint(1_000_000+n/poolsOfProject), []string{"protected", fmt.Sprintf("ref-%d-x", n)}[n%2]
		r.Platform, r.Toolchain = []string{"linux-amd64-v1", "linux-arm64-v8.0"}[n/2%2], fmt.Sprintf("go1.26.%d", n/4%2)
		p := r.pool(r.Tier, Kinds()[min(1, n%3)])
		for i := range entriesOfPool {
			e := Entry{
				Created: time.Now().Add(-time.Duration(n*entriesOfPool+i) * time.Second), Job: r.Job, Speaker: r.Job, Graphs: []string{sum(r.Job)},
				Layer: &LayerRef{Digest: sum(fmt.Sprint(n, i)), Size: 4096, Items: 10},
			}
			data, err := json.Marshal(e)
			if err != nil {
				return err
			}
			if err := put(p.entryKey(e.Created, e.Graphs[0], e.Job), data); err != nil {
				return err
			}
			if err := put(p.layerKey(e.Layer.Digest), []byte("hsqs")); err != nil {
				return err
			}
		}
	}
	return nil
}

// filesIn puts objects as files, below a folder that some store has for its objects.
func filesIn(dir string) func(key string, data []byte) error {
	return func(key string, data []byte) error {
		file := filepath.Join(dir, filepath.FromSlash(key))
		err := os.WriteFile(file, data, 0o600)
		if os.IsNotExist(err) {
			if err = os.MkdirAll(filepath.Dir(file), 0o700); err == nil {
				err = os.WriteFile(file, data, 0o600)
			}
		}
		return err
	}
}

// backend is a store that can be filled behind its back.
type backend struct {
	store store.Store
	far   bool
	put   func(key string, data []byte) error
	wait  func() error // until all is there that was put
}

func noProblem() error { return nil }

func (m *meter) directory(t *testing.T) backend {
	dir := t.TempDir()
	return backend{store.NewDirectory(dir), false, filesIn(dir), noProblem}
}

func (m *meter) versity(t *testing.T) backend {
	config, dir := s3test.VersityOver(t, t.TempDir())
	return backend{m.bucket(t, config), true, filesIn(dir), noProblem}
}

func (m *meter) minio(t *testing.T) backend {
	config := s3test.MinIO(t)
	direct, err := store.NewS3(config)
	must(t, err)
	var group errgroup.Group
	group.SetLimit(readAtOnce)
	put := func(key string, data []byte) error {
		group.Go(func() error { return direct.Put(t.Context(), key, data) })
		return nil
	}
	return backend{m.bucket(t, config), true, put, group.Wait}
}

// bucket is one whose requests are counted.
func (m *meter) bucket(t *testing.T, config store.S3Config) store.Store {
	proxy, config := s3test.NewProxy(t, config)
	m.at(proxy)
	bucket, err := store.NewS3(config)
	must(t, err)
	return bucket
}

// lookups are what the jobs of a project, which has saved a little, wait for on a host that has seen nothing, and on one that has.
type lookups struct {
	fresh, warm, save cost
}

func (m *meter) lookups(t *testing.T, b backend, project string) (l lookups) {
	t.Helper()
	ofProject := func(job string) Request {
		r := request(job)
		r.Project, r.Kinds, r.Tier, r.Below = project, Kinds(), "ref-1-x", "protected"
		return r
	}
	before := hostOf(t, Options{Store: b.store, Far: b.far})
	for _, word := range []string{"a", "b", "c"} {
		compiled(t, before, ofProject(word), word)
	}
	before.sends(t)
	host := hostOf(t, Options{Store: b.store, Far: b.far})
	step := func(job string) (j *testJob, c cost) {
		r := ofProject(job)
		dir := filepath.Join(host.Dir, "jobs", r.Instance, r.Job)
		must(t, os.MkdirAll(dir, 0o700))
		c = m.of(t, func() {
			must(t, host.Prefetch(t.Context(), dir, guess(r), "linux-amd64"))
			j = begin(t, host, r)
		})
		if found := j.has("a", "b", "c"); found != "abc" || j.got.Reason != Exact || len(j.got.Problems) > 0 {
			t.Errorf("found %q of %+v", found, j.got)
		}
		return j, c
	}
	j, fresh := step("1")
	j.compile("d")
	l.save = m.of(t, func() {
		j.end()
		host.sends(t)
	})
	l.fresh = fresh
	j, l.warm = step("2")
	j.end()
	return l
}

// flat sees that a step costs the same in a full store as in an empty one. What the clock says is only to show that nothing is out of all
// proportion: others work on this machine.
func flat(t *testing.T, what string, empty, full cost) {
	t.Helper()
	const ratio, grace = 3, 2 * time.Second
	if full.requests > empty.requests || full.bytes > 2*empty.bytes+4096 {
		t.Errorf("%s: %v in a full store, %v in an empty one", what, full, empty)
	}
	if full.took > ratio*empty.took+grace {
		t.Errorf("%s takes %s in a full store, %s in an empty one", what, full.took, empty.took)
	}
	if full.heap > 64<<20 || full.files > 300 {
		t.Errorf("%s: %v", what, full)
	}
}

// TestFaultALookupTakesAsLongInAFullStoreAsInAnEmptyOne needs two minutes; a share of it fills the stores less.
func TestFaultALookupTakesAsLongInAFullStoreAsInAnEmptyOne(t *testing.T) {
	for _, test := range []struct {
		name  string
		open  func(*meter, *testing.T) backend
		pools int // at the most
	}{
		{"a folder", (*meter).directory, 10_000},
		{"versitygw", (*meter).versity, 10_000},
		{"minio", (*meter).minio, 1_000}, // which takes its time for each object that is put
	} {
		t.Run(test.name, func(t *testing.T) {
			m := &meter{}
			b := test.open(m, t)
			most, there := faulttest.Times(t, test.pools), 0
			var empty lookups
			for pools := 10; pools <= most; pools *= 10 {
				must(t, crowdOf(there, pools, b.put))
				must(t, b.wait())
				there = pools
				l := m.lookups(t, b, fmt.Sprint(1_000_000_000+pools))
				faulttest.Progress(t, "%-9s %6d pools %6d objects: on a fresh host %v", test.name, pools, 2*entriesOfPool*pools, l.fresh)
				faulttest.Progress(t, "%-9s %28s on one that knows it %v", test.name, "", l.warm)
				faulttest.Progress(t, "%-9s %31s save and upload %v", test.name, "", l.save)
				if pools == 10 {
					empty = l
					continue
				}
				flat(t, "a lookup on a fresh host", empty.fresh, l.fresh)
				flat(t, "a lookup on a host that knows it", empty.warm, l.warm)
				flat(t, "a save", empty.save, l.save)
			}
		})
	}
}

// TestFaultAProjectOfThousandsOfEntriesIsLookedUpWithinBounds has one pool grow, as it would if nothing ever compacted it, in a tier of very many layers.
func TestFaultAProjectOfThousandsOfEntriesIsLookedUpWithinBounds(t *testing.T) {
	config, dir := s3test.VersityOver(t, t.TempDir())
	m := &meter{}
	b := backend{store: m.bucket(t, config), far: true}
	r := request("1")
	p := r.pool(r.Tier, "build")
	put := filesIn(dir)
	for n := range faulttest.Times(t, 20_000) {
		must(t, put(p.layerKey(sum(fmt.Sprint("layer", n))), []byte("hsqs")))
	}
	tend := farHost(t, b.store)
	for _, entries := range []int{10, 100, 1000, 5000} {
		writeEntries(t, dir, p, faulttest.Times(t, entries), func(i int) Entry { return Entry{Graphs: []string{sum(fmt.Sprint(i))}, Speaker: "s"} })
		host := farHost(t, b.store)
		fresh := m.lookup(t, host, r)
		faulttest.Progress(t, "%5d entries: on a fresh host %v", faulttest.Times(t, entries), fresh)
		faulttest.Progress(t, "%14s on one that knows %v", "", m.lookup(t, host, r))
		if fresh.requests > maxEntries+10 || fresh.heap > 64<<20 || fresh.files > 300 {
			t.Errorf("a lookup of %d entries: %v", entries, fresh)
		}
	}
	must(t, tend.noteGrown(p))
	compacted := m.of(t, func() { must(t, tend.Compact(t.Context(), true)) })
	faulttest.Progress(t, "       compacted %v", compacted)
	fresh := m.lookup(t, farHost(t, b.store), r)
	faulttest.Progress(t, "%5d entries: on a fresh host %v", len(entriesLeft(t, tend, p)), fresh)
	if fresh.requests > graphsKept+10 {
		t.Errorf("a lookup after it: %v", fresh)
	}
}

// lookup is a restore that finds entries and no layers.
func (m *meter) lookup(t *testing.T, c *Cache, r Request) cost {
	t.Helper()
	return m.of(t, func() {
		if _, reason := sees(t, c, r); reason != Nearest && reason != Exact {
			t.Errorf("the reason is %s", reason)
		}
	})
}
