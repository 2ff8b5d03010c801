package httpapi

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/trace/noop"
	"go.uber.org/zap/zaptest"

	"example.com/sample/internal/metrics"
	"example.com/sample/internal/store"
)

func serve(t *testing.T) *httptest.Server {
	t.Helper()
	parts, err := store.Open(t.Context(), filepath.Join(t.TempDir(), "parts.db"))
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(New(parts, zaptest.NewLogger(t), metrics.New(), noop.NewTracerProvider().Tracer("")))
	t.Cleanup(func() {
		server.Close()
		if err := parts.Close(); err != nil {
			t.Error(err)
		}
	})
	return server
}

func do(t *testing.T, method, url, body string) (status int, answer string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(data)
}

func TestStatuses(t *testing.T) {
	server := serve(t)
	for _, c := range []struct {
		method, path, body string
		want               int
	}{
		{"GET", "/parts/BO-100", "", 404},
		{"POST", "/parts", `{"number": "BO-100", "name": "bolt", "stock": 3}`, 200},
		{"GET", "/parts/BO-100", "", 200},
		{"POST", "/parts", `{"number": "BO-100", "name": "bolt", "stock": 3}`, 409},
		{"POST", "/parts", `{"number": "bolt"}`, 400},
		{"POST", "/parts", `not JSON`, 400},
		{"GET", "/report", "", 200},
	} {
		if got, body := do(t, c.method, server.URL+c.path, c.body); got != c.want {
			t.Errorf("%s %s: %d, want %d: %s", c.method, c.path, got, c.want, body)
		}
	}
	if _, body := do(t, "GET", server.URL+"/metrics", ""); !strings.Contains(body, `route="/parts/{number}"`) {
		t.Errorf("no count for the route:\n%s", body)
	}
}

func TestImportThenList(t *testing.T) {
	server := serve(t)
	csv, err := os.ReadFile("testdata/parts.csv")
	if err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile("testdata/list.json")
	if err != nil {
		t.Fatal(err)
	}
	if status, body := do(t, "POST", server.URL+"/import", string(csv)); status != 200 {
		t.Fatalf("%d: %s", status, body)
	}
	_, got := do(t, "GET", server.URL+"/parts", "")
	got = regexp.MustCompile(`"id":"[^"]+"`).ReplaceAllString(got, `"id":"…"`)
	if got != string(want) {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}
