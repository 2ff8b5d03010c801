package doctor

import (
	"context"
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"
)

func finds(found ...Finding) func(*host, context.Context) []Finding {
	return func(*host, context.Context) []Finding { return found }
}

func TestWhatAFaultKeepsFromBeingLookedAtSaysSoAndNoMore(t *testing.T) {
	t.Parallel()
	const long = time.Minute
	found := examine(t.Context(), &host{}, []check{
		{name: "good", limit: long, look: finds(ok("a"))},
		{name: "doubtful", needs: []string{"good"}, limit: long, look: finds(warning("r", "b"), ok("c"))},
		{name: "bad", needs: []string{"doubtful"}, limit: long, look: finds(ok("d"), wrong("r", "e\x1b[31m\nf"))},
		{name: "blocked", needs: []string{"good", "bad"}, limit: long, look: finds(ok("never"))},
		{name: "behind it", needs: []string{"blocked"}, limit: long, look: finds(ok("never"))},
		{name: "beside it", after: []string{"bad"}, limit: long, look: finds(ok("g"))},
	})
	want := []Finding{
		{"good", OK, "a", ""},
		{"doubtful", Warning, "b", "r"},
		{"doubtful", OK, "c", ""},
		{"bad", OK, "d", ""},
		{"bad", Wrong, "e [31m f", "r"},
		{"blocked", Skipped, "cannot be looked at before this is right: bad", ""},
		{"behind it", Skipped, "cannot be looked at before this is right: blocked", ""},
		{"beside it", OK, "g", ""},
	}
	if !reflect.DeepEqual(found, want) {
		t.Errorf("got  %+v\nwant %+v", found, want)
	}
}

func TestACheckSeesWhatThoseBeforeItHaveFoundOut(t *testing.T) {
	t.Parallel()
	found := examine(t.Context(), &host{}, []check{
		{name: "first", limit: time.Minute, look: func(h *host, _ context.Context) []Finding {
			time.Sleep(50 * time.Millisecond)
			h.Version = "v1"
			return []Finding{wrong("r", "a")}
		}},
		{name: "second", after: []string{"first"}, limit: time.Minute, look: func(h *host, _ context.Context) []Finding { return []Finding{ok("%s", h.Version)} }},
	})
	if found[1].Finding != "v1" {
		t.Errorf("%+v", found)
	}
}

func TestACheckThatHangsIsLeftBehind(t *testing.T) {
	t.Parallel()
	began, over := time.Now(), make(chan struct{})
	t.Cleanup(func() { close(over) })
	found := examine(t.Context(), &host{}, []check{
		{name: "deaf", limit: time.Millisecond, look: func(*host, context.Context) []Finding {
			<-over
			return nil
		}},
		{name: "polite", limit: time.Millisecond, look: func(_ *host, ctx context.Context) []Finding {
			<-ctx.Done()
			return failed(context.Cause(ctx), "r")
		}},
		{name: "blocked", needs: []string{"deaf"}, limit: time.Minute, look: finds(ok("never"))},
	})
	if found[0].State != Wrong || !strings.Contains(found[0].Finding, "waited 1ms") || found[0].Remedy == "" {
		t.Errorf("%+v", found[0])
	}
	if found[1].State != Wrong || found[1].Remedy != "r" || found[2].State != Skipped {
		t.Errorf("%+v", found[1:])
	}
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("it took %s", took)
	}
}

func TestEachCheckStandsBelowThoseThatItWaitsFor(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, c := range checks() {
		for _, other := range append(c.needs, c.after...) {
			if !seen[other] {
				t.Errorf("%q waits for %q, which is not above it", c.name, other)
			}
		}
		if seen[c.name] || c.limit <= 0 {
			t.Errorf("%q is there twice, or has no limit", c.name)
		}
		seen[c.name] = true
	}
}

func TestFindingsForPeopleAndForPrograms(t *testing.T) {
	t.Parallel()
	found := []Finding{{"user", OK, "root", ""}, {"settings", Wrong, "a", "do b"}, {"settings", Warning, "c", "do d"}, {"store", Skipped, "e", ""}}
	var text strings.Builder
	if err := Print(&text, found); err != nil {
		t.Fatal(err)
	}
	want := `ok       user      root
wrong    settings  a
                   remedy: do b
warning            c
                   remedy: do d
skipped  store     e

Wrong: 1 thing; 1 warning.
`
	if text.String() != want {
		t.Errorf("got\n%s\nwant\n%s", &text, want)
	}
	text.Reset()
	if err := PrintJSON(&text, found); err != nil {
		t.Fatal(err)
	}
	var got struct {
		Wrong, Warnings int
		Findings        []Finding
	}
	if err := json.Unmarshal([]byte(text.String()), &got); err != nil || got.Wrong != 1 || got.Warnings != 1 || !reflect.DeepEqual(got.Findings, found) {
		t.Errorf("%v: %+v", err, got)
	}
	for _, c := range []struct {
		found []Finding
		want  string
	}{{found[:1], "Nothing is wrong."}, {found[2:3], "Nothing is wrong; 1 warning."}, {append(found[1:2:2], found[1]), "Wrong: 2 things."}} {
		if got := summary(c.found); got != c.want {
			t.Errorf("got %q, want %q", got, c.want)
		}
	}
}
