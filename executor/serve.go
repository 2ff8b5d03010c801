package executor

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache"
	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/crash"
	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/flock"
	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/kind"
	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/stats/metrics"
	"gitlab.com/gitlab-go-executor/gitlab-go-executor/executor/outcome"
)

// Serve does for a host what its jobs would otherwise wait for, until ctx ends: it sends what they have saved to the store, compacts
// the store's pools, saves what killed jobs have made, and keeps the host tier in bounds. It counts the jobs of the host, looks at its state, and
// answers for both. It may be killed at any time: what it has not done is done by its successor or by the jobs. There is one on a host.
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
	return newServer(j).run(ctx)
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

// server is a serve that runs.
type server struct {
	*job
	metrics *metrics.Metrics
	health  *health
	sendNow chan struct{} // has what waits sent at once
}

func newServer(j *job) *server {
	s := &server{job: j, metrics: metrics.New(j.call.Version, words()), health: newHealth(), sendNow: make(chan struct{}, 1)}
	s.metrics.Set(func(h *metrics.Host) { h.Healthy = s.health.works })
	return s
}

// words are the closed sets that metrics have for labels.
func words() metrics.Words {
	w := metrics.Words{Reasons: map[string][]string{}, Refusals: kind.Refusals()}
	for end, reasons := range outcome.Reasons() {
		for _, reason := range reasons {
			w.Reasons[string(end)] = append(w.Reasons[string(end)], string(reason))
		}
	}
	for _, reason := range cache.Reasons() {
		w.CacheReasons = append(w.CacheReasons, string(reason))
	}
	return w
}

// run goes round until ctx ends, or nobody can be answered.
func (s *server) run(ctx context.Context) error {
	listener, err := s.listen(ctx)
	if err != nil {
		return err
	}
	s.log.WithField("address", s.settings.Stats.ListenAddress).Info("serving")
	crash.At(crash.ServeBegun)
	defer s.log.Info("ended")
	group, ctx := errgroup.WithContext(ctx)
	for _, r := range append(s.rounds(), s.exits()...) {
		group.Go(func() error {
			s.goRound(ctx, r)
			return nil
		})
	}
	if listener != nil {
		group.Go(func() error { return s.answer(ctx, listener) })
	}
	return group.Wait()
}

// round is something that serve does again and again, beside the others.
type round struct {
	name  string
	limit time.Duration // for one round
	pause pause
	now   <-chan struct{} // has the next one begin at once
	do    func(ctx context.Context) error
}

// serveLimit is for rounds that work, lookLimit for those that look.
const (
	serveLimit = 10 * time.Minute
	lookLimit  = time.Minute
)

func (s *server) rounds() []round {
	return []round{
		{"send", serveLimit, pause{every: time.Second, first: time.Second, most: time.Minute}, s.sendNow, s.send},
		{"tend", serveLimit, pause{every: time.Minute, first: time.Minute, most: time.Minute}, nil, s.tend},
		{"count", lookLimit, pause{every: 5 * time.Second, first: 5 * time.Second, most: time.Minute}, nil, s.countJobs},
		{"look", lookLimit, pause{every: 5 * time.Second, first: 5 * time.Second, most: time.Minute}, nil, s.look},
		{"probe", lookLimit, pause{every: time.Minute, first: 5 * time.Second, most: 10 * time.Second}, nil, s.probe},
	}
}

// goRound goes on until ctx ends.
func (s *server) goRound(ctx context.Context, r round) {
	for {
		s.health.begins(r.name, r.limit)
		bounded, cancel := context.WithTimeoutCause(ctx, r.limit, context.DeadlineExceeded)
		err := r.do(bounded)
		cancel()
		s.health.ends(r.name)
		select {
		case <-ctx.Done():
			return
		case <-r.now:
		case <-time.After(r.pause.after(err)):
		}
	}
}

// pause spaces out rounds: those that fail ever further.
type pause struct {
	every       time.Duration // if all is well
	first, most time.Duration // after a failure, and after many
	last        time.Duration
}

func (p *pause) after(err error) time.Duration {
	if err == nil {
		p.last = 0
		return p.every
	}
	p.last = min(max(2*p.last, p.first), p.most)
	return p.last
}
