// Package monitoring tests what administrators give to Prometheus and Grafana.
package monitoring

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache"
	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/stats"
	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/stats/metrics"
	"gitlab.com/gitlab-go-executor/gitlab-go-executor/executor/outcome"
)

// promtool runs Prometheus' own checks.
func promtool(t *testing.T, stdin string, args ...string) (output string, err error) {
	t.Helper()
	tool, err := filepath.Abs(filepath.Join("..", "testdata", "prometheus", "bin", "promtool"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(tool); err != nil {
		t.Fatalf("promtool is not there: run testdata/prometheus/unpack.sh (%v)", err)
	}
	cmd := exec.CommandContext(t.Context(), tool, args...)
	cmd.Stdin = strings.NewReader(stdin)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// families are all metrics of a host that knows everything about itself.
func families(t *testing.T) []*dto.MetricFamily {
	t.Helper()
	words := metrics.Words{Reasons: map[string][]string{}}
	for end, reasons := range outcome.Reasons() {
		for _, reason := range reasons {
			words.Reasons[string(end)] = append(words.Reasons[string(end)], string(reason))
		}
	}
	for _, reason := range cache.Reasons() {
		words.CacheReasons = append(words.CacheReasons, string(reason))
	}
	m := metrics.New("v1.0.0", words)
	m.Count(stats.Job{Outcome: "success", CacheReason: "exact", Seconds: 60, LookupSeconds: new(0.1), HarvestSeconds: new(0.2)})
	one := int64(1)
	m.Set(func(h *metrics.Host) {
		*h = metrics.Host{
			Layers: &one, LayerBytes: &one, MaxLayerBytes: &one, StateFreeBytes: &one, StateSizeBytes: &one, SpoolObjects: &one, SpoolBytes: &one,
			SpoolSince: time.Now(), LedgerBytes: &one, MaxLedgerBytes: &one, OrphanJobs: &one, OrphanContainers: &one, StoreUp: new(true), StoreAnswered: time.Now(),
			Healthy: func() map[string]bool { return map[string]bool{"ledger": true, "rounds": true, "store": true} },
		}
	})
	all, err := prometheus.Gatherers{m.Gatherer()}.Gather()
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestPromtoolHasNoComplaintsAboutOurMetrics(t *testing.T) {
	t.Parallel()
	var text bytes.Buffer
	for _, f := range families(t) {
		if _, err := expfmt.MetricFamilyToText(&text, f); err != nil {
			t.Fatal(err)
		}
	}
	if said, err := promtool(t, text.String(), "check", "metrics"); err != nil || said != "" {
		t.Errorf("%v\n%s", err, said)
	}
	if said, err := promtool(t, "# HELP x_milliseconds y\n# TYPE x_milliseconds gauge\nx_milliseconds 1\n", "check", "metrics"); err == nil {
		t.Errorf("promtool has nothing to say of milliseconds: %s", said)
	}
}

func TestTheAlertsFireWhenTheyShould(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"check", "rules", "--lint-fatal", "alerts.yml"}, {"test", "rules", "alerts_test.yml", "alerts_week_test.yml"}} {
		if said, err := promtool(t, "", args...); err != nil {
			t.Errorf("%v: %v\n%s", args, err, said)
		}
	}
}

// selector is a metric in an expression, with what it selects.
var selector = regexp.MustCompile(`gitlab_go_executor_[a-z_]+(\{[^}]*\})?`)

var matcher = regexp.MustCompile(`([a-z_]+)(=~|!=|!~|=)"([^"]*)"`)

// exists says what of a selector no series of a host has: an expression that selects nothing is no mistake to Prometheus.
func exists(series model.Vector, chosen string) error {
	name, labels, _ := strings.Cut(chosen, "{")
	of := slices.DeleteFunc(slices.Clone(series), func(s *model.Sample) bool { return string(s.Metric[model.MetricNameLabel]) != name })
	if len(of) == 0 {
		return fmt.Errorf("there is no metric %s", name)
	}
	for _, m := range matcher.FindAllStringSubmatch(labels, -1) {
		label, values := m[1], strings.Split(m[3], "|")
		if label == "instance" || m[3] == "" {
			continue
		}
		for _, value := range values {
			has := func(s *model.Sample) bool { return string(s.Metric[model.LabelName(label)]) == value }
			if !slices.ContainsFunc(of, has) {
				return fmt.Errorf("%s: no series has %s=%q", chosen, label, value)
			}
		}
	}
	return nil
}

func seriesOf(t *testing.T) model.Vector {
	t.Helper()
	series, err := expfmt.ExtractSamples(&expfmt.DecodeOptions{Timestamp: 1}, families(t)...)
	if err != nil {
		t.Fatal(err)
	}
	return series
}

func TestWhatRulesDashboardAndRunbookNameIsWhatServeTells(t *testing.T) {
	t.Parallel()
	series := seriesOf(t)
	for file, least := range map[string]int{"alerts.yml": 15, "alerts_test.yml": 15, "alerts_week_test.yml": 4, "grafana.json": 40, "RUNBOOK.md": 4} {
		text := strings.ReplaceAll(read(t, file), `\"`, `"`)
		found := selector.FindAllString(text, -1)
		if len(found) < least {
			t.Errorf("%s names %d metrics, which are fewer than there were", file, len(found))
		}
		for _, chosen := range found {
			if err := exists(series, chosen); err != nil {
				t.Errorf("%s: %v", file, err)
			}
		}
	}
	for _, wrong := range []string{"gitlab_go_executor_job", `gitlab_go_executor_jobs_total{outcome="fine"}`, `gitlab_go_executor_jobs_total{outcome=~"success|fine"}`} {
		if exists(series, wrong) == nil {
			t.Errorf("%s is taken for a series", wrong)
		}
	}
}

func read(t *testing.T, file string) string {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}
