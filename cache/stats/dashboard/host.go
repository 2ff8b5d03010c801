package dashboard

import (
	"time"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/stats"
)

// What is known of the host, for the overview.

// state is how something does, in a word or two.
type state struct {
	Name, Text string
	Class      string // well, bad or unsure
	Mark       string // says the same without a colour
}

func stateOf(name, text string, well bool) state {
	switch {
	case text == unknown:
		return state{name, text, "unsure", "?"}
	case well:
		return state{name, text, "well", "✓"}
	}
	return state{name, text, "bad", "!"}
}

// meter is what something takes of what it may take.
type meter struct {
	Name, Text string
	Filled     string // in percent; empty if that is not known
	Full       bool   // nearly
}

// term is a fact with its name.
type term struct {
	Name string
	Cell cell
}

// leastFree is the part of a disk that has to be free for it to do well.
const leastFree = 0.1

func health(f Facts) []state {
	store := stateOf("Store", unknown, false)
	if h := f.StoreHealth; h.Up != nil {
		store = stateOf("Store", "answers", true)
		if !*h.Up {
			store = stateOf("Store", clean(or(h.Reason, "fails"), shortName), false)
		}
	}
	spool := stateOf("Spool", spooled(f.Spool), true)
	if f.Spool.Objects != nil && *f.Spool.Objects > 0 {
		spool.Class, spool.Mark = "unsure", "…"
	}
	disk := stateOf("Disk", unknown, true)
	if f.DiskFree != nil {
		disk = stateOf("Disk", size(*f.DiskFree)+" free", f.DiskSize == nil || float64(*f.DiskFree) >= leastFree*float64(*f.DiskSize))
	}
	orphans := stateOf("Orphans", unknown, true)
	if n := sum(f.OrphanJobs, f.OrphanContainers); n != nil {
		orphans = stateOf("Orphans", count(*n), *n == 0)
	}
	return []state{store, spool, disk, orphans}
}

func spooled(s Spool) string {
	switch {
	case s.Objects == nil:
		return unknown
	case *s.Objects == 0:
		return "empty"
	case s.Bytes == nil:
		return plural(*s.Objects, "object", "objects")
	}
	return plural(*s.Objects, "object", "objects") + ", " + size(*s.Bytes)
}

func meters(f Facts) []meter {
	var used *int64
	if f.DiskFree != nil && f.DiskSize != nil {
		used = new(*f.DiskSize - *f.DiskFree)
	}
	return []meter{
		meterOf("Host tier", "layer", f.HostTier), meterOf("Store", "object", f.Store), meterOf("Ledger", "job", f.Ledger),
		meterOf("Disk of the state directory", "", Use{Bytes: used, Limit: f.DiskSize}),
	}
}

func meterOf(name, noun string, u Use) meter {
	m := meter{Name: name, Text: sizeOf(u.Bytes)}
	switch {
	case u.Bytes == nil && u.Limit == nil:
	case u.Limit == nil:
		m.Text += "; limit unknown"
	case *u.Limit == 0:
		m.Text += "; no limit"
	default:
		m.Text += " of " + size(*u.Limit)
		if u.Bytes != nil {
			part := float64(*u.Bytes) / float64(*u.Limit)
			m.Text += " (" + percent(&part) + ")"
			m.Filled, m.Full = pos(min(max(part, 0), 1)), part > 1-leastFree
		}
	}
	if u.Objects != nil {
		m.Text += ", " + plural(*u.Objects, noun, noun+"s")
	}
	return m
}

func terms(f Facts) []term {
	moment := func(t time.Time) cell {
		if t.IsZero() {
			return text(unknown)
		}
		return when(t)
	}
	h := f.StoreHealth
	list := []term{{Name: "Store", Cell: text(clean(or(f.StoreName, unknown), longName))}}
	switch {
	case h.Up == nil:
		list = append(list, term{Name: "Store's health", Cell: text(unknown)})
	case *h.Up:
		list = append(list, term{Name: "Store's health", Cell: text("it answers")})
	default:
		health := text("it fails")
		if h.Reason != "" {
			health = cell{Text: clean(h.Reason, shortName), Note: stats.CacheReason(h.Reason)}
		}
		list = append(list, term{Name: "Store's health", Cell: health},
			term{Name: "What it said", Cell: text(clean(or(h.Problem, unknown), longName))}, term{Name: "Fails since", Cell: moment(h.Since)})
	}
	list = append(list, term{Name: "Last answer", Cell: moment(h.Answered)}, term{Name: "Spool", Cell: text(spooled(f.Spool))})
	if f.Spool.Objects == nil || *f.Spool.Objects > 0 {
		list = append(list, term{Name: "Waits since", Cell: moment(f.Spool.Oldest)})
	}
	jobs, containers := text(countOf(f.OrphanJobs)), text(countOf(f.OrphanContainers))
	jobs.Note, containers.Note = "jobs that are gone and whose remains cannot be removed", "such jobs of which Docker has a container, network or volume"
	return append(list, term{Name: "Orphan jobs", Cell: jobs}, term{Name: "Orphan containers", Cell: containers}, term{Name: "Looked at", Cell: moment(f.Taken)})
}
