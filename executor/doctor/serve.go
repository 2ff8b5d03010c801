package doctor

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"strings"
	"time"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/stats"
	"gitlab.com/gitlab-go-executor/gitlab-go-executor/executor"
)

func (h *host) lookAtServe(ctx context.Context) []Finding {
	s := h.settings
	if !executor.Serves(ctx, s.StateDir) {
		return []Finding{judgeIdle(s.Cache.Shared())}
	}
	if s.Stats.ListenAddress == "" {
		return []Finding{ok("runs; how it is, nobody can ask (stats.listen_address)")}
	}
	text, err := askHealth(ctx, s.Stats.ListenAddress)
	return []Finding{judgeHealth(s.Stats.ListenAddress, text, err)}
}

const runServe = "run gitlab-go-executor serve as a service of this host, as root"

func judgeIdle(shared bool) Finding {
	if shared {
		return warning(runServe, "does not run: jobs wait while what they have saved is sent to the store")
	}
	return ok("does not run, and need not: without it there are no metrics and no dashboard, and jobs do what it would")
}

// askHealth gives the text of /healthz.
func askHealth(ctx context.Context, address string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return "", err
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+net.JoinHostPort(host, port)+"/healthz", http.NoBody)
	if err != nil {
		return "", err
	}
	answer, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(request) // by no proxy
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(io.LimitReader(answer.Body, 4<<10))
	return string(text), err
}

func judgeHealth(address, text string, err error) Finding {
	word, parts, _ := strings.Cut(text, "\n")
	parts = strings.Join(strings.FieldsFunc(parts, func(r rune) bool { return r == '\n' }), "; ")
	switch {
	case err != nil:
		return wrong("see that stats.listen_address is the one that serve was started with, and restart it", "runs, and does not answer at %s: %v", address, err)
	case word == "ok":
		return ok("runs and is well")
	case word == "degraded":
		return warning("see the operator log, and the check "+checkStore+" above", "runs, and is degraded: %s", parts)
	}
	return wrong("see the operator log, and restart it", "runs, and is not well: %s", fmt.Sprintf("%.300s", parts))
}

func (h *host) lookAtLedger(ctx context.Context) []Finding {
	if h.settings.Stats.MaxSize == 0 {
		return []Finding{ok("none is kept (stats.max_size)")}
	}
	jobs, err := countJobs(ctx, h.settings.StateDir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return []Finding{ok("no job has ended here yet")}
	case err != nil:
		return failed(err, "move ledger.db away, with its -wal and -shm; the next job makes a new one")
	}
	return []Finding{ok("%s can be read: %s", "ledger.db", count(jobs, "job"))}
}

func countJobs(ctx context.Context, dir string) (int, error) {
	ledger, err := stats.OpenToRead(ctx, dir)
	if err != nil {
		return 0, err
	}
	defer ledger.Close()
	totals, err := ledger.Totals(ctx, stats.Filter{}, "")
	if err != nil || len(totals) == 0 {
		return 0, err
	}
	return totals[0].Jobs, nil
}
