package metrics

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestATextfileAppearsWholeAndIsReplaced(t *testing.T) {
	t.Parallel()
	m := New("v1", Words{})
	file := filepath.Join(t.TempDir(), "executor.prom")
	for _, task := range []Task{Send, Reap} {
		m.Failed(task)
		if err := m.WriteFile(file); err != nil {
			t.Fatal(err)
		}
		data, err := os.ReadFile(file)
		if err != nil || !strings.Contains(string(data), `gitlab_go_executor_housekeeping_errors_total{task="`+string(task)+`"} 1`) {
			t.Errorf("%v\n%s", err, data)
		}
	}
	if entries, _ := os.ReadDir(filepath.Dir(file)); len(entries) != 1 {
		t.Errorf("there is %v", entries)
	}
	if err := m.WriteFile(filepath.Join(file, "x.prom")); err == nil {
		t.Error("no error for a folder that is none")
	}
}

func TestAPushSaysWhichHostAndShowsNoPassword(t *testing.T) {
	t.Parallel()
	m := New("v1", Words{})
	status, body := http.StatusOK, ""
	gateway := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		data, _ := io.ReadAll(r.Body)
		user, password, _ := r.BasicAuth()
		body = r.Method + " " + r.URL.Path + " " + user + ":" + password + " " + string(data)
		w.WriteHeader(status)
	}))
	defer gateway.Close()
	address := strings.Replace(gateway.URL, "http://", "http://ci:hidden@", 1)
	if err := m.Push(t.Context(), address, "runner-1"); err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(body, "PUT /metrics/job/gitlab_go_executor/instance/runner-1 ci:hidden ") || !strings.Contains(body, "gitlab_go_executor_build_info") {
		t.Errorf("the gateway got %.200s", body)
	}
	status = http.StatusForbidden
	if err := m.Push(t.Context(), address, ""); err == nil || strings.Contains(err.Error(), "hidden") {
		t.Errorf("got %v", err)
	}
	gateway.Close()
	if err := m.Push(t.Context(), address, ""); err == nil || strings.Contains(err.Error(), "hidden") {
		t.Errorf("got %v", err)
	}
}
