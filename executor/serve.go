package executor

import (
	"context"
	"errors"
	"fmt"
	"time"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/flock"
)

// How often serve looks, and how long one look may take.
const (
	sendEvery  = time.Second
	tendEvery  = time.Minute
	serveLimit = 10 * time.Minute
)

// Serve does for a host what its jobs would otherwise wait for, until ctx ends: it sends what they have saved to the store, compacts
// the store's pools, saves what killed jobs have made, and keeps the host tier in bounds. It may be killed at any time: what it has not
// done is done by its successor or by the jobs. There is one on a host.
func Serve(ctx context.Context, call Call) error {
	j, done, err := openHost(ctx, call, "serve", false)
	if err != nil {
		return err
	}
	defer done()
	unlock, err := j.claimServing(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	j.log.Info("serving")
	defer j.log.Info("ended")
	send, tend := time.NewTicker(sendEvery), time.NewTicker(tendEvery)
	defer send.Stop()
	defer tend.Stop()
	sender := &backoff{most: tendEvery}
	for {
		select {
		case <-ctx.Done():
			return nil
		case now := <-send.C:
			if sender.due(now) {
				sender.note(time.Now(), j.serveSend(ctx))
			}
		case <-tend.C:
			j.serveTend(ctx)
		}
	}
}

// claimServing holds the lock that tells jobs, and another serve, that this one runs. A job may hold it for a moment to ask.
func (j *job) claimServing(ctx context.Context) (unlock func(), err error) {
	short, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	unlock, err = flock.Lock(short, j.tree.serving(), flock.Exclusive)
	if errors.Is(err, context.DeadlineExceeded) {
		return nil, fmt.Errorf("another serve runs for the state directory %s", j.tree)
	}
	return unlock, err
}

func (j *job) serveSend(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, serveLimit, context.DeadlineExceeded)
	defer cancel()
	began := time.Now()
	sent, err := j.caches.Send(ctx)
	line := j.log.WithField("objects", sent.Objects).WithField("bytes", sent.Bytes).WithField("seconds", time.Since(began).Seconds())
	switch {
	case err != nil && ctx.Err() == nil:
		if objects, bytes, unknown := j.caches.Waiting(ctx); unknown == nil {
			line = line.WithField("waiting_objects", objects).WithField("waiting_bytes", bytes)
		}
		line.WithError(err).Warn("not everything could be sent to the store; what is left is tried again")
	case sent.Objects > 0:
		line.Info("sent to the store")
	}
	return err
}

func (j *job) serveTend(ctx context.Context) {
	ctx, cancel := context.WithTimeoutCause(ctx, serveLimit, context.DeadlineExceeded)
	defer cancel()
	if err := j.reapAll(ctx); err != nil && ctx.Err() == nil {
		j.log.WithError(err).Warn("what killed jobs left cannot be removed")
	}
	j.salvageCaches(ctx)
	if err := j.caches.Tend(ctx, true); err != nil && ctx.Err() == nil {
		j.log.WithError(err).Warn("the store cannot be tended")
	}
}

// backoff spaces out attempts at what fails, up to a longest wait.
type backoff struct {
	most, wait time.Duration
	next       time.Time
}

func (b *backoff) due(now time.Time) bool { return !now.Before(b.next) }

func (b *backoff) note(now time.Time, err error) {
	if err == nil {
		b.wait, b.next = 0, time.Time{}
		return
	}
	b.wait = min(max(2*b.wait, time.Second), b.most)
	b.next = now.Add(b.wait)
}
