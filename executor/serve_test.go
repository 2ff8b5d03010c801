package executor

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/stats"
	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/store/s3test"
)

// servedHost is a host with a settings file, in whose state directory no job has ever been.
type servedHost struct {
	*testing.T
	dir, config, log string
}

func newServedHost(t *testing.T, settings string) *servedHost {
	t.Helper()
	dir := t.TempDir()
	h := &servedHost{T: t, dir: filepath.Join(dir, "state"), config: filepath.Join(dir, "config.toml"), log: filepath.Join(dir, "operator.log")}
	text := fmt.Sprintf("state_dir = %q\n%s\n[log]\nfile = %q\n", h.dir, settings, h.log)
	if err := os.WriteFile(h.config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return h
}

func (h *servedHost) call() Call {
	return Call{ConfigPath: h.config, Version: "v1", Stdout: io.Discard, Stderr: io.Discard}
}

// server is a serve of the host that does nothing by itself. It answers at a URL.
func (h *servedHost) server() (s *server, url string) {
	h.Helper()
	j, done, err := openHost(h.Context(), h.call(), "serve", false)
	if err != nil {
		h.Fatal(err)
	}
	h.Cleanup(done)
	s = newServer(j)
	answers := httptest.NewServer(s.pages())
	h.Cleanup(answers.Close)
	return s, answers.URL
}

func (h *servedHost) get(url string) (status int, body string) {
	h.Helper()
	request, err := http.NewRequestWithContext(h.Context(), http.MethodGet, url, nil)
	if err != nil {
		h.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		h.Fatal(err)
	}
	defer answer.Body.Close()
	data, err := io.ReadAll(answer.Body)
	if err != nil {
		h.Fatal(err)
	}
	return answer.StatusCode, string(data)
}

// shows checks lines of /metrics.
func (h *servedHost) shows(url string, lines ...string) {
	h.Helper()
	_, body := h.get(url + "/metrics")
	for _, line := range lines {
		if !strings.Contains(body, "\ngitlab_go_executor_"+line) {
			h.Errorf("/metrics has no %s:\n%s", line, body)
		}
	}
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func TestServeAnswersUntilItIsStoppedAndOneTakesOverFromAnother(t *testing.T) {
	t.Parallel()
	address := freeAddress(t)
	h := newServedHost(t, fmt.Sprintf("[stats]\nlisten_address = %q", address))
	for range 2 {
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- Serve(ctx, h.call()) }()
		for deadline := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
			if connection, err := (&net.Dialer{}).DialContext(ctx, "tcp", address); err == nil {
				_ = connection.Close()
				break
			}
			if time.Now().After(deadline) {
				t.Fatal("serve does not answer")
			}
		}
		if status, text := h.get("http://" + address + "/healthz"); status != http.StatusOK || !strings.HasPrefix(text, "ok\n") {
			t.Errorf("%d %s", status, text)
		}
		h.shows("http://"+address, `build_info{goversion="go1`)
		if status, text := h.get("http://" + address + "/"); status != http.StatusOK || !strings.Contains(text, "<h1") {
			t.Errorf("%d %s", status, text)
		}
		if status, _ := h.get("http://" + address + "/etc/passwd"); status != http.StatusNotFound {
			t.Errorf("%d", status)
		}
		if err := Serve(t.Context(), h.call()); err == nil || !strings.Contains(err.Error(), "another serve runs for the state directory "+h.dir) {
			t.Errorf("a second serve: %v", err)
		}
		stop()
		if err := <-ended; err != nil {
			t.Errorf("serve ended with %v", err)
		}
	}
}

func TestServeEndsAtOnceIfItsAddressIsTaken(t *testing.T) {
	t.Parallel()
	taken, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	h := newServedHost(t, fmt.Sprintf("[stats]\nlisten_address = %q", taken.Addr()))
	err = Serve(t.Context(), h.call())
	if want := fmt.Sprintf("stats.listen_address = %q", taken.Addr()); err == nil || !strings.HasPrefix(err.Error(), want) || !strings.Contains(err.Error(), "in use") {
		t.Errorf("got %v", err)
	}
}

func TestServeSeesThatTheStoreFailsThoughNothingIsToBeSent(t *testing.T) {
	t.Parallel()
	proxy, c := s3test.NewProxy(t, s3test.Versity(t))
	h := newServedHost(t, fmt.Sprintf("[cache.s3]\nServerAddress = %q\nAccessKey = %q\nSecretKey = %q\nBucketName = %q\nBucketLocation = %q\nInsecure = true",
		c.ServerAddress, c.AccessKey, c.SecretKey, c.BucketName, c.BucketLocation))
	s, url := h.server()
	if err := s.send(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, body := h.get(url + "/metrics"); strings.Contains(body, "store_up") {
		t.Error("nobody has asked the store yet, and /metrics knows of it")
	}
	must := func(step func(context.Context) error, fails bool) {
		t.Helper()
		if err := step(t.Context()); (err != nil) != fails {
			t.Errorf("got %v", err)
		}
	}
	must(s.probe, false)
	h.shows(url, "store_up 1\n", `healthy{part="store"} 1`+"\n", "store_last_success_timestamp_seconds ")

	proxy.Break(s3test.Answer(http.StatusForbidden, "AccessDenied"))
	must(s.probe, true)
	must(s.probe, true)
	h.shows(url, "store_up 0\n", `healthy{part="store"} 0`+"\n", `healthy{part="ledger"} 1`+"\n", `housekeeping_errors_total{task="probe"} 2`+"\n")
	if status, text := h.get(url + "/healthz"); status != http.StatusOK || !strings.HasPrefix(text, "degraded\n") || !strings.Contains(text, "store_refused") {
		t.Errorf("%d %s", status, text)
	}

	proxy.Break(nil)
	must(s.probe, false)
	h.shows(url, "store_up 1\n")
	log, err := os.ReadFile(h.log)
	if n := strings.Count(string(log), `msg="the store fails"`); err != nil || n != 1 || !strings.Contains(string(log), "the store works again") {
		t.Errorf("the operator log says %d times that the store fails (%v):\n%s", n, err, log)
	}
	select {
	case <-s.sendNow:
	default:
		t.Error("what waits is not sent at once")
	}
}

func TestServeCountsWhatItsPredecessorDidNotAndGoesOnWithANewLedger(t *testing.T) {
	t.Parallel()
	h := newServedHost(t, "")
	s, url := h.server()
	count := func(s *server, works bool) {
		t.Helper()
		if err := s.countJobs(t.Context()); (err == nil) != works {
			t.Errorf("got %v", err)
		}
	}
	end := func(number string) {
		t.Helper()
		l, err := stats.Open(t.Context(), h.dir)
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		if err := l.Add(t.Context(), stats.Job{Job: number, Tier: "protected", Outcome: "success", CacheReason: "exact"}); err != nil {
			t.Fatal(err)
		}
	}
	const jobs = `jobs_total{outcome="success",reason="",tier="protected"} `
	count(s, true) // no job has ever ended here
	h.shows(url, jobs+"0\n", "ledger_bytes 0\n", "ledger_max_bytes 2.68435456e+08\n")
	end("1")
	count(s, true)
	h.shows(url, jobs+"1\n")
	end("2")
	next, nextURL := h.server()
	count(next, true)
	h.shows(nextURL, jobs+"1\n")

	file := filepath.Join(h.dir, "ledger.db")
	if err := os.WriteFile(file, []byte("this is no database, whatever its name says"), 0o600); err != nil {
		t.Fatal(err)
	}
	count(next, false)
	if status, text := h.get(nextURL + "/healthz"); status != http.StatusServiceUnavailable || !strings.Contains(text, "ledger: cannot be read since") {
		t.Errorf("%d %s", status, text)
	}
	h.shows(nextURL, `healthy{part="ledger"} 0`+"\n", `housekeeping_errors_total{task="ledger"} 1`+"\n")
	if err := os.Rename(file, file+".broken"); err != nil { // as the error advises
		t.Fatal(err)
	}
	end("3")
	count(next, true)
	h.shows(nextURL, jobs+"2\n", `healthy{part="ledger"} 1`+"\n")
}

func TestServeKnowsWhatTheDiskHolds(t *testing.T) {
	t.Parallel()
	h := newPrunedHost(t)
	j, done, err := openHost(t.Context(), Call{ConfigPath: h.config, Version: "v1"}, "serve", false)
	if err != nil {
		t.Fatal(err)
	}
	defer done()
	s := newServer(j)
	if err := s.look(t.Context()); err != nil {
		t.Fatal(err)
	}
	answers := httptest.NewServer(s.pages())
	defer answers.Close()
	served := &servedHost{T: t}
	served.shows(answers.URL, "layers 3\n", "layers_bytes 3000\n", "layers_max_bytes 2.147483648e+10\n", "spool_objects 0\n", "state_free_bytes ", "state_size_bytes ")
	if _, body := served.get(answers.URL + "/metrics"); strings.Contains(body, "spool_oldest") {
		t.Error("something waits, and nothing was saved")
	}
}

func TestALedgerThatIsTooBigIsTrimmedByWhoTidiesUp(t *testing.T) {
	t.Parallel()
	const limit = 1 << 20
	for name, test := range map[string]struct {
		settings string
		tidy     func(h *servedHost, j *job) error
		trims    bool
	}{
		"the next prepare": {`max_size = "1m"`, func(h *servedHost, j *job) error { j.tendCaches(h.Context()); return nil }, true},
		"serve":            {`max_size = "1m"`, func(h *servedHost, j *job) error { return newServer(j).tend(h.Context()) }, true},
		"prune":            {`max_size = "1m"`, func(h *servedHost, _ *job) error { return Prune(h.Context(), h.call(), Pruning{}) }, true},
		"a dry run":        {`max_size = "1m"`, func(h *servedHost, _ *job) error { return Prune(h.Context(), h.call(), Pruning{DryRun: true}) }, false},
		"prepare beside serve": {`max_size = "1m"`, func(h *servedHost, j *job) error {
			unlock, err := j.claimServing(h.Context())
			if err == nil {
				defer unlock()
				j.tendCaches(h.Context())
			}
			return err
		}, false},
		"one that is not too big": {`max_size = "8m"`, func(h *servedHost, j *job) error { j.tendCaches(h.Context()); return nil }, false},
		"one that is off":         {`max_size = 0`, func(h *servedHost, j *job) error { j.tendCaches(h.Context()); return nil }, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newServedHost(t, "[stats]\n"+test.settings)
			l, err := stats.Open(t.Context(), h.dir)
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			for i := range 40 {
				row := stats.Job{Job: fmt.Sprint(i), Detail: stats.Detail{Problems: []string{strings.Repeat("x", limit/20)}}}
				if err := l.Add(t.Context(), row); err != nil {
					t.Fatal(err)
				}
			}
			j, done, err := openHost(t.Context(), h.call(), "test", false)
			if err != nil {
				t.Fatal(err)
			}
			defer done()
			if err := test.tidy(h, j); err != nil {
				t.Error(err)
			}
			totals, err := l.Totals(t.Context(), stats.Filter{}, "")
			if err != nil {
				t.Fatal(err)
			}
			size, err := l.Size()
			if trimmed := totals[0].Jobs < 40 && size <= limit; err != nil || trimmed != test.trims {
				t.Errorf("%d of 40 jobs are left, and %d bytes (%v)", totals[0].Jobs, size, err)
			}
		})
	}
}
