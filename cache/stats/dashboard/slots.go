package dashboard

import (
	"time"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/stats"
)

// mostSlots is how many points in time a chart can show.
const mostSlots = 160

// slot is an hour or a day, or several of them, with the totals of their jobs.
type slot struct {
	from   time.Time
	totals []stats.Total
}

// layouts are how the ledger names the groups by which figures over time are grouped.
var layouts = map[string]string{"hour": "2006-01-02 15:00", "day": time.DateOnly}

// slotted puts totals by hour or day into slots without a gap, from a time (if it is zero, from the first total) until now, whose zone is the
// ledger's. Each slot has so many hours or days that there are no more than mostSlots.
func slotted(totals []stats.Total, unit string, from, now time.Time) (slots []slot, step int, err error) {
	index := map[string]int{}
	to := now
	for i, t := range totals {
		at, err := time.ParseInLocation(layouts[unit], t.Group, now.Location())
		if err != nil {
			return nil, 0, err
		}
		if from.IsZero() || at.Before(from) {
			from = at
		}
		if at.After(to) { // a clock that was put back
			to = at
		}
		index[t.Group] = i
	}
	if from.IsZero() {
		from = now
	}
	units := starts(unit, from.In(now.Location()), to.In(now.Location()))
	for step = 1; (len(units)+step-1)/step > mostSlots; {
		step *= 7
	}
	for i, start := range units {
		if i%step == 0 {
			slots = append(slots, slot{from: start})
		}
		if at, some := index[start.Format(layouts[unit])]; some {
			last := &slots[len(slots)-1]
			last.totals = append(last.totals, totals[at])
		}
	}
	return slots, step, nil
}

// starts are the hours or days that a time has a part of, each by a moment in it. An hour that comes twice when summer time ends is one, as in
// the ledger.
func starts(unit string, from, to time.Time) (starts []time.Time) {
	year, month, day := from.Date()
	hour, next := 12, func(t time.Time) time.Time { return t.AddDate(0, 0, 1) } // not every day has a midnight
	if unit == "hour" {
		hour, next = from.Hour(), func(t time.Time) time.Time { return t.Add(time.Hour) }
	}
	layout, last := layouts[unit], ""
	for at := time.Date(year, month, day, hour, 0, 0, 0, from.Location()); at.Format(layout) <= to.Format(layout); at = next(at) {
		if name := at.Format(layout); name != last {
			starts, last = append(starts, at), name
		}
	}
	return starts
}

// rate is part of whole over the slot's jobs, nil if there is no whole.
func (s slot) rate(of func(stats.Total) (part, whole int64)) *float64 {
	var part, whole int64
	for _, t := range s.totals {
		p, w := of(t)
		part, whole = part+p, whole+w
	}
	return stats.Rate(part, whole)
}

// saved is the seconds that the caches saved the slot's jobs, nil if that is not known of any, and of how many it is known.
func (s slot) saved() (seconds *float64, jobs int) {
	var sum float64
	for _, t := range s.totals {
		sum, jobs = sum+t.SecondsSaved, jobs+t.Compared
	}
	if jobs == 0 {
		return nil, 0
	}
	return &sum, jobs
}

func (s slot) jobs() (jobs int) {
	for _, t := range s.totals {
		jobs += t.Jobs
	}
	return jobs
}

// name is how a slot is called: after its first hour or day.
func (s slot) name(unit string) string {
	if unit == "hour" {
		return s.from.Format("2" + gap + "Jan 15:00")
	}
	return s.from.Format(layouts[unit])
}
