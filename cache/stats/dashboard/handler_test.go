package dashboard

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/stats"
)

func TestWhereThereAreNoFiguresASentenceSaysWhy(t *testing.T) {
	t.Parallel()
	empty := newLedger(t)
	one := newLedger(t, warm(1, time.Hour))
	for name, test := range map[string]struct {
		open   Open
		path   string
		status int
		want   string
	}{
		"no ledger":          {opener(t.TempDir()), "/", http.StatusOK, "There is no ledger yet: no job has ended on this host"},
		"an empty one":       {empty, "/", http.StatusOK, "The ledger has no such jobs."},
		"one that is none":   {broken(t), "/", http.StatusServiceUnavailable, "The ledger cannot be read:"},
		"a job of it":        {broken(t), "/job/i/1", http.StatusServiceUnavailable, "file is not a database"},
		"another project":    {one, "/?project=group%2Fnone&range=all", http.StatusOK, "The ledger has no such jobs."},
		"another range":      {one, "/?range=fortnight", http.StatusBadRequest, `range is "fortnight"; allowed are 24h, 7d, 30d, all`},
		"another job":        {one, "/job/gitlab.example.com/2", http.StatusNotFound, "The ledger of this host has no job 2 of gitlab.example.com."},
		"no ledger, a job":   {opener(t.TempDir()), "/job/gitlab.example.com/2", http.StatusNotFound, "no job 2 of gitlab.example.com"},
		"another page":       {one, "/favicon.ico", http.StatusNotFound, "There are the overview at / and the page of a job"},
		"a page of a folder": {one, "/job/../../etc/passwd", http.StatusNotFound, "There are the overview at / and the page of a job"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			page := get(t, serve(t, test.open, troubled()), test.path)
			if page.status != test.status || !strings.Contains(read(elements(page.Node, "main", "")[0]), test.want) {
				t.Errorf("%d: %s", page.status, read(page.Node))
			}
			if test.path == "/" && !strings.Contains(read(byID(t, page.Node, "store").Parent), "store_unreachable "+stats.CacheReason("store_unreachable")) {
				t.Error("it does not say how the store does")
			}
		})
	}
}

func TestAHostKeepsItsProcessorsForJobs(t *testing.T) {
	t.Parallel()
	var opened atomic.Int32
	asked, goOn := make(chan struct{}, pagesAtOnce+1), make(chan struct{})
	open := func(context.Context) (*stats.Ledger, error) {
		opened.Add(1)
		asked <- struct{}{}
		<-goOn
		return nil, errors.New("no matter")
	}
	h := &handler{open, allFacts, time.Now, pageLimit, make(chan struct{}, pagesAtOnce)}
	answers := make(chan int)
	page := func(ctx context.Context) {
		w := httptest.NewRecorder()
		h.routes().ServeHTTP(w, httptest.NewRequestWithContext(ctx, http.MethodGet, "/", nil))
		answers <- w.Code
	}
	for range pagesAtOnce {
		go page(t.Context())
		<-asked
	}
	impatient, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	go page(impatient) // one too many, while the others are being made
	select {
	case code := <-answers:
		if n := opened.Load(); code != http.StatusServiceUnavailable || n != pagesAtOnce {
			t.Errorf("%d; %d pages were made at once", code, n)
		}
	case <-asked:
		t.Error("it was made")
	}
	close(goOn)
	for range pagesAtOnce {
		<-answers
	}
}

func TestALedgerThatDoesNotAnswerIsNotWaitedFor(t *testing.T) {
	t.Parallel()
	open := func(ctx context.Context) (*stats.Ledger, error) {
		<-ctx.Done()
		return nil, context.Cause(ctx)
	}
	h := &handler{open, func() Facts { return Facts{} }, time.Now, 10 * time.Millisecond, make(chan struct{}, 1)}
	w := httptest.NewRecorder()
	h.routes().ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil))
	if w.Code != http.StatusServiceUnavailable || !strings.Contains(w.Body.String(), "it did not answer within 10ms; a shorter range may help") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

func TestPagesAreForReadingAndForThisSiteAlone(t *testing.T) {
	t.Parallel()
	open := newLedger(t, warm(1, time.Hour))
	s := serve(t, open, allFacts())
	for _, path := range []string{"/", "/job/gitlab.example.com/1", "/none"} {
		page := get(t, s, path)
		policy := page.header.Get("Content-Security-Policy")
		for _, want := range []string{"default-src 'none';", "frame-ancestors 'none'", "form-action 'self'", "base-uri 'none'"} {
			if !strings.Contains(policy, want) {
				t.Errorf("%s: %q lacks %s", path, policy, want)
			}
		}
		if strings.Contains(policy, "unsafe") || page.header.Get("X-Content-Type-Options") != "nosniff" || page.header.Get("Content-Type") != "text/html; charset=utf-8" ||
			page.header.Get("Referrer-Policy") != "no-referrer" || page.header.Get("Cross-Origin-Resource-Policy") != "same-origin" || page.header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: %v", path, page.header)
		}
	}
	for _, method := range []string{http.MethodPost, http.MethodPut, http.MethodDelete} {
		w := httptest.NewRecorder()
		Handler(open, allFacts).ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), method, "/", nil))
		if w.Code != http.StatusMethodNotAllowed {
			t.Errorf("%s: %d", method, w.Code)
		}
	}
}
