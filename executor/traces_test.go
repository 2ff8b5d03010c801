package executor

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/stats"
)

// Whoever switches traces on does not want those of all jobs that the ledger has.
func TestOnlyLateJobsAreTracedAndEachOnce(t *testing.T) {
	t.Parallel()
	var sent atomic.Int32
	receiver := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { sent.Add(1) }))
	defer receiver.Close()
	h := newServedHost(t, fmt.Sprintf("[stats]\ntraces.endpoint = %q\n", receiver.URL+"/v1/traces"))
	s, _ := h.server()
	ledger, err := stats.Open(t.Context(), h.dir)
	if err != nil {
		t.Fatal(err)
	}
	defer ledger.Close()
	add := func(job string, age time.Duration) {
		t.Helper()
		ended := stats.Time{Time: time.Now().Add(-age)}
		if err := ledger.Add(t.Context(), stats.Job{Instance: "gitlab.example.com", Project: "1", Job: job, Began: ended, Ended: ended}); err != nil {
			t.Fatal(err)
		}
	}
	traced := func(want int32) {
		t.Helper()
		if err := s.traceJobs(t.Context()); err != nil {
			t.Error(err)
		}
		if n := sent.Load(); n != want {
			t.Errorf("%d traces were sent, want %d", n, want)
		}
	}
	add("1", 2*traceAge)
	add("2", traceAge/2)
	traced(1)
	add("3", 0)
	traced(2)
}
