package executor

import (
	"context"
	"errors"
	"time"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache"
	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/flock"
	cachestore "gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/store"
)

// What is done for the caches of a host rather than for a job: by serve where it runs, else by the jobs as far as they have to wait for
// other things anyway.

// openCaches gives the caches of the host; what is not there yet is made when it is needed.
func (j *job) openCaches(ctx context.Context) *cache.Cache {
	s := j.settings
	o := cache.Options{
		Dir: string(j.tree), Store: cachestore.NewDirectory(s.StoreDir()), Driver: s.Cache.Driver, Idle: s.LayerIdle.Duration, MaxSize: int64(s.MaxSize),
		SigningKey: s.Cache.SigningKey,
	}
	if s.Cache.Shared() {
		bucket, err := cachestore.NewS3(s.Cache.S3)
		o.Far, o.Store = true, bucket
		if err != nil {
			o.Store = cachestore.Unusable(err)
		}
	}
	return cache.Open(ctx, o)
}

// served says whether serve runs on this host. A lock that cannot even be tried is nobody's: better two who send than none.
func (j *job) served(ctx context.Context) bool {
	now, cancel := context.WithTimeout(ctx, time.Millisecond)
	defer cancel()
	unlock, err := flock.Lock(now, j.tree.serving(), flock.Shared)
	if err != nil {
		return errors.Is(err, context.DeadlineExceeded)
	}
	unlock()
	return false
}

// sendSaved brings what the job has saved to the store, unless serve does. What cannot be sent waits for the next job.
func (j *job) sendSaved(ctx context.Context) {
	if j.served(ctx) {
		return
	}
	began := time.Now()
	sent, err := j.caches.Send(ctx)
	switch {
	case err != nil:
		j.warnCaches("what was saved waits on this host to be sent to the store (%s): %v", cache.ReasonOf(err), err)
	case sent.Objects > 0:
		j.log.WithField("objects", sent.Objects).WithField("bytes", sent.Bytes).WithField("seconds", time.Since(began).Seconds()).Info("sent to the store")
	}
}

// prefetchCaches brings what the job will probably restore, while prepare waits for images.
func (j *job) prefetchCaches(ctx context.Context) {
	kinds, mode, _ := j.wantedCaches()
	if len(kinds) == 0 || j.bringsOwnCaches() {
		return
	}
	ctx, cancel := context.WithTimeoutCause(ctx, j.settings.Cache.RestoreTimeout.Duration, context.DeadlineExceeded)
	defer cancel()
	if err := j.caches.Prefetch(ctx, j.store.dir, j.scope(kinds, mode)); err != nil {
		j.log.WithError(err).Warn("not everything was prefetched")
	}
}

// tendCaches is for a host without serve.
func (j *job) tendCaches(ctx context.Context) {
	if j.served(ctx) {
		return
	}
	j.salvageCaches(ctx)
	ctx, cancel := context.WithTimeoutCause(ctx, j.settings.Cache.RestoreTimeout.Duration, context.DeadlineExceeded)
	defer cancel()
	if err := j.caches.Tend(ctx, false); err != nil {
		j.log.WithError(err).Warn("the store cannot be tended")
	}
}

// salvageCaches saves what killed jobs have made and keeps the host tier in bounds.
func (j *job) salvageCaches(ctx context.Context) {
	ctx, cancel := context.WithTimeoutCause(ctx, j.settings.Cache.SaveTimeout.Duration, context.DeadlineExceeded)
	defer cancel()
	err := j.caches.Salvage(ctx, func(saved cache.Saved, err error) {
		line := j.log.WithField("items", saved.Items)
		if err != nil {
			line.WithError(err).Warn("what a killed job left in its caches was not saved")
			return
		}
		line.Info("what a killed job left in its caches was saved")
	})
	if err := errors.Join(err, j.caches.Housekeep(ctx, false)); err != nil {
		j.log.WithError(err).Warn("the host tier cannot be tidied up")
	}
}
