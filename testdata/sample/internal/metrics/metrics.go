// Package metrics counts and times requests for Prometheus.
package metrics

import (
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Meter holds the service's metrics.
type Meter struct {
	registry *prometheus.Registry
	seconds  *prometheus.HistogramVec
}

// New returns a meter with a registry of its own.
func New() *Meter {
	m := &Meter{
		registry: prometheus.NewRegistry(),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "sampled_request_seconds",
			Help: "How long requests took, by route and status.",
		}, []string{"route", "status"}),
	}
	m.registry.MustRegister(m.seconds)
	return m
}

// Observe counts one request.
func (m *Meter) Observe(route string, status int, took time.Duration) {
	m.seconds.WithLabelValues(route, strconv.Itoa(status)).Observe(took.Seconds())
}

// Handler serves the metrics.
func (m *Meter) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
}
