package stats

import (
	"iter"
	"slices"
	"testing"
	"time"
)

func TestTheSlowestAndTheColdestJobsComeFirst(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	for i, j := range []struct {
		project       string
		seconds       float64
		missed, added *int
	}{
		{"7", 30, new(0), new(0)},
		{"7", 10, new(3), new(40)},
		{"7", 50, nil, nil},
		{"8", 40, new(2), nil},
		{"7", 30, nil, new(41)}, // as slow as the first, and newer
	} {
		r := row(i)
		r.Project, r.Seconds, r.ModulesMissed, r.BuildNew = j.project, j.seconds, j.missed, j.added
		l.add(t, r)
	}
	numbers := func(jobs iter.Seq2[Job, error]) (got []string) {
		for j, err := range jobs {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, j.Job)
		}
		return got
	}
	for name, test := range map[string]struct {
		got, want []string
	}{
		"slowest":           {numbers(l.Slowest(t.Context(), Filter{}, 4)), []string{"2", "3", "4", "0"}},
		"slowest of one":    {numbers(l.Slowest(t.Context(), Filter{Project: "8"}, 4)), []string{"3"}},
		"coldest":           {numbers(l.Coldest(t.Context(), Filter{}, 10)), []string{"1", "4", "3"}},
		"coldest of late":   {numbers(l.Coldest(t.Context(), Filter{Since: day.Add(2 * time.Second)}, 1)), []string{"4"}},
		"coldest, nowadays": {numbers(l.Coldest(t.Context(), Filter{Since: day.Add(time.Hour)}, 1)), nil},
	} {
		if !slices.Equal(test.got, test.want) {
			t.Errorf("%s: got %v, want %v", name, test.got, test.want)
		}
	}
}
