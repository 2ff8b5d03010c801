package metrics

import (
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// prefix begins the names of all metrics but those of the Go runtime and the process.
const prefix = "gitlab_go_executor_"

// Upper bounds of the classic buckets, in seconds. Native histograms have finer ones, if Prometheus asks for them.
var (
	stepBuckets = []float64{0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600}
	jobBuckets  = []float64{1, 2.5, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200}
)

// newCounters makes a counter, and all its series: one that appeared with its first event would hide that from rate().
func newCounters(r *prometheus.Registry, name, help string, labels []string, series ...[]string) *prometheus.CounterVec {
	c := prometheus.NewCounterVec(prometheus.CounterOpts{Name: prefix + name, Help: help}, labels)
	for _, values := range series {
		c.WithLabelValues(values...)
	}
	r.MustRegister(c)
	return c
}

func newGauges(r *prometheus.Registry, name, help string, labels ...string) *prometheus.GaugeVec {
	g := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: prefix + name, Help: help}, labels)
	r.MustRegister(g)
	return g
}

func newHistograms(r *prometheus.Registry, name, help string, buckets []float64, labels ...string) *prometheus.HistogramVec {
	h := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: prefix + name, Help: help, Buckets: buckets,
		NativeHistogramBucketFactor: 1.1, NativeHistogramMaxBucketNumber: 160, NativeHistogramMinResetDuration: time.Hour,
	}, labels)
	r.MustRegister(h)
	return h
}

// single makes each value a series of its own.
func single(values []string) (series [][]string) {
	for _, v := range values {
		series = append(series, []string{v})
	}
	return series
}

// times gives each series each of the values for a further label.
func times(series [][]string, values []string) (all [][]string) {
	for _, s := range series {
		for _, v := range values {
			all = append(all, append(slices.Clone(s), v))
		}
	}
	return all
}
