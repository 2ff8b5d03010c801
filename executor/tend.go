package executor

import (
	"context"
	"errors"
	"time"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache"
	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/flock"
	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/stats"
	cachestore "gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/store"
	"gitlab.com/gitlab-go-executor/gitlab-go-executor/executor/docker"
	"gitlab.com/gitlab-go-executor/gitlab-go-executor/executor/goenv"
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

// served says whether serve runs on this host.
func (j *job) served(ctx context.Context) bool { return Serves(ctx, string(j.tree)) }

// Serves says whether serve runs for a state directory. A lock that cannot even be tried is nobody's: better two who send than none.
func Serves(ctx context.Context, stateDir string) bool {
	now, cancel := context.WithTimeout(ctx, time.Millisecond)
	defer cancel()
	unlock, err := flock.Lock(now, tree(stateDir).serving(), flock.Shared)
	if err != nil {
		return errors.Is(err, context.DeadlineExceeded)
	}
	unlock()
	return false
}

// sending is what was sent to the store while a job waited.
type sending struct {
	Bytes   int64
	Seconds float64
}

// sendSaved brings what the job has saved to the store, unless serve does. What cannot be sent waits for the next job.
func (j *job) sendSaved(ctx context.Context) sending {
	if j.served(ctx) {
		return sending{}
	}
	began := time.Now()
	sent, err := j.caches.Send(ctx)
	seconds := time.Since(began).Seconds()
	switch {
	case err != nil:
		j.warnCaches("what was saved waits on this host to be sent to the store (%s): %v", cache.ReasonOf(err), err)
	case sent.Objects > 0:
		j.log.WithField("objects", sent.Objects).WithField("bytes", sent.Bytes).WithField("seconds", seconds).Info("sent to the store")
	}
	return sending{sent.Bytes, seconds}
}

// prefetchCaches brings what the job will probably restore, while prepare waits for images.
func (j *job) prefetchCaches(ctx context.Context, image docker.ImageRequest) {
	kinds, mode, _ := j.wantedCaches()
	if len(kinds) == 0 || j.bringsOwnCaches() {
		return
	}
	ctx, cancel := context.WithTimeoutCause(ctx, j.settings.Cache.RestoreTimeout.Duration, context.DeadlineExceeded)
	defer cancel()
	began := time.Now()
	likely := goenv.Likely(j.env.Variables, image.Architecture())
	if err := j.caches.Prefetch(ctx, j.store.dir, j.scope(kinds, mode), likely); err != nil {
		j.log.WithError(err).Warn("not everything was prefetched")
	}
	seconds := time.Since(began).Seconds()
	err := j.store.update(func(r *Record) {
		r.Row.PrefetchSeconds = &seconds
		r.Row.Detail.Start("prefetch", began)
	})
	if err != nil {
		j.log.WithError(err).Warn("the time of the prefetch cannot be noted")
	}
}

// tendCaches is for a host without serve.
func (j *job) tendCaches(ctx context.Context) {
	if j.served(ctx) {
		return
	}
	j.traceHost(ctx)
	if err := j.salvageCaches(ctx); err != nil {
		j.log.WithError(err).Warn("the host tier cannot be tidied up")
	}
	ctx, cancel := context.WithTimeoutCause(ctx, j.settings.Cache.RestoreTimeout.Duration, context.DeadlineExceeded)
	defer cancel()
	if err := j.caches.Tend(ctx, false); err != nil {
		j.log.WithError(err).Warn("the store cannot be tended")
	}
	if err := j.trimLedger(ctx); err != nil {
		j.log.WithError(err).Warn("the ledger cannot be trimmed")
	}
}

// trimLedger keeps the ledger in bounds. As long as it is, that takes no longer than to ask for its size.
func (j *job) trimLedger(ctx context.Context) error {
	most := int64(j.settings.Stats.MaxSize)
	size, err := stats.SizeIn(string(j.tree))
	if err != nil || most == 0 || size <= most {
		return err
	}
	ledger, err := stats.OpenToRead(ctx, string(j.tree))
	if err != nil {
		return err
	}
	defer ledger.Close()
	return ledger.Trim(ctx, most)
}

// salvageCaches saves what killed jobs have made and keeps the host tier in bounds.
func (j *job) salvageCaches(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, j.settings.Cache.SaveTimeout.Duration, context.DeadlineExceeded)
	defer cancel()
	err := j.caches.Salvage(ctx, func(saved cache.Saved, err error) {
		line := j.log.WithField("items", saved.Items)
		if err != nil {
			line.WithError(err).Warn("what a killed job left in its caches was not saved")
			return
		}
		text := "what a killed job left in its caches was saved"
		if len(saved.Refused) > 0 {
			text += "; not taken: " + counts(saved.Refused)
		}
		line.Info(text)
		j.enterSaved(ctx, saved)
	})
	return errors.Join(err, j.caches.Housekeep(ctx, false))
}
