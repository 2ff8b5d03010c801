package traces

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	common "go.opentelemetry.io/proto/otlp/common/v1"
	otlp "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/stats"
)

// receiver is a server of OTLP over HTTP.
type receiver struct {
	*httptest.Server
	mu     sync.Mutex
	status int
	header string
	spans  []*otlp.Span
}

func newReceiver(t *testing.T) *receiver {
	t.Helper()
	r := &receiver{status: http.StatusOK}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		r.mu.Lock()
		defer r.mu.Unlock()
		var body io.Reader = req.Body
		if req.Header.Get("Content-Encoding") == "gzip" {
			body, _ = gzip.NewReader(req.Body)
		}
		data, err := io.ReadAll(body)
		var got collector.ExportTraceServiceRequest
		if err != nil || proto.Unmarshal(data, &got) != nil || req.URL.Path != "/v1/traces" {
			t.Errorf("a bad request to %s: %v", req.URL, err)
		}
		r.header = req.Header.Get("Authorization")
		w.WriteHeader(r.status)
		if r.status == http.StatusOK {
			r.spans = append(r.spans, got.GetResourceSpans()[0].GetScopeSpans()[0].GetSpans()...)
		}
	}))
	t.Cleanup(r.Close)
	return r
}

var began = time.UnixMilli(1772366400123)

func job() stats.Job {
	return stats.Job{
		Instance: "gitlab.example.com", Project: "7", ProjectPath: "group/app", Job: "41", Name: "test", Ref: "main", Host: "runner-1",
		Began: stats.Time{Time: began}, Ended: stats.Time{Time: began.Add(20 * time.Second)}, Outcome: "script_failed", Reason: "exit_code", CacheReason: "nearest",
		Layers: new(3), ModulesMissed: new(1), BuildHit: new(0),
		LookupSeconds: new(0.5), DownloadSeconds: new(1.5), MountSeconds: new(0.25), ScriptSeconds: new(10.0), HarvestSeconds: new(1.0),
		Detail: stats.Detail{
			Changed: []stats.Change{{Path: "example.com/m", Had: "v1.0.0", Want: "v1.1.0"}}, Compiled: []string{"example.com/m", "group/app"},
			Starts: map[string]time.Time{"restore": began.Add(2 * time.Second), "script": began.Add(2 * time.Second), "save": began.Add(13 * time.Second)},
		},
	}
}

func (r *receiver) span(t *testing.T, name string) *otlp.Span {
	t.Helper()
	at := slices.IndexFunc(r.spans, func(s *otlp.Span) bool { return s.GetName() == name })
	if at < 0 {
		t.Fatalf("there is no span %q", name)
	}
	return r.spans[at]
}

func valueOf(all []*common.KeyValue, key string) string {
	for _, kv := range all {
		if kv.GetKey() == key {
			if s, ok := kv.GetValue().GetValue().(*common.AnyValue_StringValue); ok {
				return s.StringValue
			}
			return fmt.Sprint(kv.GetValue().GetIntValue())
		}
	}
	return "none"
}

func TestAJobIsATraceWithASpanForEachPhase(t *testing.T) {
	t.Parallel()
	r := newReceiver(t)
	s, err := New(t.Context(), r.URL+"/v1/traces", map[string]string{"Authorization": "Bearer x"}, "v1")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close(t.Context()) }()
	j := job()
	if err := s.Send(t.Context(), j); err != nil {
		t.Fatal(err)
	}
	root := r.span(t, "job test")
	if id := IDOf(&j); !bytes.Equal(root.GetTraceId(), id[:]) || root.GetParentSpanId() != nil || r.header != "Bearer x" {
		t.Errorf("trace %x, want %s; parent %x, header %q", root.GetTraceId(), id, root.GetParentSpanId(), r.header)
	}
	for key, want := range map[string]string{
		"cicd.pipeline.task.run.result": "failure", "cache.reason": "nearest", "cache.modules.missed": "1", "cache.packages.hit": "0", "cache.packages.compiled": "none",
	} {
		if got := valueOf(root.GetAttributes(), key); got != want {
			t.Errorf("%s is %s, want %s", key, got, want)
		}
	}
	for name, want := range map[string][2]time.Duration{
		"job test": {0, 20 * time.Second}, "restore": {2 * time.Second, 2250 * time.Millisecond}, "lookup": {2 * time.Second, 500 * time.Millisecond},
		"download": {2500 * time.Millisecond, 1500 * time.Millisecond}, "mount": {4 * time.Second, 250 * time.Millisecond},
		"script": {2 * time.Second, 10 * time.Second}, "save": {13 * time.Second, time.Second},
	} {
		span := r.span(t, name)
		start := time.Unix(0, int64(span.GetStartTimeUnixNano()))
		took := time.Duration(span.GetEndTimeUnixNano() - span.GetStartTimeUnixNano())
		if !start.Equal(began.Add(want[0])) || took != want[1] {
			t.Errorf("%s: after %s for %s, want %v", name, start.Sub(began), took, want)
		}
	}
	if !bytes.Equal(r.span(t, "mount").GetParentSpanId(), r.span(t, "restore").GetSpanId()) {
		t.Error("mount is no part of restore")
	}
	var missed []string
	for _, e := range root.GetEvents() {
		missed = append(missed, e.GetName()+" "+valueOf(e.GetAttributes(), "cache.miss")+" "+valueOf(e.GetAttributes(), "cache.reason"))
	}
	if want := []string{"cache.miss example.com/m@v1.1.0 nearest", "cache.miss example.com/m nearest", "cache.miss group/app nearest"}; !slices.Equal(missed, want) {
		t.Errorf("events %q", missed)
	}
}

func TestAColdJobMissesEverythingOnce(t *testing.T) {
	t.Parallel()
	j := job()
	j.Layers, j.CacheReason = new(0), "first_run"
	if m := misses(&j); len(m) != 1 {
		t.Errorf("%d misses", len(m))
	}
	j = job()
	for i := range 1000 {
		j.Detail.Compiled = append(j.Detail.Compiled, fmt.Sprint(i))
	}
	if m := misses(&j); len(m) != mostMisses {
		t.Errorf("%d misses", len(m))
	}
}

func TestAReceiverThatFailsIsAnError(t *testing.T) {
	t.Parallel()
	r := newReceiver(t)
	r.status = http.StatusServiceUnavailable
	s, err := New(t.Context(), r.URL+"/v1/traces", nil, "v1")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close(t.Context()) }()
	if err := s.Send(t.Context(), job()); err == nil {
		t.Error("no error")
	}
	r.status = http.StatusOK
	if err := s.Send(t.Context(), job()); err != nil || len(r.spans) != 10 {
		t.Errorf("%d spans: %v", len(r.spans), err)
	}
}
