// Package statstest scripts a month of jobs, for tests of all that reads the ledger.
package statstest

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/stats"
)

// What happens in the month: March of 2026, whose first day is a Sunday. People work from Monday to Friday, from 7 to 19 o'clock UTC, and pipelines
// are scheduled for the nights.
var (
	Began = date(1, 0)
	Ended = date(32, 0)

	NewHost      = date(10, 0)  // runner-3 begins to work, with nothing on its disk
	NewPlatform  = date(12, 9)  // shop/api begins to build for arm64
	NewToolchain = date(17, 8)  // Go 1.26.8 takes the place of 1.26.7 everywhere
	NewProject   = date(23, 9)  // labs/prototype, on another GitLab, begins; its number is that of shop/api
	OutageBegan  = date(18, 10) // the store does not answer
	OutageEnded  = date(18, 14)
	DockerGone   = date(24, 15) // runner-2's Docker daemon is down for an hour
	Crash        = date(26, 11) // runner-1 loses its power under the jobs of the last hour
)

// Bumped is the module that shop/api takes in a new version on the first Monday. Every project does so with one of its modules each Monday.
const Bumped = "example.com/dep/m002"

func date(day, hour int) time.Time { return time.Date(2026, time.March, day, hour, 0, 0, 0, time.UTC) }

// Month gives some three thousand jobs of three hosts in the order in which they ended. The same seed gives the same jobs. What the caches have
// saved is left for Ledger.Add to decide.
func Month(seed uint64) []stats.Job {
	m := &month{rand: rand.New(rand.NewPCG(seed, 1)), bases: map[string][]entry{}, brought: map[string]int{}} //nolint:gosec // has to be predictable
	for _, began := range m.times() {
		if p := m.project(began); p != nil {
			m.jobs = append(m.jobs, m.run(p, began))
		}
	}
	slices.SortStableFunc(m.jobs, func(a, b stats.Job) int { return a.Ended.Compare(b.Ended.Time) })
	return m.jobs
}

// Ledger gives a ledger with jobs in it. It is closed when the test ends.
func Ledger(t testing.TB, jobs []stats.Job) *stats.Ledger {
	t.Helper()
	l, err := stats.Open(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	for _, j := range jobs {
		if err := l.Add(t.Context(), j); err != nil {
			t.Fatal(err)
		}
	}
	return l
}

type month struct {
	rand    *rand.Rand
	jobs    []stats.Job
	bases   map[string][]entry // what was saved, by scope, platform and toolchain; the newest last
	brought map[string]int     // by host and lineage: how many jobs have had the layers there
}

// entry is one save.
type entry struct {
	job, tier, graph string
	week             int // whose versions it holds
	at               time.Time
}

// times are when jobs begin, in order.
func (m *month) times() []time.Time {
	var all []time.Time
	for day := Began; day.Before(Ended); day = day.AddDate(0, 0, 1) {
		for range 12 { // at night
			all = append(all, day.Add(time.Hour+time.Duration(m.rand.Int64N(int64(time.Hour)))))
		}
		if day.Weekday() == time.Saturday || day.Weekday() == time.Sunday {
			continue
		}
		for range 130 {
			// The mean of two: most jobs begin about noon.
			at := (m.rand.Int64N(int64(12*time.Hour)) + m.rand.Int64N(int64(12*time.Hour))) / 2
			all = append(all, day.Add(7*time.Hour+time.Duration(at)))
		}
	}
	slices.SortFunc(all, time.Time.Compare)
	return all
}

// project chooses whose job begins; nil if that project is not there yet.
func (m *month) project(at time.Time) *project {
	n := m.rand.IntN(100)
	for i := range projects {
		if n -= projects[i].share; n < 0 {
			if projects[i].since.After(at) {
				return nil
			}
			return &projects[i]
		}
	}
	return nil
}

// between is a number from low to high.
func (m *month) between(low, high int) int { return low + m.rand.IntN(high-low+1) }

// about is a figure within a tenth of one.
func (m *month) about(f float64) float64 { return f * (0.9 + 0.2*m.rand.Float64()) }

// chance is true that often of a hundred times.
func (m *month) chance(percent int) bool { return m.rand.IntN(100) < percent }

// project is one that has jobs.
type project struct {
	instance, number, path string
	share                  int // of all jobs, in percent
	since                  time.Time
	image                  string
	modules, packages      int // 0: there is no Go in it
	tests                  int
	seconds                float64 // of a cold script
	names                  []string
}

const (
	gitlab = "gitlab.example.com"
	golang = "golang:1.26"
)

var projects = []project{
	{gitlab, "11", "shop/api", 50, Began, golang, 120, 640, 90, 240, []string{"test", "test", "lint", "build", "build-arm64"}},
	{gitlab, "12", "shop/web", 22, Began, golang, 60, 310, 40, 110, []string{"test", "lint", "build"}},
	{gitlab, "13", "infra/tools/deployer", 14, Began, golang, 25, 150, 12, 45, []string{"test", "release"}},
	{gitlab, "14", "docs/site", 8, Began, "node:24", 0, 0, 0, 20, []string{"pages"}},
	{"git.example.org+8443", "11", "labs/prototype", 6, NewProject, golang, 40, 220, 18, 80, []string{"test"}},
}

// week counts the Mondays since the month began.
func week(at time.Time) int { return int(at.Sub(Began).Hours()/24+6) / 7 }

// graph is the hash of a project's graph in a week.
func (p *project) graph(week int) string {
	return fmt.Sprintf("%s%04d%056d", p.number, week, len(p.path))
}

// module gives the path of a module and its version in a week: in the nth week, the 2nth is bumped.
func (p *project) module(i, week int) (path, version string) {
	minor := 0
	if i%2 == 0 && i > 0 && week >= i/2 {
		minor = 1
	}
	return fmt.Sprintf("example.com/dep/m%03d", i), fmt.Sprintf("v1.%d.0", minor)
}

// changed are the modules that differ between two weeks.
func (p *project) changed(from, to int) (changes []stats.Change) {
	for i := range p.modules {
		path, had := p.module(i, from)
		if _, want := p.module(i, to); had != want {
			changes = append(changes, stats.Change{Path: path, Had: had, Want: want})
		}
	}
	slices.SortFunc(changes, func(a, b stats.Change) int { return cmp.Compare(a.Path, b.Path) })
	return changes
}
