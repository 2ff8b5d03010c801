package cache

import (
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// roundTrip is so long that what is asked side by side overlaps even on a busy machine.
const roundTrip = time.Second

// rounds counts the requests of a step of which each begins when the one before has been answered.
func (f *faultyHosts) rounds(step func()) (n int) {
	f.Helper()
	type span struct{ began, ended time.Time }
	var mu sync.Mutex
	var spans []span
	f.Break(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		s := span{began: time.Now()}
		time.Sleep(roundTrip)
		s.ended = time.Now()
		mu.Lock()
		spans = append(spans, s)
		mu.Unlock()
		next.ServeHTTP(w, r)
	})
	step()
	f.Break(nil)
	slices.SortFunc(spans, func(a, b span) int { return a.ended.Compare(b.ended) })
	var last time.Time
	for _, s := range spans {
		if s.began.After(last) {
			n, last = n+1, s.ended
		}
	}
	return n
}

func TestARestoreWaitsForFewAnswersInARow(t *testing.T) {
	t.Parallel()
	f := newFaultyHosts(t)
	a := f.host()
	ref := func(job, project string) Request {
		r := request(job)
		r.Project, r.Tier, r.Below, r.Kinds = project, "ref-1-x", "protected", Kinds()
		return r
	}
	var words []string
	for n := range 6 { // in each of two tiers
		words = append(words, fmt.Sprintf("<p%d>", n), fmt.Sprintf("<r%d>", n))
		compiled(t, a, request(fmt.Sprint("p", n)), words[2*n])
		compiled(t, a, ref(fmt.Sprint("r", n), "7"), words[2*n+1])
	}
	a.sends(t)

	fresh := f.host()
	r := ref("1", "7")
	dir := filepath.Join(fresh.Dir, "jobs", r.Instance, r.Job)
	// Listings, entries, layers; then only listings, as a job may have saved something meanwhile.
	if n := f.rounds(func() { must(t, fresh.Prefetch(t.Context(), dir, guess(r), "")) }); n > 3 {
		t.Errorf("a prefetch waits for %d answers in a row", n)
	}
	var j *testJob
	if n := f.rounds(func() { j = begin(t, fresh, r) }); n > 1 {
		t.Errorf("the restore after it waits for %d answers in a row", n)
	}
	if found := j.has(words...); found != strings.Join(words, "") || j.got.Reason != Exact || j.got.Fetched != len(words) {
		t.Errorf("found %q of %+v", found, j.got)
	}
	if n := f.rounds(func() { begin(t, f.host(), r) }); n > 3 {
		t.Errorf("a restore without a prefetch waits for %d answers in a row", n)
	}
	// Listings; then those that tell why there is nothing.
	if n := f.rounds(func() { j = begin(t, f.host(), ref("1", "8")) }); n > 2 || j.got.Reason != FirstRun {
		t.Errorf("a first restore waits for %d answers in a row: %+v", n, j.got)
	}
}
