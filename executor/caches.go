package executor

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache"
	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/crash"
	"gitlab.com/gitlab-go-executor/gitlab-go-executor/executor/checkout"
	"gitlab.com/gitlab-go-executor/gitlab-go-executor/executor/docker"
	"gitlab.com/gitlab-go-executor/gitlab-go-executor/executor/runner"
)

// cachesDir is where the build container sees its caches: one mount that holds them all, so that go clean can remove any of them,
// at the same path in every job, since Go's keys hold paths.
const cachesDir = "/go-executor"

// cacheVariables tell Go where its caches are, by kind. A job that sets one of them wants to see to its caches itself.
var cacheVariables = map[string]string{"modules": "GOMODCACHE", "build": "GOCACHE"}

// cacheVariable is the author's switch.
const cacheVariable = "GO_EXECUTOR_CACHE"

// Caches is what the record of a job says of its Go caches.
type Caches struct {
	Decided bool     `json:"decided"` // they were restored, or it was found out why not
	Mounted bool     `json:"mounted"` // in the build container
	Kinds   []string `json:"kinds"`
}

// restoreCaches decides about the job's caches and mounts them. Whatever goes wrong, the job goes on without.
func (j *job) restoreCaches(ctx context.Context) error {
	if j.store.get().Caches.Decided {
		return nil
	}
	request, reason := j.cacheRequest()
	if reason != "" {
		return j.withoutCaches(reason, nil)
	}
	began := time.Now()
	limited, cancel := limitedBy(ctx, "restore_timeout", j.settings.Cache.RestoreTimeout.Duration)
	defer cancel()
	restored, err := j.caches.Restore(limited, j.store.dir, request)
	if ctx.Err() != nil {
		return errors.Join(context.Cause(ctx), err)
	}
	if err != nil {
		return j.withoutCaches(restored.Reason, err)
	}
	crash.At(crash.CachesRestored)
	j.sayRestored(request, restored)
	return j.store.update(func(r *Record) {
		r.Caches = Caches{Decided: true, Mounted: true, Kinds: request.Kinds}
		noteRestored(&r.Row, request, restored, began)
	})
}

// withoutCaches says and notes that the job has none. why may be nil.
func (j *job) withoutCaches(reason cache.Reason, why error) error {
	j.sayNoCaches(reason, why)
	return j.store.update(func(r *Record) {
		r.Caches = Caches{Decided: true}
		noteNoCaches(&r.Row, reason, why)
	})
}

// limitedBy gives a step the time of a setting, and an error that names it.
func limitedBy(ctx context.Context, setting string, d time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, d, fmt.Errorf("it takes longer than %s in [cache], which is %s: %w", setting, d, context.DeadlineExceeded))
}

// cacheRequest decides what the job gets of caches; a reason says why nothing.
func (j *job) cacheRequest() (cache.Request, cache.Reason) {
	record := j.store.get()
	kinds, mode, problem := j.wantedCaches()
	if problem != "" {
		j.warnCaches("%s", problem)
	}
	switch {
	case len(kinds) == 0:
		return cache.Request{}, cache.Off
	case j.bringsOwnCaches():
		return cache.Request{}, cache.Bypassed
	case record.Go.Go == "":
		return cache.Request{}, record.NoGo
	}
	report := j.readCheckout()
	target := record.Go.Resolve(j.env.Variables, report.Graph.Toolchain)
	if target.Problem != "" {
		j.warnCaches("%s", target.Problem)
	}
	r := j.scope(kinds, mode)
	r.Platform, r.Toolchain = target.Platform, target.Toolchain
	r.Graph, r.Modules, r.Sums = report.Graph.Hash, report.Graph.Modules, report.Sums
	return r, ""
}

// scope is what a request says before the image and the sources are here.
func (j *job) scope(kinds []string, mode cache.Mode) cache.Request {
	r := cache.Request{
		Instance: j.id.Instance, Project: j.id.Project, Tier: j.id.Tier, Job: j.id.Job, Speaker: j.speaker(), Kinds: kinds, Mode: mode, MaxSizes: j.maxSizes(),
	}
	if r.Tier != runner.ProtectedTier {
		r.Below = runner.ProtectedTier
	}
	return r
}

// speaker is the same for all jobs of one name on one ref, which use much the same of the caches.
func (j *job) speaker() string {
	sum := sha256.Sum256([]byte(j.payload.JobInfo.Name + "\x00" + j.payload.GitInfo.RefType + "\x00" + j.payload.GitInfo.Ref))
	return hex.EncodeToString(sum[:8])
}

// wantedCaches combines the settings and the author's switch. No kinds are no caches; a switch that says nothing known is a problem, and
// taken for off.
func (j *job) wantedCaches() (kinds []string, mode cache.Mode, problem string) {
	kinds = j.offered()
	switch value := strings.ToLower(j.env.Variables[cacheVariable]); value {
	case "", "on":
		return kinds, cache.ReadWrite, ""
	case "off":
		return nil, "", ""
	case "modules":
		return slices.DeleteFunc(kinds, func(k string) bool { return k != "modules" }), cache.ReadWrite, ""
	case string(cache.NoSave), string(cache.FromNewest):
		return kinds, cache.Mode(value), ""
	default:
		return nil, "", fmt.Sprintf("%s is %q; known are on, off, modules, read-only and refresh. It is taken for off", cacheVariable, value)
	}
}

func (j *job) bringsOwnCaches() bool {
	for _, name := range cacheVariables {
		if j.env.Variables[name] != "" {
			return true
		}
	}
	return false
}

// readCheckout is what sourcesReady found; nothing, if it found nothing.
func (j *job) readCheckout() checkout.Report {
	data, err := os.ReadFile(j.checkoutFile())
	if err != nil {
		return checkout.Report{}
	}
	report, err := checkout.ReadReport(bytes.NewReader(data))
	if err != nil {
		return checkout.Report{}
	}
	return report
}

// withCaches shows the caches to the build container, if there are any.
func (j *job) withCaches(s docker.Spec, caches Caches) docker.Spec {
	if !caches.Mounted {
		return s
	}
	s.Mounts = append(s.Mounts, docker.Mount{Source: cache.WorkOf(j.store.dir).Merged(), Target: cachesDir})
	for _, kind := range caches.Kinds {
		if name := j.variableOf(kind); name != "" {
			s.Env = append(s.Env, name+"="+path.Join(cachesDir, kind))
		}
	}
	return s
}

// cachesVisible says whether a container that has not been started will see what is mounted on this host. Where Docker, or this program, lives in
// a mount namespace of its own, the container would get an empty folder without an error.
func (j *job) cachesVisible(ctx context.Context, id string) (bool, error) {
	nonce := ".go-executor-" + rand.Text()
	file := filepath.Join(cache.WorkOf(j.store.dir).Merged(), nonce)
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		return false, err
	}
	defer os.Remove(file) //nolint:errcheck // an empty file, and no cache entry
	crash.At(crash.NonceWritten)
	return j.docker.HasFile(ctx, id, path.Join(cachesDir, nonce))
}

// dropCaches goes on without caches, when the build container cannot be made with them.
func (j *job) dropCaches(ctx context.Context, reason cache.Reason, why error) error {
	if !j.store.get().Caches.Mounted {
		return nil
	}
	if err := j.caches.Discard(context.WithoutCancel(ctx), j.store.dir); err != nil {
		j.warnCaches("%v", err)
	}
	return j.withoutCaches(reason, why)
}

// watchCaches notes what the job opens of its caches until stop is called.
func (j *job) watchCaches() (stop func()) {
	if !j.store.get().Caches.Mounted || !j.settings.Stats.CountHits {
		return func() {}
	}
	end, err := j.caches.Watch(j.store.dir, cachesDir)
	if err != nil {
		j.log.WithError(err).Warn("hits are not counted")
		return func() {}
	}
	return func() {
		if err := end(); err != nil {
			j.log.WithError(err).Warn("hits are not counted")
		}
	}
}

// endContainers ends all of the job's, not the build container alone: over a socket in the checkout, which all of them see, a process of it can hand a file
// that it has open in the caches to one of a service, or to what a filter of the checkout's git has left behind in the helper container, and that would write
// there while its content is checked. No stage of Runner's comes after this one.
func (j *job) endContainers(ctx context.Context, record Record) error {
	var group errgroup.Group
	for name, id := range record.Objects {
		if name == objectNetwork || id == "" {
			continue
		}
		group.Go(func() error { return j.docker.End(ctx, id) })
	}
	return group.Wait()
}

// saveCaches takes what the job added to its caches, once nothing can write to them any more.
func (j *job) saveCaches(ctx context.Context) {
	record := j.store.get()
	if !record.Caches.Mounted {
		j.logCaches(record.Row, nil)
		return
	}
	began := time.Now()
	if err := j.endContainers(ctx, record); err != nil {
		err = cache.Because(cache.StillRunning, "it is not certain that the job's processes have ended: %w", err)
		j.warnCaches("nothing is saved now: %v", err)
		j.noteUnsaved(err)
		j.logCaches(j.store.get().Row, err)
		return // cleanup removes the containers, after which they have; the next prepare saves
	}
	crash.At(crash.BuildEnded)
	ended := time.Since(began)
	limited, cancel := limitedBy(ctx, "save_timeout", j.settings.Cache.SaveTimeout.Duration)
	defer cancel()
	saved, err := j.caches.Save(limited, j.store.dir, record.Failed == nil)
	crash.At(crash.CachesSaved)
	saved.Harvest += ended.Seconds()
	var sent sending
	if err == nil {
		sent = j.sendSaved(limited)
	}
	record.Row.Detail.Start("save", began)
	noteSaved(&record.Row, saved, sent, err)
	saved.Seconds = time.Since(began).Seconds()
	j.saySaved(record.Row, saved, err)
	j.logCaches(record.Row, err)
	err = j.store.update(func(r *Record) { r.Caches.Mounted, r.Row = false, record.Row })
	if err != nil {
		j.log.WithError(err).Warn("that the caches were saved cannot be noted")
	}
}
