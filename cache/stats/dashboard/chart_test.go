package dashboard

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/stats"
)

func TestALineHasGapsWhereNothingIsKnown(t *testing.T) {
	t.Parallel()
	rates := []*float64{new(1.0), new(0.9), nil, new(0.8), nil}
	names := []string{"a", "b", "c", "d", "e"}
	got := lineOf(1, "hits", rates, 0.8, names)
	if want := "M10 0L30 50M70 100"; got.Path != want {
		t.Errorf("the path is %q, want %q", got.Path, want)
	}
	label := strings.ReplaceAll(got.Marks[2].Label, gap, " ")
	if len(got.Marks) != 3 || got.Marks[2].X != "70" || got.Marks[2].Y != "100" || label != "d: 80.0 % of hits" {
		t.Errorf("the marks are %+v", got.Marks)
	}
	many := make([]*float64, mostMarked+1)
	for i := range many {
		many[i] = new(0.5)
	}
	many[3] = nil
	many[5] = nil // between them one is alone
	if got := lineOf(1, "hits", many, 0, slotNames(make([]slot, len(many)), "day")); len(got.Marks) != 1 || got.Marks[0].X != pos(middle(4, len(many))) || got.Marks[0].Minor {
		t.Errorf("the marks of many are %+v", got.Marks)
	}
}

func TestAnAxisOfRatesBeginsBelowThem(t *testing.T) {
	t.Parallel()
	for least, want := range map[float64]string{
		1: "90 92 94 96 98 100", 0.9: "90 92 94 96 98 100", 0.899: "80 85 90 95 100", 0.5: "50 60 70 80 90 100", 0.49: "0 25 50 75 100", 0: "0 25 50 75 100",
	} {
		floor, ticks := rateAxis(least)
		var labels []string
		for _, tick := range ticks {
			labels = append(labels, strings.TrimSuffix(tick.Label, gap+"%"))
		}
		if got := strings.Join(labels, " "); got != want || floor > least || ticks[0].At != "100" || ticks[len(ticks)-1].At != "0" {
			t.Errorf("from %v: %s from %v, want %s", least, got, floor, want)
		}
	}
}

func TestAScaleSuitsItsSeconds(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		values []float64
		want   string
	}{
		{[]float64{0}, "0 s|1 s"},
		{[]float64{0.3}, "0 s|0.1 s|0.2 s|0.3 s"},
		{[]float64{3, 41}, "0 s|20 s|40 s|60 s"},
		{[]float64{-41, -3}, "−60 s|−40 s|−20 s|0 s"},
		{[]float64{-30, 119}, "−1 min|0 min|1 min|2 min"},
		{[]float64{5400}, "0 min|50 min|100 min"},
		{[]float64{7200, 36000}, "0 h|5 h|10 h"},
		{[]float64{-3600, 9 * 86400}, "−5 d|0 d|5 d|10 d"},
	} {
		var values []*float64
		for i := range test.values {
			values = append(values, &test.values[i], nil)
		}
		s := scaleOf(values)
		var labels []string
		for _, tick := range s.ticks() {
			labels = append(labels, strings.ReplaceAll(tick.Label, gap, " "))
		}
		if got := strings.Join(labels, "|"); got != test.want {
			t.Errorf("%v: %s, want %s", test.values, got, test.want)
		}
		for _, v := range test.values {
			if at := s.at(v); at < 0 || at > 1 {
				t.Errorf("%v of %v is at %v", v, test.values, at)
			}
		}
	}
}

func TestBarsGrowFromNothing(t *testing.T) {
	t.Parallel()
	values := []*float64{new(20.0), nil, new(-10.0), new(0.0)}
	got := barsOf(values, scale{least: -10, most: 30, step: 10, unit: 1, name: "s"}, []string{"a", "b", "c", "d"})
	want := []bar{
		{X: "6.5", Y: "25", Width: "12", Height: "50", Label: "a"},
		{X: "56.5", Y: "75", Width: "12", Height: "25", Minus: true, Label: "c"},
		{X: "81.5", Y: "75", Width: "12", Height: "0", Label: "d"},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v", got)
	}
}

func TestSlotsAreTheHoursAndDaysOfTheLedger(t *testing.T) {
	t.Parallel()
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	beirut, err := time.LoadLocation("Asia/Beirut") // where summer time begins at midnight
	if err != nil {
		t.Fatal(err)
	}
	at := func(zone *time.Location, text string) time.Time {
		parsed, err := time.ParseInLocation("2006-01-02 15:04", text, zone)
		if err != nil {
			t.Fatal(err)
		}
		return parsed
	}
	for name, test := range map[string]struct {
		unit     string
		from, to time.Time
		groups   []string
		slots    string
	}{
		"a night":                   {"hour", at(berlin, "2026-03-02 22:30"), at(berlin, "2026-03-03 01:00"), []string{"2026-03-03 00:00"}, "22:00 23:00 00:00=1 01:00"},
		"an hour that is left out":  {"hour", at(berlin, "2026-03-29 01:30"), at(berlin, "2026-03-29 04:10"), []string{"2026-03-29 01:00", "2026-03-29 03:00"}, "01:00=1 03:00=1 04:00"},
		"an hour that comes twice":  {"hour", at(berlin, "2026-10-25 01:30"), at(berlin, "2026-10-25 03:10"), []string{"2026-10-25 02:00"}, "01:00 02:00=1 03:00"},
		"days with one of 23 hours": {"day", at(berlin, "2026-03-28 23:59"), at(berlin, "2026-03-30 00:00"), []string{"2026-03-28", "2026-03-30"}, "28 Mar=1 29 Mar 30 Mar=1"},
		"a day without a midnight":  {"day", at(beirut, "2026-03-28 12:00"), at(beirut, "2026-03-30 09:00"), []string{"2026-03-29"}, "28 Mar 29 Mar=1 30 Mar"},
		"all there is":              {"day", time.Time{}, at(berlin, "2026-03-03 01:00"), []string{"2026-03-01", "2026-03-02"}, "1 Mar=1 2 Mar=1 3 Mar"},
		"a clock that was put back": {"day", at(berlin, "2026-03-02 01:00"), at(berlin, "2026-03-03 01:00"), []string{"2026-03-04"}, "2 Mar 3 Mar 4 Mar=1"},
		"nothing at all":            {"day", time.Time{}, at(berlin, "2026-03-03 01:00"), nil, "3 Mar"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var totals []stats.Total
			for _, group := range test.groups {
				totals = append(totals, stats.Total{Group: group, Jobs: 1})
			}
			slots, step, err := slotted(totals, test.unit, test.from, test.to)
			if err != nil || step != 1 {
				t.Fatal(step, err)
			}
			var got []string
			for _, s := range slots {
				text := s.from.Format(map[string]string{"hour": "15:00", "day": "2 Jan"}[test.unit])
				if s.jobs() > 0 {
					text += fmt.Sprintf("=%d", s.jobs())
				}
				got = append(got, text)
			}
			if strings.Join(got, " ") != test.slots {
				t.Errorf("got  %s\nwant %s", strings.Join(got, " "), test.slots)
			}
		})
	}
}

func TestYearsArePutIntoFewSlots(t *testing.T) {
	t.Parallel()
	var totals []stats.Total
	for i := range 3 * 365 {
		totals = append(totals, stats.Total{Group: now.AddDate(0, 0, -i).Format(time.DateOnly), Jobs: 1, SecondsSaved: 2, Compared: 1, BuildHit: 1, BuildNew: 3})
	}
	slices.Reverse(totals)
	slots, step, err := slotted(totals, "day", time.Time{}, now)
	if err != nil || len(slots) > mostSlots || step != 7 {
		t.Fatalf("%d slots of %d days (%v)", len(slots), step, err)
	}
	jobs := 0
	for _, s := range slots {
		jobs += s.jobs()
	}
	saved, compared := slots[0].saved()
	if rate := slots[0].rate(rates[1].of); jobs != len(totals) || *saved != 14 || compared != 7 || *rate != 0.25 {
		t.Errorf("%d jobs; the first slot saved %v of %d jobs, hit %v", jobs, *saved, compared, *rate)
	}
	for _, c := range []chart{hitRates(slots, "day", step), savings(slots, "day", step)} {
		if !strings.Contains(c.Title, "by 7 days") || len(c.XTicks) > mostLabels || len(c.XTicks) < 4 || c.XTicks[0].Label != "Apr 2023" {
			t.Errorf("%q has the labels %v", c.Title, c.XTicks)
		}
	}
}
