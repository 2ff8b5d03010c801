package executor

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"time"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/stats"
	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/stats/metrics"
)

// exits are the rounds that tell others what serve knows: those that the settings name.
func (s *server) exits() []round {
	var rounds []round
	add := func(name string, every time.Duration, do func(ctx context.Context) error) {
		rounds = append(rounds, round{name, lookLimit, pause{every: every, first: every, most: time.Minute}, nil, do})
	}
	if file := s.settings.Stats.Textfile; file != "" {
		add("textfile", 15*time.Second, func(ctx context.Context) error {
			return s.failed(ctx, metrics.Textfile, s.metrics.WriteFile(file), "stats.textfile cannot be written")
		})
	}
	if url := s.settings.Stats.PushGateway; url != "" {
		host, _ := os.Hostname() // whose error leaves it out
		add("push", 15*time.Second, func(ctx context.Context) error {
			return s.failed(ctx, metrics.Push, s.metrics.Push(ctx, url, host), "nothing can be pushed to stats.push_gateway")
		})
	}
	if s.settings.Stats.Traces.Endpoint != "" && s.settings.Stats.MaxSize != 0 {
		add("traces", 5*time.Second, func(ctx context.Context) error {
			return s.failed(ctx, metrics.Traces, s.traceJobs(ctx), "not all traces were sent to stats.traces.endpoint")
		})
	}
	return rounds
}

// traceJobs sends the traces of jobs that have ended. It opens the ledger anew each time, like follow.
func (s *server) traceJobs(ctx context.Context) error {
	ledger, err := stats.OpenToRead(ctx, string(s.tree))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer ledger.Close()
	return s.sendTraces(ctx, ledger)
}
