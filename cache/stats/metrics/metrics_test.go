package metrics_test

import (
	"fmt"
	"io"
	"maps"
	"math"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/stats"
	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/stats/metrics"
	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/stats/statstest"
)

// words are those of a scripted month.
var words = metrics.Words{
	Reasons: map[string][]string{
		"success": {""}, "script_failed": {"exit_code", "out_of_memory"}, "job_invalid": {"image_not_found"}, "system_failed": {"docker_gone"},
		"canceled": {"signal"}, "timed_out": {"job_timeout"}, "lost": {"runner_gone"},
	},
	Refusals:     []string{"name", "hash"},
	CacheReasons: []string{"exact", "nearest", "first_run", "new_toolchain", "new_platform", "no_go", "off", "bypassed", "store_unreachable"},
}

// scraped is what a scrape gives: the values of series, as Prometheus writes them, of histograms the count and the sum.
type scraped map[string]float64

func scrape(t *testing.T, from ...*metrics.Metrics) scraped {
	t.Helper()
	all := scraped{}
	for _, m := range from {
		families, err := m.Gatherer().Gather()
		if err != nil {
			t.Fatal(err)
		}
		samples, err := expfmt.ExtractSamples(&expfmt.DecodeOptions{Timestamp: 1}, families...)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range samples {
			name := strings.TrimPrefix(string(s.Metric[model.MetricNameLabel]), "gitlab_go_executor_")
			if _, bucket := s.Metric["le"]; bucket {
				continue
			}
			delete(s.Metric, model.MetricNameLabel)
			all[name+s.Metric.String()] += float64(s.Value)
		}
	}
	return all
}

// Labels are of closed sets, whatever a row says: neither a name that breaks the format nor a million of them make a series.
func TestHostileRowsMakeNoSeries(t *testing.T) {
	t.Parallel()
	calm, attacked := metrics.New("v1", words), metrics.New("v1", words)
	number, seconds := 1, 1.0
	for i, word := range []string{"a\"} 1\nforged{x=\"", "\\", "\xff\xfe", "\x00\x1b[2J", "\u202e{{.}}", "protected ", strings.Repeat("x", 64<<10), "le=\"+Inf\""} {
		row := stats.Job{
			Instance: word, Project: word, ProjectPath: word, Job: fmt.Sprint(i), Name: word, RefType: word, Ref: word, Tier: word, Platform: word, Toolchain: word,
			Graph: word, Image: word, BaseTier: word, CacheReason: word, SaveReason: word, Outcome: word, Reason: word, FailedStage: word,
			ModulesWanted: &number, ModulesHitHost: &number, ModulesHitStore: &number, ModulesMissed: &number, BuildHit: &number, BuildNew: &number,
			LookupSeconds: &seconds, HarvestSeconds: &seconds, Detail: stats.Detail{Refused: map[string]int{word: 1}, Compiled: []string{word}},
		}
		attacked.Count(row)
		row.Outcome, row.Reason, row.CacheReason, row.SaveReason, row.Tier = "success", "", "exact", "nearest", "ref-x"
		calm.Count(row)
	}
	few, many := scrape(t, calm), scrape(t, attacked)
	for series := range many {
		if _, ok := few[series]; !ok && !strings.Contains(series, "other") && !strings.Contains(series, "unknown") {
			t.Errorf("a row has made the series %.200q", series)
		}
	}
	if len(many) > len(few)+10 {
		t.Errorf("%d series instead of %d", len(many), len(few))
	}
}

// sum adds up the series of a metric that have labels with these values.
func (s scraped) sum(name string, labels ...string) (sum float64) {
	for series, value := range s {
		got, rest, _ := strings.Cut(series, "{")
		if got == name && !slices.ContainsFunc(labels, func(l string) bool { return !strings.Contains(rest, l) }) {
			sum += value
		}
	}
	return sum
}

func (s scraped) is(t *testing.T, what string, want float64, name string, labels ...string) {
	t.Helper()
	if got := s.sum(name, labels...); math.Abs(got-want) > 1e-6*max(1, math.Abs(want)) {
		t.Errorf("%s: %s%v is %v, the ledger says %v", what, name, labels, got, want)
	}
}

// agree compares all that both the metrics and the ledger count.
func (s scraped) agree(t *testing.T, l *stats.Ledger) {
	t.Helper()
	totals, err := l.Totals(t.Context(), stats.Filter{}, "")
	if err != nil {
		t.Fatal(err)
	}
	all := totals[0]
	s.is(t, "jobs", float64(all.Jobs), "jobs_total")
	s.is(t, "failed", float64(all.Jobs-all.Failed), "jobs_total", `outcome="success"`)
	s.is(t, "hits on the host", float64(all.ModulesHitHost), "modules_total", `result="hit_host"`)
	s.is(t, "hits from the store", float64(all.ModulesHitStore), "modules_total", `result="hit_store"`)
	s.is(t, "misses", float64(all.ModulesMissed), "modules_total", `result="missed"`)
	s.is(t, "wanted", float64(all.ModulesWanted), "modules_total")
	s.is(t, "packages hit", float64(all.BuildHit), "packages_total", `result="hit"`)
	s.is(t, "packages compiled", float64(all.BuildNew), "packages_total", `result="compiled"`)
	s.is(t, "tests", float64(all.TestsOK), "tests_total")
	s.is(t, "cached tests", float64(all.TestsCached), "tests_total", `result="cached"`)
	s.is(t, "seconds saved", all.SecondsSaved, "saved_seconds_total", "")
	s.is(t, "seconds", all.Seconds, "job_duration_seconds_sum")
	s.is(t, "jobs timed", float64(all.Jobs), "job_duration_seconds_count")
	s.is(t, "restore", all.RestoreSeconds, "restore_duration_seconds_sum")
	s.is(t, "restores", float64(all.Cached), "restore_duration_seconds_count")
	s.is(t, "save", all.SaveSeconds, "save_duration_seconds_sum")
	s.is(t, "script", all.ScriptSeconds, "phase_duration_seconds_sum", `phase="script"`)
	s.is(t, "downloaded", float64(all.DownloadedBytes), "downloaded_bytes_total")
	s.is(t, "saved", float64(all.SavedBytes), "saved_bytes_total")
	s.is(t, "uploaded", float64(all.UploadedBytes), "uploaded_bytes_total", `by="job"`)
	for by, name := range map[string]string{"outcome": "jobs_total", "cache_reason": "job_caches_total"} {
		groups, err := l.Totals(t.Context(), stats.Filter{}, by)
		if err != nil {
			t.Fatal(err)
		}
		for _, g := range groups {
			if g.Group != "" { // Prometheus does not write an empty label
				s.is(t, by, float64(g.Jobs), name, fmt.Sprintf("%s=%q", by, g.Group))
			}
		}
	}
}

func TestAMonthInTheMetricsIsTheMonthInTheLedger(t *testing.T) {
	t.Parallel()
	l := statstest.Ledger(t, statstest.Month(3))
	m := metrics.New("v1", words)
	if err := m.Follow(t.Context(), l); err != nil {
		t.Fatal(err)
	}
	got := scrape(t, m)
	got["saved_seconds_total{}"] -= got["lost_seconds_total{}"] // counters do not fall, a total may
	if got["lost_seconds_total{}"] == 0 {
		t.Error("no job of the month was slower than a cold one, so nothing is tested of that")
	}
	got.agree(t, l)
}

func TestARestartOfServeLosesAndDoubleCountsNoJob(t *testing.T) {
	t.Parallel()
	month := statstest.Month(4)
	l := statstest.Ledger(t, nil)
	var processes []*metrics.Metrics
	for len(month) > 0 {
		n := min(len(month), 700)
		for _, j := range month[:n] { // while no serve runs
			if err := l.Add(t.Context(), j); err != nil {
				t.Fatal(err)
			}
		}
		month = month[n:]
		m := metrics.New("v1", words)
		processes = append(processes, m)
		for range 2 {
			if err := m.Follow(t.Context(), l); err != nil {
				t.Fatal(err)
			}
		}
	}
	got := scrape(t, processes...) // what Prometheus adds up, which sees the counters begin at 0 anew
	got["saved_seconds_total{}"] -= got["lost_seconds_total{}"]
	got.agree(t, l)
}

func TestWhatAJobMayChooseMakesNoSeries(t *testing.T) {
	t.Parallel()
	m := metrics.New("v1", words)
	before := slices.Sorted(maps.Keys(scrape(t, m)))
	for i := range 100 {
		word := fmt.Sprintf("evil\"\n%d", i)
		m.Count(stats.Job{
			Instance: word, Project: word, ProjectPath: word, Job: word, Name: word, Ref: word, RefType: word, Tier: "ref-" + word, Image: word,
			Platform: word, Toolchain: word, Graph: word, Host: word, Outcome: "success", CacheReason: "exact", BaseJob: word, FailedStage: word,
			ModulesWanted: new(2), ModulesHitHost: new(1), ModulesMissed: new(1), BuildHit: new(3), BuildNew: new(-4),
		})
	}
	got := scrape(t, m)
	delete(got, "process_cpu_seconds_total{}")
	if after := slices.Sorted(maps.Keys(scrape(t, m))); !slices.Equal(before, after) {
		t.Errorf("the series are now\n%v\nbefore they were\n%v", after, before)
	}
	got.is(t, "jobs", 100, "jobs_total", `outcome="success"`, `tier="unprotected"`)
	got.is(t, "packages", 300, "packages_total")
}

func TestAWordOfAnotherReleaseIsCountedAsAnother(t *testing.T) {
	t.Parallel()
	m := metrics.New("v1", words)
	m.Count(stats.Job{
		Tier: "protected", Outcome: "exploded", Reason: "of_its_own", CacheReason: "too_warm", SaveReason: "too_big",
		Detail: stats.Detail{Refused: map[string]int{"hash": 3, "colour": 2, "smell": 4}},
	})
	m.Count(stats.Job{Tier: "protected", Outcome: "script_failed", Reason: "of_its_own"})
	m.Count(stats.Job{Tier: "protected", Outcome: "success"})
	got := scrape(t, m)
	for series, want := range map[string]float64{
		`jobs_total{outcome="other", reason="other", tier="protected"}`:         1,
		`jobs_total{outcome="script_failed", reason="other", tier="protected"}`: 1,
		`jobs_total{outcome="success", reason="", tier="protected"}`:            1,
		`job_caches_total{cache_reason="other", tier="protected"}`:              1,
		`job_caches_total{cache_reason="", tier="protected"}`:                   2,
		`incomplete_saves_total{save_reason="other"}`:                           1,
		`refused_total{tier="protected", why="hash"}`:                           3,
		`refused_total{tier="protected", why="name"}`:                           0,
		`refused_total{tier="protected", why="other"}`:                          6,
	} {
		if got[series] != want {
			t.Errorf("%s is %v, want %v", series, got[series], want)
		}
	}
}

func TestWhatIsNotKnownOfAHostIsNoMetric(t *testing.T) {
	t.Parallel()
	m := metrics.New("v1", words)
	m.Set(func(h *metrics.Host) {
		h.Layers, h.StoreUp = new(int64(0)), new(false)
		h.Healthy = func() map[string]bool { return map[string]bool{"ledger": true, "store": false} }
	})
	got := scrape(t, m)
	for series, want := range map[string]float64{"layers{}": 0, "store_up{}": 0, `healthy{part="ledger"}`: 1, `healthy{part="store"}`: 0} {
		if value, there := got[series]; !there || value != want {
			t.Errorf("%s is %v, %v", series, value, there)
		}
	}
	for _, series := range []string{"layers_bytes{}", "spool_oldest_timestamp_seconds{}", "store_last_success_timestamp_seconds{}", "orphan_jobs{}"} {
		if value, there := got[series]; there {
			t.Errorf("nobody knows, and %s is %v", series, value)
		}
	}
}

func TestPrometheusGetsNativeHistogramsAndOthersClassicBuckets(t *testing.T) {
	t.Parallel()
	m := metrics.New("v1", words)
	m.Count(stats.Job{Outcome: "success", Seconds: 42, LookupSeconds: new(0.3)})
	server := httptest.NewServer(m.Handler())
	defer server.Close()
	get := func(accept string) map[string]*dto.MetricFamily {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Accept", accept)
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		families := map[string]*dto.MetricFamily{}
		decoder := expfmt.NewDecoder(answer.Body, expfmt.ResponseFormat(answer.Header))
		for {
			var f dto.MetricFamily
			if err := decoder.Decode(&f); err == io.EOF { //nolint:errorlint // it gives it bare
				return families
			} else if err != nil {
				t.Fatal(err)
			}
			families[f.GetName()] = &f
		}
	}
	binary := get("application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited")
	h := binary["gitlab_go_executor_job_duration_seconds"].GetMetric()[0].GetHistogram()
	if h.Schema == nil || len(h.GetPositiveSpan()) == 0 || h.GetSampleCount() != 1 {
		t.Errorf("to Prometheus: %v", h)
	}
	text := get("text/plain")
	h = text["gitlab_go_executor_job_duration_seconds"].GetMetric()[0].GetHistogram()
	inBucket := func(b *dto.Bucket) bool { return b.GetUpperBound() == 60 && b.GetCumulativeCount() == 1 }
	if !slices.ContainsFunc(h.GetBucket(), inBucket) || h.GetSampleSum() != 42 {
		t.Errorf("as text: %v", h)
	}
}

func TestMetricsAreToldApartFromThoseOfOtherPrograms(t *testing.T) {
	t.Parallel()
	families, err := prometheus.Gatherers{metrics.New("v1", words).Gatherer()}.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if name := f.GetName(); !strings.HasPrefix(name, "gitlab_go_executor_") && !strings.HasPrefix(name, "go_") && !strings.HasPrefix(name, "process_") {
			t.Errorf("%s has no prefix of ours", name)
		}
	}
}
