package executor

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"time"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache"
	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/crash"
	"gitlab.com/gitlab-go-executor/gitlab-go-executor/executor/docker"
	"gitlab.com/gitlab-go-executor/gitlab-go-executor/executor/outcome"
	"gitlab.com/gitlab-go-executor/gitlab-go-executor/executor/runner"
)

// Run is Runner's run_exec: one script in one of the job's containers. Runner's own go to the helper container, the
// user's to the build container.
func Run(call Call, scriptPath string, stage runner.Stage) int {
	return runStage(call, string(stage), func(j *job) error {
		script, err := os.ReadFile(scriptPath)
		if err != nil {
			return outcome.System(outcome.PayloadInvalid, "the script of stage %s cannot be read: %w", stage, err)
		}
		if err := j.openRecord(); err != nil {
			return err
		}
		j.stageBegins(string(stage))
		defer j.stageEnds()
		err = j.run(context.Background(), stage, script)
		noting := j.note(stage, err)
		crash.At(crash.StageNoted)
		return j.noted(err, noting)
	})
}

func (j *job) openRecord() error {
	var err error
	j.store, err = openStore(j.tree.job(j.id))
	if errors.Is(err, fs.ErrNotExist) {
		return outcome.System(outcome.StateFailed, "there is no record of job %s in state_dir %s: prepare has not run, or the job was "+
			"taken for dead and removed; all stages must use the same settings", j.id, j.settings.StateDir)
	}
	if err != nil {
		return stateError(err)
	}
	j.store.masked = j.masked
	return nil
}

// noted is the error of a stage whose result was noted, or could not be: a full disk must not take the place of the exit code
// of the script that filled it.
func (j *job) noted(err, noting error) error {
	if err == nil || noting == nil {
		return errors.Join(err, noting)
	}
	j.log.WithError(noting).Warn("the result of the stage cannot be noted")
	return err
}

// note keeps what a stage says about the job as a whole.
func (j *job) note(stage runner.Stage, err error) error {
	failure := outcome.Of(err)
	stopped := failure.Outcome == outcome.Canceled || failure.Outcome == outcome.TimedOut
	switch {
	case stage == runner.CleanupFiles && !stopped: // the Runner only warns of its failure: by then GitLab's verdict is known
		return j.noteRecord(func(r *Record) { r.Finished = true })
	case failure.Outcome != outcome.Success && j.env.Decides(stage):
		return j.noteFailure(string(stage), failure)
	case failure.Outcome == outcome.Success:
		return j.noteSuccess(string(stage))
	}
	return nil
}

// noteFailure keeps the first failure: later stages may still run and fail in its wake.
func (j *job) noteFailure(stage string, failure outcome.Failure) error {
	return j.noteRecord(func(r *Record) {
		if r.Failed == nil {
			r.Failed = &Verdict{Outcome: failure.Outcome, Reason: failure.Reason, Stage: stage}
		}
	})
}

// noteSuccess takes back the failure of an earlier attempt of the same stage, such as GET_SOURCES_ATTEMPTS asks for.
func (j *job) noteSuccess(stage string) error {
	if failed := j.store.get().Failed; failed == nil || failed.Stage != stage {
		return nil
	}
	return j.noteRecord(func(r *Record) { r.Failed = nil })
}

// noteRecord changes the record if there is one: prepare may have failed before it made one, and cleanup may have been faster
// than a stage that the Runner gave up on.
func (j *job) noteRecord(change func(*Record)) error {
	if j.store == nil {
		return nil
	}
	if err := j.store.update(change); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

func (j *job) run(ctx context.Context, stage runner.Stage, script []byte) error {
	record := j.store.get()
	ctx, cancel := stoppable(ctx, j.call.Signals, func() bool {
		j.stageEnds()
		limit := j.env.TimeLimit(stage)
		return outOfTime(record.Created, time.Now(), j.payload.Timeout()) || limit > 0 && outOfTime(j.started, time.Now(), limit)
	})
	defer cancel()
	ctx, cancelLease := context.WithDeadlineCause(ctx, record.Lease.Deadline, outcome.ErrTimedOut)
	defer cancelLease()
	if err := j.connect(ctx); err != nil {
		return err
	}
	defer func() { _ = j.docker.Close() }()
	if j.servicesShown() {
		j.call.Stdout = &lockedWriter{w: j.call.Stdout}
	}
	defer j.followServices(ctx, j.call.Stdout)()
	var result docker.Result
	var err error
	if stage.IsHelper() {
		result, err = j.runHelper(ctx, script)
		if err == nil {
			j.afterHelper(ctx, stage, result)
		}
	} else {
		result, err = j.runBuild(ctx, stage, script)
		j.writeReport(ctx)
	}
	switch {
	case err != nil:
		return err
	case result.Code == 0:
		return nil
	case result.OOM:
		return outcome.Script(result.Code, outcome.OutOfMemory)
	}
	return outcome.Script(result.Code, outcome.ExitCode)
}

// runHelper runs a script of Runner's. The helper container is started again where a canceled stage has ended it.
func (j *job) runHelper(ctx context.Context, script []byte) (docker.Result, error) {
	id := j.store.object(objectHelper)
	if err := j.docker.Start(ctx, id, "the helper container"); err != nil {
		return docker.Result{}, err
	}
	return j.docker.Exec(ctx, id, helperShell, bytes.NewReader(script), j.call.Stdout, j.call.Stderr)
}

// afterHelper does what is due after one of Runner's own scripts. None of it can fail the job.
func (j *job) afterHelper(ctx context.Context, stage runner.Stage, result docker.Result) {
	switch {
	case stage == runner.GetSources && result.Code == 0:
		j.sourcesReady(ctx)
	case stage == runner.CleanupFiles:
		j.saveCaches(ctx)
	}
}

// runBuild runs a script of the user's. The container is made for the first one; for the next it is started again, with
// its files and without the processes that the first one left, as under the docker executor.
func (j *job) runBuild(ctx context.Context, stage runner.Stage, script []byte) (docker.Result, error) {
	defer j.timeScript(stage)()
	if err := j.restoreCaches(ctx); err != nil {
		return docker.Result{}, err
	}
	defer j.watchCaches()()
	run, err := j.startBuild(ctx)
	if err != nil {
		return docker.Result{}, err
	}
	crash.At(crash.BuildStarted)
	counter := &testCounter{Writer: j.call.Stdout}
	result, err := run.Feed(ctx, bytes.NewReader(script), counter, j.call.Stderr, j.settings.Docker.StopTimeout.Duration)
	crash.At(crash.ScriptEnded)
	if counter.tests.OK == 0 {
		return result, err
	}
	return result, j.noted(err, j.store.update(func(r *Record) { counter.tests.addTo(&r.Row) }))
}

// Runner tries build stages only once, so the start of the container, which runs nothing of the user's yet but the image's
// entrypoint, is tried again here.
const (
	startAttempts = 3
	startPause    = time.Second
)

// startBuild starts the build container with the shell that will read the script. A container that has never run a script is
// removed after a failed start and made anew (see docker.StartRun). One that has holds the job's files: it has one try.
func (j *job) startBuild(ctx context.Context) (*docker.Run, error) {
	if id := j.store.object(objectBuild); id != "" {
		return j.docker.StartRun(ctx, id)
	}
	for attempt := 1; ; attempt++ {
		run, err := j.makeBuild(ctx)
		if err == nil {
			return run, nil
		}
		if removed := j.discardBuild(ctx); removed != nil {
			return nil, errors.Join(err, removed)
		}
		if ctx.Err() != nil || attempt == startAttempts || outcome.Of(err).UsersFault() {
			return nil, err
		}
		if attempt == startAttempts-1 { // who knows whether it is the caches that Docker cannot mount
			if err := j.dropCaches(ctx, cache.UnsupportedHost, err); err != nil {
				return nil, err
			}
		}
		j.say("Starting the build container failed, attempt %d of %d: %v", attempt, startAttempts, err)
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("start the build container: %w", context.Cause(ctx))
		case <-time.After(startPause):
		}
	}
}

func (j *job) makeBuild(ctx context.Context) (*docker.Run, error) {
	record := j.store.get()
	spec := j.withCaches(j.buildSpec(record.Image, j.network(), record.Slot), record.Caches)
	hosts, err := j.serviceHosts(ctx)
	if err != nil {
		return nil, err
	}
	spec.Host.ExtraHosts = slices.Concat(spec.Host.ExtraHosts, hosts)
	create := func() (string, error) { return j.docker.Create(ctx, record.Owner, spec) }
	id, err := j.store.creating(objectBuild, create)
	if errors.Is(err, docker.ErrImageGone) {
		if err := j.fetchAgain(ctx, record.Image); err != nil {
			return nil, err
		}
		id, err = j.store.creating(objectBuild, create)
	}
	if err != nil {
		return nil, err
	}
	if record.Caches.Mounted {
		visible, err := j.cachesVisible(ctx, id)
		if err != nil {
			return nil, err
		}
		if !visible {
			return j.makeWithoutCaches(ctx)
		}
	}
	return j.docker.StartRun(ctx, id)
}

// makeWithoutCaches makes the container again where Docker does not see what this program mounts.
func (j *job) makeWithoutCaches(ctx context.Context) (*docker.Run, error) {
	if err := j.discardBuild(ctx); err != nil {
		return nil, err
	}
	unseen := errors.New("the Docker daemon does not see what this host mounts below state_dir: it and the GitLab Runner have to share " +
		"a mount namespace (systemd: no PrivateMounts, PrivateTmp or ProtectSystem; containers: mount state_dir with propagation rshared)")
	if err := j.dropCaches(ctx, cache.UnsupportedHost, unseen); err != nil {
		return nil, err
	}
	return j.makeBuild(ctx)
}

func (j *job) discardBuild(ctx context.Context) error {
	record := j.store.get()
	if err := j.docker.RemoveNamed(context.WithoutCancel(ctx), record.Owner, objectBuild); err != nil {
		return err
	}
	return j.store.update(func(r *Record) { delete(r.Objects, objectBuild) })
}

// fetchAgain brings an image back that somebody has pruned since prepare. The job was promised one image for its life.
func (j *job) fetchAgain(ctx context.Context, pinned docker.Image) error {
	plan, err := planImages(j.settings, j.env, j.payload)
	if err != nil {
		return err
	}
	image, err := j.docker.Ensure(ctx, plan.build, j.call.Stdout)
	if err != nil {
		return outcome.System(outcome.ContainerLost, "image %s was removed from this host while the job was running: %s", plan.build.Name, err)
	}
	if image.ID != pinned.ID {
		return outcome.System(outcome.ContainerLost, "image %s was removed from this host while the job was running, and is another one now (%s, was %s)", plan.build.Name, image.ID, pinned.ID)
	}
	return nil
}
