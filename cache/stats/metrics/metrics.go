// Package metrics tells Prometheus of a host: what its jobs came to, counted from the ledger, and what state the host is in. It is the only place
// that names metrics. Labels have values of closed sets alone, nothing that a job can choose.
package metrics

import (
	"context"
	"net/http"
	"runtime"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/stats"
)

// Words are the closed sets of words that rows of the ledger have. A word that is none of them, of another release, is counted as "other".
type Words struct {
	Reasons      map[string][]string // outcomes, each with the reasons that it can have
	CacheReasons []string
	Refusals     []string // why what a job left in its caches is not taken
}

// other stands for every word that is unknown.
const other = "other"

// Metrics are those of one process. Its methods may be called by several goroutines.
type Metrics struct {
	registry *prometheus.Registry
	words    Words
	jobs     jobMetrics

	sent   prometheus.Counter
	errors *prometheus.CounterVec

	mu   sync.Mutex
	host Host
}

// New gives metrics that have counted nothing. version is the program's.
func New(version string, words Words) *Metrics {
	m := &Metrics{registry: prometheus.NewRegistry(), words: words}
	m.jobs = newJobMetrics(m.registry, words)
	uploaded := newCounters(m.registry, "uploaded_bytes_total", "Bytes of layers sent to the store, by who sent them.", []string{"by"}, []string{"job"}, []string{"serve"})
	m.jobs.uploaded, m.sent = uploaded.WithLabelValues("job"), uploaded.WithLabelValues("serve")
	m.errors = newCounters(m.registry, "housekeeping_errors_total", "What serve has tried and failed to do, by task.", []string{"task"})
	for _, task := range Tasks() {
		m.errors.WithLabelValues(string(task))
	}
	build := newGauges(m.registry, "build_info", "1, with the version of the program and of its Go.", "version", "goversion")
	build.WithLabelValues(version, runtime.Version()).Set(1)
	m.registry.MustRegister(hostCollector{m}, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// reader is the name under which the ledger keeps how far these metrics have counted.
const reader = "metrics"

// Follow counts the jobs that were added to the ledger since it was called last, by this process or an earlier one: each once, whenever serve is
// restarted. A process that is killed between having counted and the ledger's mark takes its counters along.
func (m *Metrics) Follow(ctx context.Context, l *stats.Ledger) error {
	return l.Follow(ctx, reader, func(j stats.Job) error {
		m.Count(j)
		return nil
	})
}

// Task is something that serve does, and that may fail.
type Task string

// The closed set of tasks.
const (
	Send    Task = "send"    // what jobs have saved, to the store
	Probe   Task = "probe"   // ask the store whether it answers
	Reap    Task = "reap"    // remove what killed jobs have left
	Salvage Task = "salvage" // save what they have made, and keep the host tier in bounds
	Compact Task = "compact" // the pools of the store
	Ledger  Task = "ledger"  // read it, and keep it in bounds
	Look    Task = "look"    // at the disk

	Textfile Task = "textfile" // write stats.textfile
	Push     Task = "push"     // to stats.push_gateway
	Traces   Task = "traces"   // to stats.traces.endpoint
)

// Tasks are all of them.
func Tasks() []Task {
	return []Task{Send, Probe, Reap, Salvage, Compact, Ledger, Look, Textfile, Push, Traces}
}

// Failed counts a failure of a task.
func (m *Metrics) Failed(task Task) { m.errors.WithLabelValues(string(task)).Inc() }

// Sent counts what serve itself has sent to the store.
func (m *Metrics) Sent(bytes int64) { m.sent.Add(float64(bytes)) }

// Gatherer gives all metrics, without I/O of its own.
func (m *Metrics) Gatherer() prometheus.Gatherer { return m.registry }

// Limits of a scrape.
const (
	scrapesAtOnce = 4
	scrapeLimit   = 10 * time.Second
)

// Handler answers scrapes.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{MaxRequestsInFlight: scrapesAtOnce, Timeout: scrapeLimit, EnableOpenMetrics: true})
}
