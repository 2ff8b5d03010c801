package metrics

import (
	"slices"

	"github.com/prometheus/client_golang/prometheus"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/stats"
)

// jobMetrics are counted from rows of the ledger.
type jobMetrics struct {
	jobs, caches, saves      *prometheus.CounterVec
	modules, packages, tests *prometheus.CounterVec
	refused                  *prometheus.CounterVec

	savedSeconds, lostSeconds        prometheus.Counter
	downloaded, savedBytes, uploaded prometheus.Counter

	restore, save, total prometheus.Histogram
	phases               *prometheus.HistogramVec
}

// The two trust tiers, as far as metrics know them: there is one for each unprotected ref.
const (
	protected   = "protected"
	unprotected = "unprotected"
)

var tiers = []string{protected, unprotected}

// Results: what became of something that a job wanted.
const (
	hitHost  = "hit_host"  // a module that it opened; the layer was on the host
	hitStore = "hit_store" // a module that it opened; the layer came from the store for the job
	missed   = "missed"    // a module that it fetched
	hit      = "hit"       // a package that it did not have to compile
	compiled = "compiled"
	cached   = "cached" // a test
	run      = "run"
)

// phases are those of a row.
var phases = []struct {
	name    string
	seconds func(*stats.Job) *float64
}{
	{"prefetch", func(j *stats.Job) *float64 { return j.PrefetchSeconds }},
	{"lookup", func(j *stats.Job) *float64 { return j.LookupSeconds }},
	{"download", func(j *stats.Job) *float64 { return j.DownloadSeconds }},
	{"mount", func(j *stats.Job) *float64 { return j.MountSeconds }},
	{"script", func(j *stats.Job) *float64 { return j.ScriptSeconds }},
	{"harvest", func(j *stats.Job) *float64 { return j.HarvestSeconds }},
	{"write", func(j *stats.Job) *float64 { return j.WriteSeconds }},
	{"upload", func(j *stats.Job) *float64 { return j.UploadSeconds }},
}

func newJobMetrics(r *prometheus.Registry, words Words) jobMetrics {
	var ends [][]string
	for outcome, reasons := range words.Reasons {
		for _, reason := range reasons {
			ends = append(ends, []string{outcome, reason})
		}
	}
	known := single(append([]string{""}, words.CacheReasons...))
	counter := func(name, help string) prometheus.Counter {
		return newCounters(r, name, help, nil, nil).WithLabelValues()
	}
	jm := jobMetrics{
		jobs: newCounters(r, "jobs_total", "Jobs that have ended, by how. A job that GitLab Runner tries again counts each time.",
			[]string{"outcome", "reason", "tier"}, times(ends, tiers)...),
		caches: newCounters(r, "job_caches_total", "Jobs by why their caches were what they were; empty for those that ended before that was decided.",
			[]string{"cache_reason", "tier"}, times(known, tiers)...),
		saves: newCounters(r, "incomplete_saves_total", "Jobs of which not everything new was saved, by why.", []string{"save_reason"}, known[1:]...),
		modules: newCounters(r, "modules_total", "Modules that jobs wanted, by where they had them from, where hits are counted.",
			[]string{"result", "tier"}, times(single([]string{hitHost, hitStore, missed}), tiers)...),
		packages: newCounters(r, "packages_total", "Packages that jobs needed, by whether they had to compile them, where hits are counted.",
			[]string{"result", "tier"}, times(single([]string{hit, compiled}), tiers)...),
		tests: newCounters(r, "tests_total", "Packages whose tests passed, by whether go test ran them or had the result cached.",
			[]string{"result", "tier"}, times(single([]string{cached, run}), tiers)...),
		refused: newCounters(r, "refused_total", "What jobs have left in their caches and was not taken, by why.",
			[]string{"why", "tier"}, times(single(words.Refusals), tiers)...),
		savedSeconds: counter("saved_seconds_total", "What caches have saved: how much faster jobs were than the newest cold run of the same job."),
		lostSeconds:  counter("lost_seconds_total", "How much slower jobs with caches were than the newest cold run of the same job, where they were."),
		downloaded:   counter("downloaded_bytes_total", "Bytes of layers that jobs had to fetch from the store."),
		savedBytes:   counter("saved_bytes_total", "Bytes of layers that jobs have added to their caches."),
		restore:      newHistograms(r, "restore_duration_seconds", "What jobs waited for their caches: lookup, download, mount.", stepBuckets).WithLabelValues().(prometheus.Histogram),
		save:         newHistograms(r, "save_duration_seconds", "What jobs waited for what they added: harvest, write, upload.", stepBuckets).WithLabelValues().(prometheus.Histogram),
		total:        newHistograms(r, "job_duration_seconds", "Jobs from prepare to cleanup.", jobBuckets).WithLabelValues().(prometheus.Histogram),
		phases:       newHistograms(r, "phase_duration_seconds", "Phases of jobs.", stepBuckets, "phase"),
	}
	for _, p := range phases {
		jm.phases.WithLabelValues(p.name)
	}
	return jm
}

// Count counts a job that has ended. As in stats.Total a figure that is not known is left out, and so is what it would be compared with.
func (m *Metrics) Count(j stats.Job) {
	jm, tier := m.jobs, unprotected
	if j.Tier == protected {
		tier = protected
	}
	outcome, reason := m.words.end(j.Outcome, j.Reason)
	jm.jobs.WithLabelValues(outcome, reason, tier).Inc()
	jm.caches.WithLabelValues(m.words.cacheReason(j.CacheReason), tier).Inc()
	if j.SaveReason != "" {
		jm.saves.WithLabelValues(m.words.cacheReason(j.SaveReason)).Inc()
	}
	jm.total.Observe(j.Seconds)
	if j.LookupSeconds != nil {
		jm.restore.Observe(j.Restore())
	}
	if j.HarvestSeconds != nil {
		jm.save.Observe(j.Save())
	}
	for _, p := range phases {
		if seconds := p.seconds(&j); seconds != nil {
			jm.phases.WithLabelValues(p.name).Observe(*seconds)
		}
	}
	if j.ModulesWanted != nil {
		add(jm.modules.WithLabelValues(hitHost, tier), j.ModulesHitHost)
		add(jm.modules.WithLabelValues(hitStore, tier), j.ModulesHitStore)
		add(jm.modules.WithLabelValues(missed, tier), j.ModulesMissed)
	}
	if j.BuildHit != nil {
		add(jm.packages.WithLabelValues(hit, tier), j.BuildHit)
		add(jm.packages.WithLabelValues(compiled, tier), j.BuildNew)
	}
	if j.TestsOK != nil && j.TestsCached != nil {
		ran := *j.TestsOK - *j.TestsCached
		add(jm.tests.WithLabelValues(cached, tier), j.TestsCached)
		add(jm.tests.WithLabelValues(run, tier), &ran)
	}
	for why, n := range j.Detail.Refused {
		if !slices.Contains(m.words.Refusals, why) {
			why = other
		}
		add(jm.refused.WithLabelValues(why, tier), &n)
	}
	add(jm.downloaded, j.DownloadedBytes)
	add(jm.savedBytes, j.SavedBytes)
	add(jm.uploaded, j.UploadedBytes)
	switch saved := j.SecondsSaved; {
	case saved == nil:
	case *saved < 0:
		jm.lostSeconds.Add(-*saved)
	default:
		jm.savedSeconds.Add(*saved)
	}
}

// add adds what is known. Counters take nothing below 0, and a row is only as good as what wrote it.
func add[N int | int64](c prometheus.Counter, n *N) {
	if n != nil && *n > 0 {
		c.Add(float64(*n))
	}
}

func (w Words) end(outcome, reason string) (string, string) {
	switch reasons, known := w.Reasons[outcome]; {
	case !known:
		return other, other
	case !slices.Contains(reasons, reason):
		return outcome, other
	}
	return outcome, reason
}

func (w Words) cacheReason(reason string) string {
	if reason == "" || slices.Contains(w.CacheReasons, reason) {
		return reason
	}
	return other
}
