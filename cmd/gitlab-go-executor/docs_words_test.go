package main

import (
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache"
	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/kind"
	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/stats"
	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/stats/metrics"
	"gitlab.com/gitlab-go-executor/gitlab-go-executor/executor/outcome"
)

const metricPrefix = "gitlab_go_executor_"

// allMetrics are those of a serve that knows all of its host: name → "type label, label".
func allMetrics(t *testing.T) map[string]string {
	t.Helper()
	m := metrics.New("v1", metrics.Words{Reasons: map[string][]string{"success": {""}}, CacheReasons: []string{"exact"}, Refusals: []string{"name"}})
	m.Set(func(h *metrics.Host) {
		for _, field := range reflect.ValueOf(h).Elem().Fields() {
			switch field.Interface().(type) {
			case *int64:
				field.Set(reflect.ValueOf(new(int64(1))))
			case *bool:
				field.Set(reflect.ValueOf(new(true)))
			case time.Time:
				field.Set(reflect.ValueOf(time.Now()))
			case func() map[string]bool:
				field.Set(reflect.ValueOf(func() map[string]bool { return map[string]bool{"store": true} }))
			default:
				t.Fatalf("what is a %s?", field.Type())
			}
		}
	})
	families, err := m.Gatherer().Gather()
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for _, f := range families {
		name, ours := strings.CutPrefix(f.GetName(), metricPrefix)
		if !ours {
			continue
		}
		var labels []string
		for _, l := range f.GetMetric()[0].GetLabel() {
			labels = append(labels, l.GetName())
		}
		slices.Sort(labels)
		all[name] = strings.ToLower(dto.MetricType_name[int32(f.GetType())]) + " " + strings.Join(labels, ", ")
	}
	return all
}

func TestEachMetricIsDocumented(t *testing.T) {
	t.Parallel()
	there := allMetrics(t)
	documented := map[string]string{}
	for _, row := range readPage(t, operatorPage).rows(t, "Metrics", "metric") {
		labels := codes(row[2])
		slices.Sort(labels)
		documented[strings.Trim(row[0], "`")] = row[1] + " " + strings.Join(labels, ", ")
	}
	same(t, operatorPage, slices.Collect(maps.Keys(documented)), slices.Collect(maps.Keys(there)))
	for name, is := range there {
		if said, ok := documented[name]; ok && said != is {
			t.Errorf("%s calls %s %q, it is %q", operatorPage, name, said, is)
		}
	}
	named := regexp.MustCompile(metricPrefix + `([a-z_]*[a-z])`)
	for _, p := range readerPages(t) {
		for _, found := range named.FindAllStringSubmatch(strings.Join(p.prose, "\n"), -1) {
			if there[found[1]] == "" {
				t.Errorf("%s has %s, and there is no such metric", p.name, found[0])
			}
		}
	}
}

// jsonNames are the keys of a struct.
func jsonNames(of reflect.Type) (names []string) {
	for field := range of.Fields() {
		if name, _, _ := strings.Cut(field.Tag.Get("json"), ","); name != "-" {
			names = append(names, name)
		}
	}
	return names
}

func TestEachColumnOfTheLedgerIsDocumented(t *testing.T) {
	t.Parallel()
	same(t, operatorPage, readPage(t, operatorPage).firstCells(t, "The ledger", "columns"), jsonNames(reflect.TypeFor[stats.Job]()))
}

func TestEachFieldOfAJournalsEntryIsDocumented(t *testing.T) {
	t.Parallel()
	documented := map[string][]string{}
	for _, row := range readPage(t, designPage).rows(t, "The store", "field") {
		documented[row[1]] = append(documented[row[1]], codes(row[0])...)
	}
	for part, of := range map[string]reflect.Type{"entry": reflect.TypeFor[cache.Entry](), "layer": reflect.TypeFor[cache.LayerRef](), "carried": reflect.TypeFor[cache.Word]()} {
		same(t, designPage+", "+part, documented[part], jsonNames(of))
	}
}

// The runbook explains each reason, which is tested where it is.
func TestOutcomesAndReasonsThatAreNamedExist(t *testing.T) {
	t.Parallel()
	var outcomes, reasons []string
	for end, of := range outcome.Reasons() {
		outcomes = append(outcomes, string(end))
		for _, reason := range of {
			reasons = append(reasons, string(reason))
		}
	}
	for _, reason := range cache.Reasons() {
		reasons = append(reasons, string(reason))
	}
	same(t, operatorPage, readPage(t, operatorPage).firstCells(t, "How a job ends", "outcome"), outcomes)
	inBrackets := regexp.MustCompile("\\(`?([a-z]+(?:_[a-z]+)+)`?\\)")
	for _, p := range readerPages(t) {
		for i, line := range p.prose {
			for _, found := range inBrackets.FindAllStringSubmatch(line, -1) {
				if word := found[1]; !slices.Contains(reasons, word) && !slices.Contains(outcomes, word) && allMetrics(t)[strings.TrimPrefix(word, metricPrefix)] == "" {
					t.Errorf("%s:%d: %s is no reason", p.name, i+1, word)
				}
			}
		}
	}
}

func TestEachReasonNotToTakeSomethingIsDocumented(t *testing.T) {
	t.Parallel()
	same(t, operatorPage, readPage(t, operatorPage).firstCells(t, "What is not taken", "why"), kind.Refusals())
}

func TestWhatStatsGroupsByIsDocumented(t *testing.T) {
	t.Parallel()
	for _, row := range readPage(t, operatorPage).rows(t, "`stats`", "flag") {
		if row[0] == "`--by`" {
			same(t, operatorPage, codes(row[1]), stats.Groups())
			return
		}
	}
	t.Error("there is no --by")
}
