package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"time"
)

// bounds say how long to wait and how often to try.
type bounds struct {
	call     time.Duration // for a call that moves no file
	rate     int64         // bytes per second that a file has at least, beside call
	stall    time.Duration // without a byte in either direction
	attempts int           // at one request, or at one range of a file
	pause    time.Duration // before the second attempt, and twice as much before each further one
}

var defaultBounds = bounds{call: time.Minute, rate: 1 << 20, stall: 15 * time.Second, attempts: 4, pause: 200 * time.Millisecond}

const (
	dialing = 5 * time.Second // to reach a server
	asking  = 5 * time.Second // for one answer about credentials
)

var errTooLong = errors.New("it takes too long")

// patience is how long a call may take.
type patience struct {
	timer  *time.Timer
	bounds bounds
}

// extend gives a call the time that a file of this size may take, from now on.
func (p *patience) extend(size int64) {
	p.timer.Reset(p.bounds.call + time.Duration(float64(size)/float64(p.bounds.rate)*float64(time.Second)))
}

// run takes one step about a key.
func (s *S3) run(ctx context.Context, what, key string, step func(ctx context.Context, p *patience) error) error {
	return s.runOrUndo(ctx, what, key, func() {}, step)
}

// runOrUndo is run for a step that has to be undone if it succeeds too late.
func (s *S3) runOrUndo(ctx context.Context, what, key string, undo func(), step func(ctx context.Context, p *patience) error) error {
	if err := CheckKey(key); err != nil {
		return err
	}
	if err := s.bounded(ctx, undo, step); err != nil {
		return fmt.Errorf("%s the object %s: %w", what, key, err)
	}
	return nil
}

// bounded takes a step that ends in time. Waiting for credentials cannot be ended, see (*minio.Client).newRequest, and what has to be
// undone at the server is given its own time: both are left behind when ctx ends.
func (s *S3) bounded(ctx context.Context, undo func(), step func(ctx context.Context, p *patience) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	p := &patience{timer: time.AfterFunc(s.bounds.call, func() { cancel(errTooLong) }), bounds: s.bounds}
	defer p.timer.Stop()
	return within(ctx, undo, func() error { return s.explain(ctx, step(ctx, p)) })
}

// final is an error that another attempt would meet again.
type final struct{ error }

// Unwrap gives the error.
func (f final) Unwrap() error { return f.error }

// passes says whether what is wrong may be right at the next attempt.
func passes(ctx context.Context, err error) bool {
	var f final
	return ctx.Err() == nil && !errors.As(err, &f) && !errors.Is(err, ErrRefused) && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, errNoUpload)
}

// again tries until it works, cannot work, or was tried often enough.
func (s *S3) again(ctx context.Context, try func() error) error {
	pause := s.bounds.pause
	for attempt := 1; ; attempt++ {
		err := s.explain(ctx, try())
		if err == nil || attempt >= s.bounds.attempts || !passes(ctx, err) {
			return err
		}
		select {
		case <-time.After(pause/2 + rand.N(pause/2+1)): // jitter: hosts that were refused together do not come back together
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		pause *= 2
	}
}
