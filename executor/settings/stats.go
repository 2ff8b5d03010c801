package settings

import (
	"net"
	"net/url"
	"strconv"

	"github.com/docker/go-units"
)

// Stats says what is counted and who is told.
type Stats struct {
	// MaxSize is what the ledger of jobs may take; 0 means that there is none.
	MaxSize Bytes `toml:"max_size"`
	// CountHits has the opens of files in the caches watched, by which hits are counted and compaction knows what is used.
	CountHits bool `toml:"count_hits"`
	// ListenAddress is where serve answers for metrics and the dashboard; empty means nowhere.
	ListenAddress string `toml:"listen_address"`
	// Textfile is written by serve for the textfile collector of node_exporter; empty means none.
	Textfile string `toml:"textfile,omitempty"`
	// PushGateway is the URL of a Prometheus Pushgateway, to which serve pushes; empty means none.
	PushGateway string `toml:"push_gateway,omitempty"`
	// Traces says where each job's trace goes.
	Traces Traces `toml:"traces"`
}

// Traces says where OpenTelemetry traces go.
type Traces struct {
	// Endpoint is the URL of an OTLP/HTTP receiver's traces; empty means no traces.
	Endpoint string `toml:"endpoint,omitempty"`
	// Headers go with each request.
	Headers map[string]string `toml:"headers,omitempty"`
}

func defaultStats() Stats {
	return Stats{MaxSize: 256 * units.MiB, CountHits: true, ListenAddress: "127.0.0.1:9253"}
}

// leastLedger is what a ledger needs to be of any use, in bytes.
const leastLedger = 1 << 20

func (s *Stats) check(r *report) {
	if s.MaxSize != 0 && s.MaxSize < leastLedger {
		r.add("stats.max_size", s.MaxSize, `too small; has to be "1m" or more, or 0 for no ledger`)
	}
	r.optional("stats.listen_address", s.ListenAddress, r.hostPort)
	r.optional("stats.textfile", s.Textfile, r.absolute)
	r.optional("stats.push_gateway", s.PushGateway, r.httpURL)
	r.optional("stats.traces.endpoint", s.Traces.Endpoint, r.httpURL)
}

func (r *report) hostPort(key, value string) {
	_, port, err := net.SplitHostPort(value)
	if n, bad := strconv.ParseUint(port, 10, 16); err != nil || bad != nil || n == 0 {
		r.add(key, value, `has to be an address and a port, such as "127.0.0.1:9253" or ":9253"`)
	}
}

func (r *report) httpURL(key, value string) {
	u, err := url.Parse(value)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		r.add(key, value, `has to be a URL with http or https and a host, such as "https://example.com:4318/v1/traces"`)
	}
}
