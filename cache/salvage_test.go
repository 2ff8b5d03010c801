package cache

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// A job can leave what takes longer to look through than there is time, and be killed: not every job after it shall wait for that.
func TestWhatCannotBeSalvagedInTimeIsTriedTwiceAndKeepsNobodyElseFromIt(t *testing.T) {
	t.Parallel()
	c := newCache(t)
	j := begin(t, c, request("1"))
	action, out := j.paths("x", "holes")
	const size = 2 << 30 // of holes: seconds of hashing
	must(t, errors.Join(os.WriteFile(action, fmt.Appendf(nil, "v1 %s %s %20d %20d\n", sum("x"), sum("holes"), int64(size), 1), 0o666), os.WriteFile(out, nil, 0o666), os.Truncate(out, size)))
	must(t, c.Abandon(t.Context(), j.dir))
	honest := begin(t, c, request("2"))
	honest.compile("a")
	must(t, c.Abandon(t.Context(), honest.dir))
	left := func() int {
		found, err := filepath.Glob(filepath.Join(c.Dir, salvageFolder, "*-*"))
		must(t, err)
		return len(found)
	}
	var dropped []error
	for attempt, want := range []int{2, 1} {
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		must(t, c.Salvage(ctx, func(_ Saved, err error) { dropped = append(dropped, err) }))
		cancel()
		if left() != want || len(dropped) != attempt {
			t.Fatalf("after attempt %d there are %d, dropped %v", attempt+1, left(), dropped)
		}
	}
	if ReasonOf(dropped[0]) != TooSlow {
		t.Errorf("dropped because of %v", dropped[0])
	}
	must(t, c.Salvage(t.Context(), func(saved Saved, err error) {
		if err != nil || saved.Items != 1 {
			t.Errorf("the other: %+v, %v", saved, err)
		}
	}))
	if found, _ := sees(t, c, request("3"), "a"); found != "a" || left() != 0 {
		t.Errorf("found %q, left %d", found, left())
	}
}
