//go:build install

package e2e

import (
	"bytes"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"testing"
)

// jobServer stands in for the part of GitLab's API by which a Runner is registered, gets jobs and tells how they end.
type jobServer struct {
	URL   string
	token string
	mu    sync.Mutex
	queue []job
	jobs  map[string]*servedJob
	leaks []string // command lines that had the token while the Runner was registered
}

// servedJob is a job that a Runner has taken.
type servedJob struct {
	log   bytes.Buffer
	ended string // the state that GitLab was told
}

func newJobServer(t *testing.T, token string) *jobServer {
	t.Helper()
	s := &jobServer{token: token, jobs: map[string]*servedJob{}}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /api/v4/runners/verify", s.verify)
	mux.HandleFunc("POST /api/v4/jobs/request", s.request)
	mux.HandleFunc("PATCH /api/v4/jobs/{id}/trace", s.trace)
	mux.HandleFunc("PUT /api/v4/jobs/{id}", s.update)
	listener, err := net.Listen("tcp", bridge+":0")
	if err != nil {
		t.Fatal(err)
	}
	server := &httptest.Server{Listener: listener, Config: &http.Server{Handler: mux}}
	server.Start()
	t.Cleanup(server.Close)
	s.URL = server.URL
	return s
}

// known answers to who has another token than the runner's, and reads what was sent.
func (s *jobServer) known(w http.ResponseWriter, r *http.Request) bool {
	var body struct{ Token string }
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil || body.Token != s.token {
		http.Error(w, `{"message":"403 Forbidden"}`, http.StatusForbidden)
		return false
	}
	return true
}

func (s *jobServer) verify(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	lines, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, file := range lines {
		if line, _ := os.ReadFile(file); bytes.Contains(line, []byte(s.token)) {
			s.leaks = append(s.leaks, string(line))
		}
	}
	w.Header().Set("Content-Type", "application/json")
	if s.known(w, r) {
		_, _ = io.WriteString(w, `{"id":7,"token":"`+s.token+`"}`)
	}
}

func (s *jobServer) request(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	switch {
	case !s.known(w, r):
	case len(s.queue) == 0:
		w.WriteHeader(http.StatusNoContent)
	default:
		next := s.queue[0]
		s.queue = s.queue[1:]
		s.jobs[fmtID(next)] = &servedJob{}
		w.WriteHeader(http.StatusCreated)
		_ = json.NewEncoder(w).Encode(next)
	}
}

func (s *jobServer) trace(w http.ResponseWriter, r *http.Request) {
	part, _ := io.ReadAll(r.Body)
	s.mu.Lock()
	defer s.mu.Unlock()
	if j := s.jobs[r.PathValue("id")]; j != nil {
		j.log.Write(part)
	}
	w.Header().Set("Job-Status", "running")
	w.Header().Set("X-GitLab-Trace-Update-Interval", "1")
	w.WriteHeader(http.StatusAccepted)
}

func (s *jobServer) update(_ http.ResponseWriter, r *http.Request) {
	var body struct{ State string }
	_ = json.NewDecoder(r.Body).Decode(&body)
	s.mu.Lock()
	defer s.mu.Unlock()
	if j := s.jobs[r.PathValue("id")]; j != nil && body.State != "running" {
		j.ended = body.State
	}
}

// push queues a job.
func (s *jobServer) push(j job) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.queue = append(s.queue, j)
}

// state is how far a job is: its log, and how it ended.
func (s *jobServer) state(j job) (log, ended string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if served := s.jobs[fmtID(j)]; served != nil {
		return served.log.String(), served.ended
	}
	return "", ""
}
