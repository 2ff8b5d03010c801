package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Host is the state of a host when somebody looked last. What is not known is nil, and then there is no such metric.
type Host struct {
	Layers, LayerBytes, MaxLayerBytes *int64
	StateFreeBytes, StateSizeBytes    *int64 // of the file system of state_dir
	SpoolObjects, SpoolBytes          *int64
	SpoolSince                        time.Time // zero if nothing waits
	LedgerBytes, MaxLedgerBytes       *int64
	OrphanJobs, OrphanContainers      *int64
	StoreUp                           *bool
	StoreAnswered                     time.Time              // zero if it never has
	Healthy                           func() map[string]bool // asked with each scrape, for the parts of serve as /healthz names them
}

// Set changes what is known of the host.
func (m *Metrics) Set(change func(*Host)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	change(&m.host)
}

// Host is what is known of the host.
func (m *Metrics) Host() Host {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.host
}

// gauges are all metrics of a Host but Healthy.
var gauges = []struct {
	desc *prometheus.Desc
	of   func(*Host) *float64
}{
	{gauge("layers", "Layers on the host."), func(h *Host) *float64 { return number(h.Layers) }},
	{gauge("layers_bytes", "What the layers on the host take."), func(h *Host) *float64 { return number(h.LayerBytes) }},
	{gauge("layers_max_bytes", "What the layers on the host may take: max_size of the settings."), func(h *Host) *float64 { return number(h.MaxLayerBytes) }},
	{gauge("state_free_bytes", "Free space of the file system of state_dir."), func(h *Host) *float64 { return number(h.StateFreeBytes) }},
	{gauge("state_size_bytes", "Size of the file system of state_dir."), func(h *Host) *float64 { return number(h.StateSizeBytes) }},
	{gauge("spool_objects", "Objects that wait on the host to be sent to the store."), func(h *Host) *float64 { return number(h.SpoolObjects) }},
	{gauge("spool_bytes", "Bytes that wait on the host to be sent to the store."), func(h *Host) *float64 { return number(h.SpoolBytes) }},
	{gauge("spool_oldest_timestamp_seconds", "Since when the oldest object waits to be sent to the store."), func(h *Host) *float64 { return at(h.SpoolSince) }},
	{gauge("ledger_bytes", "What the ledger of jobs takes."), func(h *Host) *float64 { return number(h.LedgerBytes) }},
	{gauge("ledger_max_bytes", "What the ledger of jobs may take: stats.max_size of the settings."), func(h *Host) *float64 { return number(h.MaxLedgerBytes) }},
	{gauge("orphan_jobs", "Jobs that have ended or whose GitLab Runner has, and whose remains cannot be removed."), func(h *Host) *float64 { return number(h.OrphanJobs) }},
	{
		gauge("orphan_containers", "Jobs that are not running and of which Docker has a container, network or volume that cannot be removed."),
		func(h *Host) *float64 { return number(h.OrphanContainers) },
	},
	{gauge("store_up", "Whether the last request to the store worked."), func(h *Host) *float64 { return truth(h.StoreUp) }},
	{gauge("store_last_success_timestamp_seconds", "When a request to the store worked last."), func(h *Host) *float64 { return at(h.StoreAnswered) }},
}

var healthy = gauge("healthy", "Whether a part of serve works, as /healthz says it.", "part")

func gauge(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(prefix+name, help, labels, nil)
}

func number(n *int64) *float64 {
	if n == nil {
		return nil
	}
	return new(float64(*n))
}

func truth(b *bool) *float64 {
	switch {
	case b == nil:
		return nil
	case *b:
		return new(1.0)
	}
	return new(0.0)
}

func at(t time.Time) *float64 {
	if t.IsZero() {
		return nil
	}
	return new(float64(t.UnixMilli()) / 1000)
}

// hostCollector gives what was set.
type hostCollector struct{ of *Metrics }

// Describe implements prometheus.Collector.
func (c hostCollector) Describe(to chan<- *prometheus.Desc) {
	for _, g := range gauges {
		to <- g.desc
	}
	to <- healthy
}

// Collect implements prometheus.Collector.
func (c hostCollector) Collect(to chan<- prometheus.Metric) {
	c.of.mu.Lock()
	defer c.of.mu.Unlock()
	h := &c.of.host
	for _, g := range gauges {
		if v := g.of(h); v != nil {
			to <- prometheus.MustNewConstMetric(g.desc, prometheus.GaugeValue, *v)
		}
	}
	if h.Healthy == nil {
		return
	}
	for part, ok := range h.Healthy() {
		to <- prometheus.MustNewConstMetric(healthy, prometheus.GaugeValue, *truth(&ok), part)
	}
}
