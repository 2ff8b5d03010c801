package doctor

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/store"
	"gitlab.com/gitlab-go-executor/gitlab-go-executor/executor/settings"
)

// tryStore writes, reads, lists and deletes an object, as jobs do.
func (h *host) tryStore(ctx context.Context) []Finding {
	if h.noCaches() {
		return []Finding{ok("none is needed without caches (cache.kinds)")}
	}
	name := h.settings.StoreDir()
	var tried store.Store = store.NewDirectory(name)
	if h.settings.Cache.Shared() {
		bucket, err := store.NewS3(h.settings.Cache.S3)
		if err != nil {
			return failed(err, "correct [cache.s3] in "+h.Config)
		}
		tried, name = bucket, h.settings.Cache.S3.String()
	}
	times, err := roundTrip(ctx, tried)
	return []Finding{judgeStore(h.settings, name, times, err)}
}

// step is a call of the store, and the time that it took.
type step struct {
	name string
	took time.Duration
}

// probes is the folder of the objects that are written for a try. Nothing else in a store is called so.
const probes = "doctor/"

var errOther = errors.New("what was read is not what was written")

func roundTrip(ctx context.Context, s store.Store) (steps []step, err error) {
	key, data := probes+rand.Text(), []byte(rand.Text())
	written := false
	do := func(name string, call func() error) {
		if err != nil {
			return
		}
		began := time.Now()
		err = call()
		steps = append(steps, step{name, time.Since(began)})
	}
	do("put", func() error { written = true; return s.Put(ctx, key, data) })
	do("get", func() error {
		got, err := s.Get(ctx, key, int64(len(data)))
		if err == nil && !bytes.Equal(got, data) {
			return errOther
		}
		return err
	})
	do("list", func() error { _, err := s.List(ctx, probes, 1); return err }) // which need not show what is new
	if err != nil && written {
		clean, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
		defer cancel()
		_ = s.Delete(clean, key) // the finding is another one
	}
	do("delete", func() error { return s.Delete(ctx, key) })
	return steps, err
}

// slowAnswer is how long a call about a small object may take: a restore waits for three in a row.
const slowAnswer = time.Second

func judgeStore(s *settings.Settings, name string, steps []step, err error) Finding {
	if err != nil {
		problem, remedy := store.Explain(err)
		if remedy == "" && s.Cache.Shared() {
			remedy = "see ServerAddress and Insecure in [cache.s3], that the server runs, and that no firewall or proxy is in the way"
		}
		if remedy == "" {
			remedy = "see that root can write to that folder (cache.directory), and that there is space"
		}
		return wrong(remedy, "%s: cannot %s: %s", name, steps[len(steps)-1].name, problem)
	}
	var took []string
	for _, step := range steps {
		took = append(took, fmt.Sprintf("%s %s", step.name, step.took.Round(100*time.Microsecond)))
	}
	said := name + ": " + strings.Join(took, ", ")
	if slices.ContainsFunc(steps, func(step step) bool { return step.took > slowAnswer }) {
		return warning("use a server that is nearer, or see why it is slow: restores wait for three answers in a row", "answers slowly: %s", said)
	}
	return ok("%s", said)
}

func (h *host) lookAtClock(ctx context.Context) []Finding {
	if !h.settings.Cache.Shared() {
		return []Finding{ok("is compared with nothing, since the store is a folder")}
	}
	ahead, err := store.ClockOf(ctx, h.settings.Cache.S3)
	if err != nil {
		return []Finding{skipped(checkStore)}
	}
	return []Finding{judgeClock(ahead)}
}

// clockLimit is how far from theirs S3 servers let the time of a request be.
const clockLimit = 15 * time.Minute

func judgeClock(ahead time.Duration) Finding {
	const remedy = "set the clock that is wrong, and keep it right: timedatectl set-ntp true"
	off := ahead.Abs().Round(time.Second)
	direction := "behind"
	if ahead < 0 {
		direction = "ahead of"
	}
	switch {
	case off > clockLimit:
		return wrong(remedy, "this host's clock is %s %s the store's: S3 refuses requests that are off by more than %s", off, direction, clockLimit)
	case off > time.Minute:
		return warning(remedy, "this host's clock is %s %s the store's: at %s S3 begins to refuse requests", off, direction, clockLimit)
	}
	return ok("is that of the store's server, to %s", max(off, time.Second))
}

func (h *host) lookAtSigning(context.Context) []Finding {
	return []Finding{judgeSigning(h.settings.Cache.Shared(), h.settings.Cache.SigningKey != "")}
}

func judgeSigning(shared, key bool) Finding {
	switch {
	case !shared:
		return ok("is not needed, since the store is a folder of this host")
	case !key:
		return warning("set cache.signing_key to what openssl rand -hex 32 prints, the same on every host that shares the bucket",
			"there is none: whoever can write to the bucket can have jobs use what they wrote")
	}
	return ok("what is in the bucket is believed only if it is signed")
}
