package e2e

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/protobuf/proto"
)

// inbox is an HTTP server that keeps the last body of each path.
type inbox struct {
	*httptest.Server
	mu   sync.Mutex
	last map[string][]byte
}

func newInbox(t *testing.T) *inbox {
	t.Helper()
	in := &inbox{last: map[string][]byte{}}
	in.Server = httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var body io.Reader = r.Body
		if r.Header.Get("Content-Encoding") == "gzip" {
			unpacked, err := gzip.NewReader(r.Body)
			if err != nil {
				t.Error(err)
				return
			}
			body = unpacked
		}
		data, err := io.ReadAll(body)
		if err != nil {
			t.Error(err)
		}
		in.mu.Lock()
		defer in.mu.Unlock()
		in.last[r.Method+" "+r.URL.Path] = data
	}))
	t.Cleanup(in.Close)
	return in
}

// got is the last body; nothing, if there was none.
func (in *inbox) got(request string) []byte {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.last[request]
}

// spans names those of the last trace, by the trace's id.
func (in *inbox) spans(t *testing.T) map[string]string {
	t.Helper()
	var request collector.ExportTraceServiceRequest
	if err := proto.Unmarshal(in.got("POST /v1/traces"), &request); err != nil {
		t.Fatal(err)
	}
	spans := map[string]string{}
	for _, r := range request.GetResourceSpans() {
		for _, s := range r.GetScopeSpans()[0].GetSpans() {
			spans[s.GetName()] = fmt.Sprintf("%x", s.GetTraceId())
		}
	}
	return spans
}

func TestAJobIsToldOfWhereverTheSettingsAndItsAuthorSay(t *testing.T) {
	t.Parallel()
	in, folder := newInbox(t), t.TempDir()
	textfile, host := filepath.Join(folder, "gitlab-go-executor.prom"), ""
	if name, err := os.Hostname(); err == nil {
		host = name
	}
	g := newGoHost(t, fmt.Sprintf("[stats]\nlisten_address = \"\"\ntextfile = %q\npush_gateway = %q\ntraces.endpoint = %q\n", textfile, in.URL, in.URL+"/v1/traces")).warmWithoutC()
	defer g.serve()()
	report := job{"name": "metrics", "paths": []string{"out/metrics.txt"}, "artifact_type": "metrics", "artifact_format": "gzip"}
	j := withoutC(g.goJob("go test ./sum")).variable("GO_EXECUTOR_METRICS", "out/metrics.txt").with("artifacts", []job{report})
	r, f := g.ran(j)
	if f.Tests != 1 || f.Cached != 1 || f.Hit == 0 {
		t.Fatalf("not warm: %s", f)
	}

	unpacked, err := gzip.NewReader(bytes.NewReader(g.gitlab.zips[fmtID(j)]))
	if err != nil {
		t.Fatalf("GitLab has no metrics report: %v\n%s", err, r.Log)
	}
	data, err := io.ReadAll(unpacked)
	if err != nil {
		t.Fatal(err)
	}
	for name, n := range map[string]int{"tests_cached": f.Cached, "packages_hit": f.Hit, "packages_compiled": f.New, "modules_wanted": f.Wanted, "modules_missed": f.Missed, "tests_ok": f.Tests} {
		if line := fmt.Sprintf("\ngo_cache_%s %d\n", name, n); !strings.Contains(string(data), line) {
			t.Errorf("the report has no %q:\n%s", line, data)
		}
	}

	counted := `gitlab_go_executor_jobs_total{outcome="success",reason="",tier="protected"} 1`
	g.eventually("the textfile counts the job", func() bool {
		text, _ := os.ReadFile(textfile) // which serve has yet to write
		return strings.Contains(string(text), counted)
	}, nil)
	g.eventually("the Pushgateway has it", func() bool {
		return bytes.Contains(in.got("PUT /metrics/job/gitlab_go_executor/instance/"+host), []byte("gitlab_go_executor_jobs_total"))
	}, nil)
	g.eventually("its trace was sent", func() bool { return in.got("POST /v1/traces") != nil }, nil)
	spans := in.spans(t)
	for _, name := range []string{"job test", "restore", "script", "save"} {
		if spans[name] == "" {
			t.Errorf("no span %q in %v", name, spans)
		}
	}
	g.says(r, "Trace: "+spans["job test"])
	if left, err := os.ReadDir(folder); err != nil || len(left) != 1 {
		t.Errorf("beside the textfile there is %v, %v", left, err)
	}
}
