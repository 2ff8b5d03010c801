package cache

import (
	"context"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/store"
	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/store/s3test"
)

// What each step of a job is given here, as restore_timeout and save_timeout do, and what it may take beyond that on a busy machine.
const (
	restoreLimit = 12 * time.Second // longer than a store is waited for that says nothing at all, as the default is
	saveLimit    = 30 * time.Second
	sendLimit    = 8 * time.Second
	slack        = 8 * time.Second
)

// faultyHosts are hosts that share a bucket behind a proxy.
type faultyHosts struct {
	*testing.T
	*s3test.Proxy
	direct, config store.S3Config
}

func newFaultyHosts(t *testing.T) *faultyHosts {
	t.Helper()
	f := &faultyHosts{T: t, direct: s3test.Fake(t)}
	f.Proxy, f.config = s3test.NewProxy(t, f.direct)
	return f
}

func (f *faultyHosts) host() *Cache {
	f.Helper()
	bucket, err := store.NewS3(f.config)
	must(f.T, err)
	return farHost(f.T, bucket)
}

// within takes a step with its timeout, as the executor does, and sees that it ends.
func (f *faultyHosts) within(what string, limit, want time.Duration, step func(ctx context.Context)) {
	f.Helper()
	ctx, cancel := context.WithTimeoutCause(f.Context(), limit, context.DeadlineExceeded)
	defer cancel()
	began := time.Now()
	step(ctx)
	if took := time.Since(began); took > want+slack {
		f.Errorf("%s took %s, want at most %s", what, took, want+slack)
	}
}

// prefetchAndRestore is what a job does before its scripts.
func (f *faultyHosts) prefetchAndRestore(c *Cache, r Request, want time.Duration) (j *testJob, failed error) {
	f.Helper()
	dir := filepath.Join(c.Dir, "jobs", r.Instance, r.Job)
	must(f.T, os.MkdirAll(dir, 0o700))
	j = &testJob{T: f.T, c: c, dir: dir, in: r.headline()}
	f.within("prefetch", restoreLimit, want, func(ctx context.Context) {
		_ = c.Prefetch(ctx, dir, guess(r), "") // only warmth is lost
	})
	f.within("restore", restoreLimit, want, func(ctx context.Context) {
		j.got, failed = c.Restore(ctx, dir, r)
	})
	if left, err := os.ReadDir(WorkOf(dir).Dir); failed != nil && err == nil {
		f.Errorf("a restore that failed left %v", left)
	}
	return j, failed
}

// saves is what a job does after them.
func (f *faultyHosts) saves(j *testJob, want time.Duration) {
	f.Helper()
	f.within("save", saveLimit, want, func(ctx context.Context) {
		saved, err := j.c.Save(ctx, j.dir, true)
		if err != nil || saved.Items == 0 {
			f.Errorf("save: %d items, %v, %v", saved.Items, saved.Problems, err)
		}
	})
}

// sends is what it does then, unless serve does, and why it cannot.
func (f *faultyHosts) sends(c *Cache, want Reason) {
	f.Helper()
	f.within("send", sendLimit, sendLimit, func(ctx context.Context) {
		if _, err := c.Send(ctx); ReasonOf(err) != want {
			f.Errorf("send: %v, want %q", err, want)
		}
	})
}

// recovers is a while after the fault has gone.
func (f *faultyHosts) recovers(hosts ...*Cache) {
	f.Helper()
	f.Break(nil)
	for _, c := range hosts {
		_ = os.Remove(filepath.Join(c.Dir, "spool", ".down")) // as time would
		c.sends(f.T)
		if objects, _, err := c.Waiting(f.Context()); objects != 0 || err != nil {
			f.Errorf("%d objects still wait, %v", objects, err)
		}
	}
}

func TestWhateverTheStoreDoesAJobGoesOnInTimeAndNothingIsLost(t *testing.T) {
	t.Parallel()
	const cold, warm = "", "ab"
	layers, entries := s3test.Reads(".sqfs"), s3test.Reads(".json")
	denied, busy := s3test.Answer(http.StatusForbidden, "AccessDenied"), s3test.Answer(http.StatusServiceUnavailable, "SlowDown")
	for name, test := range map[string]struct {
		fault  s3test.Fault
		found  string // by a job on a host that has seen nothing
		reason Reason
		sends  Reason        // why a job cannot send what it saved; empty if it can
		within time.Duration // each of prefetch, restore and save
	}{
		"gone":                    {s3test.Abort, cold, StoreUnreachable, StoreUnreachable, 3 * time.Second},
		"gone half way":           {s3test.After(3, s3test.Abort), cold, StoreUnreachable, StoreUnreachable, 3 * time.Second},
		"busy":                    {busy, cold, StoreUnreachable, StoreUnreachable, 3 * time.Second},
		"busy with layers":        {s3test.Only(layers, busy), cold, StoreUnreachable, "", 6 * time.Second},
		"refuses":                 {denied, cold, StoreRefused, StoreRefused, time.Second},
		"refuses to list":         {s3test.Only(s3test.Listings, denied), cold, StoreRefused, StoreRefused, time.Second},
		"refuses entries":         {s3test.Only(entries, denied), cold, StoreRefused, "", time.Second},
		"refuses layers":          {s3test.Only(layers, denied), cold, StoreRefused, "", time.Second},
		"refuses writes":          {s3test.Only(s3test.Writes, denied), warm, Exact, StoreRefused, 3 * time.Second},
		"hangs":                   {s3test.Hang, cold, StoreUnreachable, StoreUnreachable, 10 * time.Second},
		"hangs with entries":      {s3test.Only(entries, s3test.Hang), cold, StoreUnreachable, StoreUnreachable, 10 * time.Second},
		"hangs with layers":       {s3test.Only(layers, s3test.Hang), cold, TooSlow, "", restoreLimit},
		"hangs when written to":   {s3test.Only(s3test.Writes, s3test.Hang), warm, Exact, TooSlow, 3 * time.Second},
		"short bodies":            {s3test.Only(s3test.Reads(""), s3test.Short), cold, StoreUnreachable, "", 10 * time.Second},
		"wrong bytes":             {s3test.Only(s3test.Reads(""), s3test.WrongBytes), cold, Corrupt, "", time.Second},
		"wrong bytes in layers":   {s3test.Only(layers, s3test.WrongBytes), cold, Corrupt, "", time.Second},
		"wrong bytes in listings": {s3test.Only(s3test.Listings, s3test.WrongBytes), cold, StoreUnreachable, StoreUnreachable, 3 * time.Second},
		"slow":                    {s3test.Slow(100 * time.Millisecond), warm, Exact, "", 2 * time.Second},
		"very slow":               {s3test.Slow(time.Second), warm, Exact, "", 3 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFaultyHosts(t)
			elsewhere, here, fresh := f.host(), f.host(), f.host()
			compiled(t, elsewhere, request("1"), "a")
			elsewhere.sends(t)
			running := begin(t, here, request("2"))
			compiled(t, elsewhere, request("3"), "b")
			elsewhere.sends(t)

			f.Break(test.fault)
			running.compile("c")
			var group sync.WaitGroup
			group.Go(func() { f.saves(running, test.within) })
			j, err := f.prefetchAndRestore(fresh, request("4"), test.within)
			if j.got.Reason != test.reason {
				t.Errorf("a job on a fresh host: %s, %v, %v; want %s", j.got.Reason, j.got.Problems, err, test.reason)
			}
			made := ""
			if err == nil {
				if found := j.has("a", "b"); found != test.found {
					t.Errorf("it found %q, want %q", found, test.found)
				}
				j.compile("a", "b", "d") // as one does that finds nothing
				f.saves(j, test.within)
				f.sends(fresh, test.sends)
				made = "d"
			}
			group.Wait()
			f.sends(here, test.sends)

			f.recovers(here, fresh)
			for name, c := range map[string]*Cache{"fresh": fresh, "new": f.host()} {
				last := begin(t, c, request("5"))
				if found := last.has("a", "b", "c", "d"); found != "abc"+made || last.got.Reason != Exact || len(last.got.Problems) > 0 {
					t.Errorf("afterwards the %s host finds %q, %s, %v", name, found, last.got.Reason, last.got.Problems)
				}
				last.end()
			}
		})
	}
}

// What of a store is gone, and what is there: another program may have removed it, or a lifecycle rule.
func TestAStoreOfWhichAPartIsGoneCostsThatPartOnce(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		suffix string
		reason Reason
	}{
		"layers":  {".sqfs", Corrupt},
		"entries": {".json", FirstRun},
		"all":     {"", FirstRun},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFaultyHosts(t)
			before, fresh := f.host(), f.host()
			compiled(t, before, request("1"), "a")
			before.sends(t)
			s3test.RemoveObjects(t, f.direct, test.suffix)

			j, err := f.prefetchAndRestore(fresh, request("2"), time.Second)
			if err != nil || j.got.Reason != test.reason || j.has("a") != "" {
				t.Errorf("%+v, %v, want %s", j.got, err, test.reason)
			}
			j.compile("a", "b")
			f.saves(j, time.Second)
			f.sends(fresh, "")
			for name, c := range map[string]*Cache{"that has what is gone": before, "that is new": f.host()} {
				last := begin(t, c, request("3"))
				if found := last.has("a", "b"); found != "ab" || last.got.Reason != Exact || len(last.got.Problems) > 0 {
					t.Errorf("afterwards a host %s finds %q, %s, %v", name, found, last.got.Reason, last.got.Problems)
				}
			}
		})
	}
}

func TestWithoutItsBucketAHostKeepsWhatItHasUntilThereIsOneAgain(t *testing.T) {
	t.Parallel()
	f := newFaultyHosts(t)
	here, fresh := f.host(), f.host()
	compiled(t, here, request("1"), "a")
	here.sends(t)
	running := begin(t, here, request("2"))
	s3test.DropBucket(t, f.direct)

	running.compile("b")
	f.saves(running, time.Second)
	f.sends(here, StoreRefused)
	j := begin(t, here, request("3"))
	if found := j.has("a", "b"); found != "ab" || j.got.Reason != StoreRefused {
		t.Errorf("the host that knew it finds %q of %+v", found, j.got)
	}
	j, err := f.prefetchAndRestore(fresh, request("3"), time.Second)
	if err != nil || j.got.Reason != StoreRefused || j.has("a") != "" {
		t.Errorf("another host: %+v, %v", j.got, err)
	}
	j.compile("c")
	f.saves(j, time.Second)
	f.sends(fresh, StoreRefused)

	s3test.MakeBucket(t, f.direct)
	f.recovers(here, fresh)
	if found, reason := sees(t, f.host(), request("4"), "b", "c"); found != "bc" || reason != Exact {
		t.Errorf("afterwards a new host finds %q, %s", found, reason)
	}
}
