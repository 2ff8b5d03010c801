package cache

import (
	"testing"
	"time"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/store"
)

func TestAFetchIsWorthItIfItTakesLessThanAColdJob(t *testing.T) {
	t.Parallel()
	const mega = 1 << 20
	for name, c := range map[string]struct {
		bytes                  int64
		perSecond, cold, limit float64
		want                   bool
	}{
		"nothing to fetch":          {0, mega, 10, 30, true},
		"nobody knows the rate":     {1000 * mega, 0, 10, 30, true},
		"nobody knows a cold job":   {20 * mega, mega, 0, 30, true},
		"quicker than a cold job":   {9 * mega, mega, 10, 30, true},
		"slower than a cold job":    {11 * mega, mega, 10, 30, false},
		"longer than there is time": {31 * mega, mega, 100, 30, false},
		"nobody waits":              {31 * mega, mega, 100, 0, true},
	} {
		if got := worthIt(c.bytes, c.perSecond, c.cold, c.limit); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestWhatIsNotWorthItsFetchIsLeftAndSaid(t *testing.T) {
	t.Parallel()
	remote := store.NewDirectory(t.TempDir())
	a := farHost(t, remote)
	compiled(t, a, request("1"), "a")
	a.sends(t)
	if e := journalOf(t, a, request(""))[0]; e.Cold <= 0 || e.Cold > 60 {
		t.Errorf("a cold job took %v s", e.Cold)
	}
	b := farHost(t, remote)
	must(t, b.noteRate(rateFrom, 365*24*time.Hour)) // half a byte a second
	j := begin(t, b, request("2"))
	if j.has("a") != "" || j.got.Reason != TooSlow || len(j.got.Problems) != 1 {
		t.Errorf("%+v", j.got)
	}
	j.compile("b")
	j.end()
	if found, _ := sees(t, b, request("3"), "b"); found != "b" {
		t.Errorf("what is here was left too: %q", found)
	}
	if b.lately(time.Now().Add(2*rateFor)) != 0 {
		t.Error("an old rate is still believed")
	}
}
