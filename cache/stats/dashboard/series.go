package dashboard

import (
	"strconv"
	"strings"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/stats"
)

// rates are the hit rates that are drawn over time.
var rates = []struct {
	name string
	of   func(stats.Total) (part, whole int64)
}{
	{"modules hit", func(t stats.Total) (int64, int64) { return t.ModulesHitHost + t.ModulesHitStore, t.ModulesWanted }},
	{"packages not compiled", func(t stats.Total) (int64, int64) { return t.BuildHit, t.BuildHit + t.BuildNew }},
	{"tests cached", func(t stats.Total) (int64, int64) { return t.TestsCached, t.TestsOK }},
}

// each says how long a slot is.
func each(unit string, step int) string {
	if step == 1 {
		return unit
	}
	return strconv.Itoa(step) + " " + unit + "s"
}

func slotNames(slots []slot, unit string) (names []string) {
	for _, s := range slots {
		names = append(names, s.name(unit))
	}
	return names
}

func hitRates(slots []slot, unit string, step int) chart {
	c := chart{ID: "rates", Title: "Hit rates by " + each(unit, step), Note: "Hits over what was wanted, of the jobs of which both are known.", XTicks: timeTicks(slots, unit)}
	names := slotNames(slots, unit)
	c.Description = "Lines from " + names[0] + " to " + names[len(names)-1] + "."
	columns, lowest, some := make([][]*float64, len(rates)), 1.0, false
	for n, r := range rates {
		for _, s := range slots {
			columns[n] = append(columns[n], s.rate(r.of))
		}
		if least, most, latest := extremes(columns[n]); latest != nil {
			c.Description += " " + title(r.name) + " were between " + percent(least) + " and " + percent(most) + ", at last " + percent(latest) + "."
			lowest, some = min(lowest, *least), true
		}
	}
	if !some {
		c.Empty = "Hits are not known of any of these jobs."
		return c
	}
	floor, ticks := rateAxis(lowest)
	if c.YTicks = ticks; floor > 0 {
		c.Note += " The axis begins at " + ticks[0].Label + "."
	}
	for n, r := range rates {
		c.Lines = append(c.Lines, lineOf(n+1, r.name, columns[n], floor, names))
	}
	c.Figures = rateTable(c.Title, unit, names, columns)
	return c
}

// rateTable is what the lines show.
func rateTable(caption, unit string, names []string, columns [][]*float64) table {
	list := table{Caption: caption, Hidden: true, Narrow: true, Columns: []column{{Name: title(unit)}}}
	for _, r := range rates {
		list.Columns = append(list.Columns, column{Name: title(r.name), Number: true})
	}
	for i, name := range names {
		cells := row{whole(name)}
		for n := range rates {
			cells = append(cells, text(percent(columns[n][i])))
		}
		list.Rows = append(list.Rows, cells)
	}
	return list
}

// extremes are the least, the greatest, and the last of what is known.
func extremes(values []*float64) (least, most, latest *float64) {
	for _, v := range values {
		if v == nil {
			continue
		}
		if latest = v; least == nil || *v < *least {
			least = v
		}
		if most == nil || *v > *most {
			most = v
		}
	}
	return least, most, latest
}

func savings(slots []slot, unit string, step int) chart {
	c := chart{
		ID: "saved", Title: "Time saved by " + each(unit, step), Note: "Against the newest cold run of the same job; below zero where a job took longer.",
		XTicks: timeTicks(slots, unit),
		Figures: table{Caption: "Time saved by " + each(unit, step), Hidden: true, Narrow: true, Columns: []column{
			{Name: title(unit)}, {Name: "Time saved", Number: true}, {Name: "Jobs compared", Number: true}, {Name: "Jobs", Number: true},
		}},
	}
	var values []*float64
	var labels []string
	names := slotNames(slots, unit)
	for i, s := range slots {
		saved, compared := s.saved()
		values, labels = append(values, saved), append(labels, names[i]+": "+secondsOf(saved)+" saved by "+plural(compared, "job", "jobs"))
		c.Figures.Rows = append(c.Figures.Rows, row{whole(names[i]), text(secondsOf(saved)), text(count(compared)), text(count(s.jobs()))})
	}
	least, most, latest := extremes(values)
	if latest == nil {
		c.Empty = "No job of these could be compared with a cold run of the same job."
		return c
	}
	s := scaleOf(values)
	c.YTicks, c.Bars = s.ticks(), barsOf(values, s, labels)
	c.Description = "Bars from " + names[0] + " to " + names[len(names)-1] + ". A " + each(unit, step) + " saved between " + seconds(*least) + " and " + seconds(*most) + ", the last one " + seconds(*latest) + "."
	return c
}

// title begins a word or several with a capital.
func title(s string) string { return strings.ToUpper(s[:1]) + s[1:] }
