// Package executor is the life of a job: config, prepare, run, cleanup. Each is a process of its own that GitLab Runner
// starts; what they know of each other is in the job's record (Record) and in Docker's labels.
package executor

import (
	"context"
	"fmt"
	"hash/crc32"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/sirupsen/logrus"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache"
	"gitlab.com/gitlab-go-executor/gitlab-go-executor/executor/docker"
	"gitlab.com/gitlab-go-executor/gitlab-go-executor/executor/oplog"
	"gitlab.com/gitlab-go-executor/gitlab-go-executor/executor/outcome"
	"gitlab.com/gitlab-go-executor/gitlab-go-executor/executor/runner"
	"gitlab.com/gitlab-go-executor/gitlab-go-executor/executor/settings"
)

// job is what the stages work on.
type job struct {
	call     Call
	env      runner.Env
	settings *settings.Settings
	payload  *runner.Payload
	id       runner.Identity
	tree     tree
	docker   *docker.Client
	store    *store // nil before prepare has made the record
	caches   *cache.Cache
	log      *logrus.Entry
	masked   *oplog.Redactor // what the job log masks
	started  time.Time
}

// connect reaches the Docker daemon.
func (j *job) connect(ctx context.Context) error {
	d, err := docker.Connect(ctx, j.settings.Docker.Host)
	if err != nil {
		return err
	}
	d.StartTimeout = j.settings.Docker.StartTimeout.Duration
	d.PullTimeout = j.settings.Docker.PullTimeout.Duration
	d.KeepVolumes = j.settings.Docker.VolumeKeep
	d.NativeStop = j.isOn("FF_USE_NATIVE_CONTAINER_STOP")
	j.docker = d
	return nil
}

// owner is how the job signs what it creates in the state directory of the given id. Names of containers are the same for each
// attempt of the job: a left-over would be noticed, not joined.
func (j *job) owner(state string) docker.Owner {
	instance := crc32.ChecksumIEEE([]byte(j.id.Instance)) // short, and different for the few GitLabs of a host
	return docker.Owner{
		State: state, Job: jobLabel(j.id.Instance, j.id.Job),
		Name: fmt.Sprintf("go-executor-%s-%08x-job-%s", state, instance, j.id.Job),
		ID:   j.payload.ID, ProjectID: j.payload.JobInfo.ProjectID, PipelineID: j.payload.JobInfo.PipelineID,
		Ref: j.payload.GitInfo.Ref, SHA: j.payload.GitInfo.SHA,
	}
}

// jobLabel names a job within a state directory.
func jobLabel(instance, job string) string { return instance + "/" + job }

// say writes a line to the job log.
func (j *job) say(format string, args ...any) {
	fmt.Fprintf(j.call.Stdout, format+"\n", args...)
}

// stoppable gives a context that ends when Runner sends SIGTERM, which it does when a job is canceled, aborted or out of
// time; which of them, only the clock tells. Signals before this call were held back by the channel.
func stoppable(ctx context.Context, signals <-chan os.Signal, timedOut func() bool) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	go func() {
		select {
		case <-ctx.Done():
		case <-signals:
			if timedOut() {
				cancel(outcome.ErrTimedOut)
			} else {
				cancel(outcome.ErrStopped)
			}
		}
	}()
	return ctx, func() { cancel(context.Canceled) }
}

// Signals begins to hold back the signals with which Runner, or a person at a terminal, stops a stage.
func Signals() <-chan os.Signal {
	c := make(chan os.Signal, 4)
	signal.Notify(c, syscall.SIGTERM, syscall.SIGINT)
	return c
}

// timeoutGrace is how much earlier than by our clock, which starts with the last attempt of prepare, the Runner may see a
// job's time run out.
const timeoutGrace = 30 * time.Second

// outOfTime says whether a signal now means that the job's time is up.
func outOfTime(began, now time.Time, limit time.Duration) bool {
	return now.Sub(began) >= limit-min(timeoutGrace, limit/4)
}
