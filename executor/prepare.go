package executor

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/sirupsen/logrus"
	"golang.org/x/sync/errgroup"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/crash"
	"gitlab.com/gitlab-go-executor/gitlab-go-executor/executor/docker"
	"gitlab.com/gitlab-go-executor/gitlab-go-executor/executor/oplog"
	"gitlab.com/gitlab-go-executor/gitlab-go-executor/executor/outcome"
)

// Prepare is Runner's prepare_exec: policy, a clean start, the record, images, network, services and the helper container. The
// build container is made by Run, when the checkout is there. Whatever fails is left to cleanup, which Runner calls
// after each attempt.
func Prepare(call Call) int {
	return runStage(call, stagePrepare, func(j *job) error {
		defer j.stageEnds()
		err := j.prepare(context.Background())
		if err == nil {
			return nil
		}
		if j.store == nil {
			j.enterUnclaimed(outcome.Of(err))
		}
		return j.noted(err, j.noteFailure(stagePrepare, outcome.Of(err)))
	})
}

func (j *job) prepare(ctx context.Context) error {
	ctx, cancel := stoppable(ctx, j.call.Signals, func() bool {
		j.stageEnds()
		return outOfTime(j.started, time.Now(), j.payload.Timeout())
	})
	defer cancel()
	plan, err := planImages(j.settings, j.env, j.payload)
	if err != nil {
		return err
	}
	if err := errors.Join(j.sayLimits(), j.checkVolumes()); err != nil {
		return err
	}
	j.sayEntrypoints()
	if err := j.connect(ctx); err != nil {
		return err
	}
	defer func() { _ = j.docker.Close() }()
	if err := j.claim(ctx); err != nil {
		return err
	}
	return j.build(ctx, plan)
}

// claim reaps what is dead and makes the record, which claims the slot, then the folders that are mounted.
func (j *job) claim(ctx context.Context) error {
	unlock, err := lockJobs(ctx, j.tree)
	if err != nil {
		return err
	}
	defer unlock()
	crash.At(crash.LockHeld)
	state, err := j.tree.makeID()
	if err != nil {
		return stateError(err)
	}
	owner := j.owner(state)
	census, others, err := j.reap(ctx, owner)
	if err != nil {
		return err
	}
	for _, err := range others {
		j.log.WithError(err).Warn("something of another job could not be reaped")
	}
	now := time.Now()
	lease, err := newLease(j.env.PayloadFile, j.payload.Timeout(), now)
	if err != nil {
		return stateError(err)
	}
	if err := j.clear(ctx, j.tree.job(j.id)); err != nil { // of an earlier attempt whose record could not be read
		return err
	}
	if ctx.Err() != nil { // cleanup may have run already
		return fmt.Errorf("claim a slot: %w", context.Cause(ctx))
	}
	slot := freeSlot(census, j.tree, j.id)
	tool, err := installTool(j.tree)
	if err != nil {
		j.log.WithError(err).Warn("this program cannot be shown to containers, so there are no caches")
	}
	j.store, err = createStore(j.tree.job(j.id), Record{
		Identity: j.id, Created: now, Lease: lease, Slot: slot, Files: j.filesInSlot(), Owner: owner, Tool: tool, Objects: map[string]string{}, Row: j.newRow(now),
	})
	if err != nil {
		return err
	}
	j.store.masked = j.masked
	j.stageBegins(stagePrepare)
	j.sayTrace(j.store.get().Row)
	return errors.Join(sharedFolder(j.buildsDir(slot)), sharedFolder(j.cacheDir()))
}

func (j *job) logLost(ctx context.Context, r Record) {
	verdict := Verdict{Outcome: outcome.Lost, Reason: outcome.RunnerGone}
	j.log.WithFields(verdictFields(verdict)).WithFields(logrus.Fields{oplog.FieldJob: r.Identity.Job, oplog.FieldProject: r.Identity.Project}).
		Warn("job ended")
	j.enter(ctx, r.Row, verdict, time.Now())
}

// sharedFolder makes a folder that the user of any image may write to, like the volumes of the docker executor (its
// helper's cache-init). The folders above are root's alone. MkdirAll's mode is cut by the umask.
func sharedFolder(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return stateError(err)
	}
	if err := os.Chmod(dir, 0o777); err != nil { //nolint:gosec // see above
		return stateError(err)
	}
	return nil
}

// build makes the job's environment: network and images at the same time, then services and helper container.
func (j *job) build(ctx context.Context, plan imagePlan) error {
	log := &lockedWriter{w: j.call.Stdout}
	var helper docker.Image
	services := make([]docker.Image, len(plan.services))
	group, gctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		j.tendCaches(gctx)
		return nil
	})
	group.Go(func() error {
		j.prefetchCaches(gctx, plan.build)
		return nil
	})
	group.Go(func() error {
		return j.makeNetwork(gctx)
	})
	group.Go(func() error {
		image, err := j.docker.Ensure(gctx, plan.build, log)
		if err != nil {
			return err
		}
		return j.store.update(func(r *Record) { r.Image, r.Row.Image = image, plan.build.Name })
	})
	group.Go(func() (err error) {
		helper, err = j.docker.Ensure(gctx, plan.helper, log)
		return helperProblem(err)
	})
	for _, warning := range plan.warnings {
		fmt.Fprintf(log, "WARNING: %s\n", warning)
	}
	for i, service := range plan.services {
		group.Go(func() (err error) {
			services[i], err = j.docker.Ensure(gctx, service.request, log)
			return err
		})
	}
	if err := wait(ctx, group); err != nil {
		return err
	}
	group, gctx = errgroup.WithContext(ctx)
	opened := make(chan struct{})
	group.Go(func() error {
		defer close(opened)
		return j.startHelper(gctx, helper)
	})
	group.Go(func() error {
		if len(j.passingVolumes()) > 0 {
			<-opened // a service may write to them as soon as it runs
		}
		return j.startServices(gctx, plan.services, services, log)
	})
	group.Go(func() error { return j.findGo(gctx) })
	return wait(ctx, group)
}

// wait prefers the reason why ctx ended to the errors that its end caused.
func wait(ctx context.Context, group *errgroup.Group) error {
	err := group.Wait()
	if err != nil && ctx.Err() != nil {
		return fmt.Errorf("%w (%w)", context.Cause(ctx), err)
	}
	return err
}

func (j *job) createAndStart(ctx context.Context, name string, spec docker.Spec) (string, error) {
	id, err := j.store.creating(name, func() (string, error) { return j.docker.Create(ctx, j.store.get().Owner, spec) })
	if err != nil {
		return "", err
	}
	return id, j.docker.Start(ctx, id, "the "+name+" container")
}

// startHelper starts the helper container and checks that Runner's scripts will find what they call: without
// gitlab-runner they only warn, and the job's artifacts would be lost in silence (shells/abstract.go).
func (j *job) startHelper(ctx context.Context, image docker.Image) error {
	spec := j.helperSpec(image, j.network(), j.store.get().Slot)
	id, err := j.createAndStart(ctx, objectHelper, spec)
	if err != nil {
		return helperProblem(err)
	}
	crash.At(crash.HelperStarted)
	tools := []string{"git"}
	if j.payload.UsesRunnerCommands() {
		tools = append(tools, "gitlab-runner")
	}
	var output strings.Builder
	check := append([]string{"sh", "-c", helperCheck, "sh"}, tools...)
	_, err = j.docker.Exec(ctx, id, check, nil, &output, &output)
	if err != nil {
		return err
	}
	if missing := strings.Fields(output.String()); len(missing) > 0 {
		return outcome.System(outcome.HelperUnusable, "settings: docker.helper_image = %q has no %s on its PATH, which the GitLab Runner's "+
			"scripts call; name an image that has (see scripts/helper-image.sh), or mount the host's own runner with docker.runner_binary",
			j.settings.Docker.HelperImage, strings.Join(missing, ", no "))
	}
	return j.openVolumes(ctx, id)
}

// openVolumes lets the user of any image write to the volumes that go with the job, as the docker executor does (cache-init): Docker gives
// a new volume to root alone.
func (j *job) openVolumes(ctx context.Context, helper string) error {
	paths := j.passingVolumes()
	if len(paths) == 0 {
		return nil
	}
	var output strings.Builder
	result, err := j.docker.Exec(ctx, helper, append([]string{"chmod", "0777"}, paths...), nil, &output, &output)
	if err == nil && result.Code != 0 {
		j.log.WithField("output", output.String()).Warn("volumes of the settings remain as their driver has made them")
	}
	return err
}

// lockedWriter lets several goroutines write whole lines to the job log.
type lockedWriter struct {
	mu sync.Mutex
	w  io.Writer
}

func (l *lockedWriter) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(p)
}
