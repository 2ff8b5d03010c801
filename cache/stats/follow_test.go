package stats

import (
	"errors"
	"strings"
	"testing"
	"time"
)

func TestAReaderGetsEachJobOnceAcrossItsRestarts(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	follow := func(reader string, failAt string) string {
		var got []string
		err := l.Follow(t.Context(), reader, func(j Job) error {
			if j.Job == failAt {
				return errors.New("not now")
			}
			got = append(got, j.Job)
			return nil
		})
		if (err != nil) != (failAt != "") {
			t.Errorf("got %v", err)
		}
		return strings.Join(got, " ")
	}
	l.add(t, row(1), row(2), row(3))
	for _, step := range []struct{ reader, failAt, want string }{
		{"metrics", "", "1 2 3"}, {"metrics", "", ""}, {"traces", "2", "1"}, {"traces", "", "2 3"},
	} {
		if got := follow(step.reader, step.failAt); got != step.want {
			t.Errorf("%s got %q, want %q", step.reader, got, step.want)
		}
	}
	for i := range followAtOnce + 10 {
		l.add(t, row(100+i))
	}
	again := row(1) // another attempt
	again.Began = Time{day.Add(time.Second)}
	l.add(t, again)
	if got := strings.Fields(follow("metrics", "")); len(got) != followAtOnce+11 || got[len(got)-1] != "1" {
		t.Errorf("got %d jobs", len(got))
	}
}
