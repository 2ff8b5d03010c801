package stats

import (
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestCrossedTotalsAddUpToThoseOfEachKind(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	for i := range 40 {
		j := row(i)
		j.Ended.Time = day.Add(time.Duration(i) * 3 * time.Hour)
		j.ProjectPath, j.CacheReason, j.Outcome = []string{"group/app", "group/lib", ""}[i%3], []string{"exact", "nearest"}[i%2], []string{"success", "success", "script_failed", "canceled"}[i%4]
		if i%5 == 0 {
			j.ModulesWanted, j.BuildHit, j.TestsOK, j.TestsCached = nil, nil, nil, nil
		}
		l.add(t, j)
	}
	f := Filter{Since: day.Add(24 * time.Hour)}
	kinds := []string{"day", "project", "cache_reason", "outcome"}
	crossed, err := l.Crossed(t.Context(), f, kinds...)
	if err != nil {
		t.Fatal(err)
	}
	var all Total
	sums := make([]map[string]Total, len(kinds))
	for _, c := range crossed {
		all.Add(c.Total)
		for i, group := range c.Groups {
			if sums[i] == nil {
				sums[i] = map[string]Total{}
			}
			sum := sums[i][group]
			sum.Group = group
			sum.Add(c.Total)
			sums[i][group] = sum
		}
	}
	for i, kind := range kinds {
		totals, err := l.Totals(t.Context(), f, kind)
		if err != nil || len(totals) != len(sums[i]) {
			t.Fatalf("%d groups by %s, want %d (%v)", len(sums[i]), kind, len(totals), err)
		}
		for _, want := range totals {
			if got := sums[i][want.Group]; !reflect.DeepEqual(got, want) { // these seconds are sums of quarters, so exact
				t.Errorf("%s %q\ngot  %+v\nwant %+v", kind, want.Group, got, want)
			}
		}
	}
	if want, err := l.Totals(t.Context(), f, ""); err != nil || all != want[0] {
		t.Errorf("all\ngot  %+v\nwant %+v (%v)", all, want, err)
	}
	if _, err := l.Crossed(t.Context(), f, "day", "phase of the moon"); err == nil || !strings.Contains(err.Error(), "cache_reason") {
		t.Errorf("got %v", err)
	}
}
