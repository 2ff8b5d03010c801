package executor

import (
	"context"
	"errors"
	"time"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/stats"
	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/stats/traces"
)

// Traces are sent from the ledger by serve, else by the prepare of the next job, so that no job waits for their receiver.

const (
	traceLimit = 15 * time.Second
	traceAge   = time.Hour // what is older is of no use any more, such as all of a ledger when traces are switched on
)

// sayTrace tells the id of the job's trace, so that it can be looked up.
func (j *job) sayTrace(row stats.Job) {
	if j.settings.Stats.Traces.Endpoint != "" && j.settings.Stats.MaxSize != 0 {
		j.say("Trace: %s", traces.IDOf(&row))
	}
}

// sendTraces sends the traces of jobs that have ended since it was called last. What cannot be sent now is sent by the next call.
func (j *job) sendTraces(ctx context.Context, ledger *stats.Ledger) error {
	s := j.settings.Stats.Traces
	if s.Endpoint == "" {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, traceLimit)
	defer cancel()
	sender, err := traces.New(ctx, s.Endpoint, s.Headers, j.call.Version)
	if err != nil {
		return err
	}
	err = ledger.Follow(ctx, "traces", func(row stats.Job) error {
		if time.Since(row.Ended.Time) > traceAge {
			return nil
		}
		return sender.Send(ctx, row)
	})
	return errors.Join(err, sender.Close(ctx))
}

// traceHost is for a host without serve.
func (j *job) traceHost(ctx context.Context) {
	if j.settings.Stats.Traces.Endpoint == "" || j.settings.Stats.MaxSize == 0 {
		return
	}
	ledger, err := stats.Open(ctx, string(j.tree))
	if err == nil {
		defer ledger.Close()
		err = j.sendTraces(ctx, ledger)
	}
	if err != nil {
		j.log.WithError(err).Warn("not all traces were sent")
	}
}
