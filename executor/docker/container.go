package docker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/events"
	"github.com/docker/docker/api/types/filters"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/executor/outcome"
)

// ShellCommand finds a shell where the docker executor does (shells/bash.go, BashDetectShellScript) and lets it read the script from
// standard input: bash where the image has it, sh otherwise. A script sees the shell's path as $0.
var ShellCommand = []string{"sh", "-c", `for s in /usr/local/bin/bash /usr/bin/bash /bin/bash /usr/local/bin/sh /usr/bin/sh /bin/sh /busybox/sh; do
[ ! -x $s ] || exec $s
done
echo shell not found
exit 1`}

// ErrImageGone says that an image was removed from the host after it had been made available.
var ErrImageGone = errors.New("its image was removed from this host while the job was running")

// Create makes a container and gives its id. The caller records the id before doing anything else with it. A creation that has
// begun is waited for even when ctx ends: the daemon would complete it all the same, after cleanup has looked.
func (c *Client) Create(ctx context.Context, owner Owner, s Spec) (string, error) {
	if ctx.Err() != nil {
		return "", context.Cause(ctx)
	}
	ctx, cancel := bounded(context.WithoutCancel(ctx), c.StartTimeout, "the creation of a container (settings: docker.start_timeout)")
	defer cancel()
	var err error
	if s.Host.SecurityOpt, err = inlineProfiles(s.Host.SecurityOpt); err != nil {
		return "", err
	}
	config, host, networks, platform := s.configs(owner)
	made, err := c.api.ContainerCreate(ctx, config, host, networks, platform, owner.Name+"-"+s.Suffix)
	if gone(err) && strings.Contains(err.Error(), "No such image") {
		return "", outcome.System(outcome.ContainerLost, "cannot create the %s container: %w", s.Suffix, ErrImageGone)
	}
	if err != nil {
		return "", explain(ctx, err, "create the %s container", s.Suffix)
	}
	return made.ID, nil
}

// Start starts a container that reads no script. Starting one that runs already is no error.
func (c *Client) Start(ctx context.Context, id, what string) error {
	ctx, cancel := bounded(ctx, c.StartTimeout, "the start of "+what+" (settings: docker.start_timeout)")
	defer cancel()
	return explainStart(ctx, c.api.ContainerStart(ctx, id, container.StartOptions{}), what)
}

// signalled gives the signal that the daemon has sent to a container since a time, if any: when it is itself stopped, it stops all containers, and
// the shells in them end as if their script had failed.
func (c *Client) signalled(ctx context.Context, id string, since time.Time) (signal string, err error) {
	ctx, cancel := bounded(ctx, callTimeout, "what Docker has done to a container")
	defer cancel()
	messages, failed := c.api.Events(ctx, events.ListOptions{
		Since: timestamp(since), Until: timestamp(time.Now()), Filters: filters.NewArgs(filters.Arg("container", id), filters.Arg("event", string(events.ActionKill))),
	})
	for {
		select {
		case m := <-messages:
			signal = m.Actor.Attributes["signal"]
		case err := <-failed:
			if errors.Is(err, io.EOF) { // all that there were
				return signal, nil
			}
			return "", explain(ctx, err, "ask Docker what it has done to a container of the job")
		}
	}
}

// timestamp is a time as the daemon's events have it.
func timestamp(t time.Time) string { return fmt.Sprintf("%d.%09d", t.Unix(), t.Nanosecond()) }

// Result is how a container's or a command's process ended.
type Result struct {
	Code int
	OOM  bool // the kernel killed a process of the container at its memory limit
}

func errRemoved() error {
	return outcome.System(outcome.ContainerLost, "a container of this job was removed while the job was running")
}

func (c *Client) state(ctx context.Context, id string) (*container.State, error) {
	ctx, cancel := bounded(ctx, callTimeout, "the state of a container")
	defer cancel()
	got, err := c.api.ContainerInspect(ctx, id)
	switch {
	case gone(err):
		return nil, errRemoved()
	case err != nil:
		return nil, explain(ctx, err, "inspect a container of the job")
	}
	return got.State, nil
}

// StopSlack is what the daemon may take to stop a container beyond the time that the container's processes have. With the
// default stop_timeout it leaves a Runner's graceful_kill_timeout of 60 s alone.
const StopSlack = 20 * time.Second

// Stop ends all processes of a container and leaves the container: SIGTERM to every process, SIGKILL after grace. It works
// on a context of its own, as it is called when ctx has ended. The kernel gives SIGTERM to a container's first process
// only if that has a handler (pid_namespaces(7)), hence all the others are told too.
func (c *Client) Stop(ctx context.Context, id string, grace time.Duration) error {
	ctx = context.WithoutCancel(ctx)
	if grace > 0 && !c.NativeStop {
		c.terminateAll(ctx, id)
	}
	ctx, cancel := bounded(ctx, grace+StopSlack, "the end of a container's processes")
	defer cancel()
	seconds := int(grace.Seconds())
	err := c.api.ContainerStop(ctx, id, container.StopOptions{Timeout: &seconds})
	if gone(err) {
		return nil
	}
	return explain(ctx, err, "stop the job's processes")
}

// terminateAll is best effort, and no reason to wait long: what it does not reach is killed with the container. In a container that sees
// the processes of others (docker.pid_mode), these would be told too: the whole host.
func (c *Client) terminateAll(ctx context.Context, id string) {
	ctx, cancel := bounded(ctx, 3*time.Second, "the processes of a container to be told to end")
	defer cancel()
	if got, err := c.api.ContainerInspect(ctx, id); err != nil || got.HostConfig.PidMode != "" {
		return
	}
	made, err := c.api.ContainerExecCreate(ctx, id, container.ExecOptions{User: "0", Cmd: []string{"sh", "-c", "kill -TERM -1"}})
	if err == nil {
		_ = c.api.ContainerExecStart(ctx, made.ID, container.ExecStartOptions{Detach: true})
	}
}

// Kill ends a container's processes at once. One that does not run, or is gone, is no error.
func (c *Client) Kill(ctx context.Context, id string) error {
	ctx, cancel := bounded(context.WithoutCancel(ctx), callTimeout, "the end of a container")
	defer cancel()
	err := c.api.ContainerKill(ctx, id, "KILL")
	if err == nil || gone(err) || strings.Contains(err.Error(), "is not running") {
		return nil
	}
	return explain(ctx, err, "kill a container")
}

// HasFile says whether a container that may not have been started yet has a file at path. The daemon looks through its own
// eyes: what is mounted on this host and not where the daemon lives is not there.
func (c *Client) HasFile(ctx context.Context, id, path string) (bool, error) {
	ctx, cancel := bounded(ctx, callTimeout, "a look into a container")
	defer cancel()
	_, err := c.api.ContainerStatPath(ctx, id, path)
	if gone(err) {
		return false, nil
	}
	return err == nil, explain(ctx, err, "look into a container of the job")
}

// End makes sure that no process of a container runs any more, those that a script left behind included. A container that is gone has
// ended. After an error nobody knows.
func (c *Client) End(ctx context.Context, id string) error {
	ctx, cancel := bounded(ctx, callTimeout, "the end of a container")
	defer cancel()
	got, err := c.api.ContainerInspect(ctx, id)
	if gone(err) {
		return nil
	}
	if err != nil {
		return explain(ctx, err, "inspect a container of the job")
	}
	if !ended(got.State) {
		if err := c.Stop(ctx, id, 0); err != nil {
			return err
		}
		if got, err = c.api.ContainerInspect(ctx, id); gone(err) {
			return nil
		} else if err != nil {
			return explain(ctx, err, "inspect a container of the job")
		}
	}
	if !ended(got.State) {
		return outcome.System(outcome.DockerFailed, "a container of the job is %q after it was stopped", got.State.Status)
	}
	return nil
}

func ended(s *container.State) bool {
	return !s.Running && !s.Paused && !s.Restarting && (s.Status == "exited" || s.Status == "created" || s.Status == "dead")
}
