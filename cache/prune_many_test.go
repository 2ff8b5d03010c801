package cache

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/store"
)

// faulty is a store whose calls can be watched, and fail as the test says.
type faulty struct {
	store.Store
	get, remove func(key string) error
}

func (f faulty) Get(ctx context.Context, key string, limit int64) ([]byte, error) {
	if f.get != nil {
		if err := f.get(key); err != nil {
			return nil, err
		}
	}
	return f.Store.Get(ctx, key, limit)
}

func (f faulty) Delete(ctx context.Context, key string) error {
	if f.remove != nil {
		if err := f.remove(key); err != nil {
			return err
		}
	}
	return f.Store.Delete(ctx, key)
}

// listed is a store whose listings can be watched, and fail as the test says.
type listed struct {
	store.Store
	list func(prefix string) error
}

func (l listed) List(ctx context.Context, prefix string, limit int) ([]store.Object, error) {
	if err := l.list(prefix); err != nil {
		return nil, err
	}
	return l.Store.List(ctx, prefix, limit)
}

// failsIn fails for the keys of one tier.
func failsIn(tier string) func(key string) error {
	return func(key string) error {
		if strings.Contains(key, "/"+tier+"/") {
			return errDown
		}
		return nil
	}
}

// ofRef is the request of a job of an unprotected ref.
func ofRef(tier string) Request {
	r := request(tier)
	r.Tier, r.Below = tier, "protected"
	return r
}

func TestLayersOfEntriesThatCannotBeReadStay(t *testing.T) {
	t.Parallel()
	c := newCache(t)
	for _, tier := range []string{"ref-a", "ref-b"} {
		compiled(t, c, ofRef(tier), "crashed "+tier)
		must(t, c.Store.Delete(t.Context(), journalOf(t, c, ofRef(tier))[0].Key))
		compiled(t, c, ofRef(tier), tier)
	}
	c.Store = faulty{Store: c.Store, get: failsIn("ref-a")}
	done, err := c.PruneStore(t.Context(), PruneOptions{}, func(string) {}, func(string, int, int) {})
	if ReasonOf(err) != StoreUnreachable || !strings.Contains(err.Error(), "ref-a") || done.Waiting != 1 {
		t.Errorf("%+v, %v", done, err)
	}
	if keys := keysIn(t, c.Store); strings.Contains(keys, "ref-a/dead/") || !strings.Contains(keys, "ref-b/dead/") {
		t.Errorf("noted as dead:\n%s", keys)
	}
}

func TestAnEntryThatCannotBeRemovedKeepsItsLayerAndNothingElse(t *testing.T) {
	t.Parallel()
	c := newCache(t)
	for _, tier := range []string{"ref-a", "ref-b"} {
		for n := range problemsTold + 2 {
			crowd(t, c, ofRef(tier), n, 40*24*time.Hour)
		}
	}
	c.Store = faulty{Store: c.Store, remove: failsIn("ref-a")}
	done, err := c.PruneStore(t.Context(), PruneOptions{OlderThan: time.Hour}, func(string) {}, func(string, int, int) {})
	if ReasonOf(err) != StoreUnreachable || strings.Count(err.Error(), errDown.Error()) != problemsTold || !strings.Contains(err.Error(), "and 2 more such errors") {
		t.Errorf("told: %v", err)
	}
	if done.Entries != problemsTold+2 || done.Waiting != problemsTold+2 {
		t.Errorf("%+v", done)
	}
	if keys := keysIn(t, c.Store); strings.Contains(keys, "ref-a/dead/") || strings.Contains(keys, "ref-b/build/") {
		t.Errorf("left:\n%s", keys)
	}
}

// crowd puts the n-th entry of a pool into the store, with a layer of its own, as if a job had saved it so long ago.
func crowd(t *testing.T, c *Cache, r Request, n int, ago time.Duration) {
	t.Helper()
	p := r.pool(r.Tier, "build")
	digest := sum(fmt.Sprint(p.prefix, n))
	must(t, c.Store.Put(t.Context(), p.layerKey(digest), []byte("layer")))
	e := Entry{
		Created: time.Now().Add(-ago).Add(time.Duration(n)), Job: fmt.Sprint(n), Graphs: []string{"none"},
		Layer: &LayerRef{Digest: digest, Size: 5, Items: 1},
	}
	direct := *c
	direct.store = c.Store
	must(t, direct.write(t.Context(), p, e))
}

func TestHundredsOfEntriesGoSideBySideAndAllBeforeTheirLayers(t *testing.T) {
	t.Parallel()
	c := newCache(t)
	const refs, each = 20, 15
	for n := range refs * each {
		tier := fmt.Sprint("ref-", n%refs)
		age := time.Hour
		if n%refs > 0 {
			age = 40 * 24 * time.Hour
		}
		crowd(t, c, ofRef(tier), n, age)
	}
	month := PruneOptions{OlderThan: 30 * 24 * time.Hour}
	steps := map[string]int{}
	watched, met := c.Store, make(chan bool)
	var begun, atWork, most, entriesLeft, tooEarly atomic.Int32
	entriesLeft.Store((refs - 1) * each)
	c.Store = faulty{Store: watched, remove: func(key string) error {
		now := atWork.Add(1)
		defer atWork.Add(-1)
		for was := most.Load(); now > was && !most.CompareAndSwap(was, now); was = most.Load() {
		}
		if strings.Contains(key, "/layers/") && entriesLeft.Load() > 0 {
			tooEarly.Add(1)
		}
		if begun.Add(1) == readAtOnce { // so many meet, and leave whoever should not be there some time to come
			time.AfterFunc(100*time.Millisecond, func() { close(met) })
		}
		select {
		case <-met:
		case <-time.After(time.Minute):
			return errors.New("too few are at work side by side")
		}
		if strings.Contains(key, "/build/") {
			entriesLeft.Add(-1)
		}
		return nil
	}}
	done, err := c.PruneStore(t.Context(), month, func(string) {}, func(step string, done, all int) {
		if done != steps[step]+1 || done > all {
			t.Errorf("%s: %d of %d after %d", step, done, all, steps[step])
		}
		steps[step] = done
	})
	if gone := (refs - 1) * each; err != nil || done.Entries != gone || done.Waiting != gone || steps["removing entries"] != gone || steps["reading entries"] != each {
		t.Errorf("at first: %+v, %v, %v", done, steps, err)
	}
	aDayLater(t, c)
	clear(steps)
	if done, _ := pruned(t, c, month); done.Layers != (refs-1)*each || done.Bytes != 5*int64(done.Layers) || done.Waiting != 0 {
		t.Errorf("a day later: %+v", done)
	}
	if tooEarly.Load() > 0 || most.Load() > readAtOnce {
		t.Errorf("%d layers went before entries, %d calls at once", tooEarly.Load(), most.Load())
	}
	if keys := keysIn(t, watched); strings.Count(keys, "\n")+1 != 2*each || strings.Count(keys, "/ref-0/") != 2*each {
		t.Errorf("left:\n%s", keys)
	}
}

func TestWhoStopsAPruneCanGoOnLater(t *testing.T) {
	t.Parallel()
	c := newCache(t)
	for n := range 50 {
		crowd(t, c, ofRef("ref-a"), n, 40*24*time.Hour)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	old := PruneOptions{OlderThan: time.Hour}
	done, err := c.PruneStore(ctx, old, func(string) {}, func(string, int, int) { cancel(errors.New("that was enough")) })
	if done.Entries == 0 || done.Entries > 2*readAtOnce || done.Layers+done.Waiting > 0 {
		t.Errorf("%+v", done)
	}
	if err == nil || strings.Contains(err.Error(), "\n") || !strings.Contains(err.Error(), "that was enough") || !strings.Contains(err.Error(), "prune again") {
		t.Errorf("told: %v", err)
	}
	if rest, _ := pruned(t, c, old); done.Entries+rest.Entries != 50 || rest.Waiting != 50 {
		t.Errorf("the rest: %+v", rest)
	}
}
