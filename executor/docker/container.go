package docker

import (
	"context"
	"errors"
	"io"
	"strings"
	"time"

	"github.com/docker/docker/api/types"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/pkg/stdcopy"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/executor/outcome"
)

// ShellCommand finds a shell as the docker executor does (shells/bash.go, BashDetectShellScript) and lets it read the
// script from standard input: bash where the image has it, sh otherwise.
var ShellCommand = []string{"sh", "-c", "if command -v bash >/dev/null 2>&1; then exec bash; else exec sh; fi"}

// drainTimeout is how long to wait for the last output of a process that has ended.
const drainTimeout = 10 * time.Second

// Create makes a container and gives its id. The caller records the id before doing anything else with it. A creation that has
// begun is waited for even when ctx ends: the daemon would complete it all the same, after cleanup has looked.
func (c *Client) Create(ctx context.Context, owner Owner, s Spec) (string, error) {
	if ctx.Err() != nil {
		return "", context.Cause(ctx)
	}
	ctx, cancel := bounded(context.WithoutCancel(ctx), c.StartTimeout, "the creation of a container (settings: docker.start_timeout)")
	defer cancel()
	config, host, networks, platform := s.configs(owner)
	made, err := c.api.ContainerCreate(ctx, config, host, networks, platform, owner.Name+"-"+s.Suffix)
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

// Result is how a container's or a command's process ended.
type Result struct {
	Code int
	OOM  bool // the kernel killed a process of the container at its memory limit
}

// Run is one start of a container whose shell is waiting for its script.
type Run struct {
	client *Client
	id     string
	conn   types.HijackedResponse
	exited <-chan container.WaitResponse
	failed <-chan error
	cancel context.CancelFunc
}

// StartRun starts a container made with Stdin and attaches to it. The container may have run before: its file system is kept, its processes are new, as between script and after_script of the docker executor.
func (c *Client) StartRun(ctx context.Context, id string) (*Run, error) {
	// The wait and the streams outlive ctx: when it ends, the container is stopped and its end still waited for.
	long, cancel := context.WithCancel(context.WithoutCancel(ctx))
	r := &Run{client: c, id: id, cancel: cancel}
	conn, err := c.api.ContainerAttach(long, id, container.AttachOptions{Stream: true, Stdin: true, Stdout: true, Stderr: true})
	if err != nil {
		cancel()
		return nil, explain(ctx, err, "attach to the build container")
	}
	r.conn = conn
	r.exited, r.failed = c.api.ContainerWait(long, id, container.WaitConditionNextExit)
	startCtx, cancelStart := bounded(ctx, c.StartTimeout, "the start of the build container (settings: docker.start_timeout)")
	defer cancelStart()
	if err := c.api.ContainerStart(startCtx, id, container.StartOptions{}); err != nil {
		r.close()
		return nil, explainStart(startCtx, err, "the build container")
	}
	return r, nil
}

func (r *Run) close() {
	r.conn.Close()
	r.cancel()
}

// Feed sends the script, copies the output, and waits for the container's end. When ctx ends first, the container's processes
// are asked to stop, killed after grace, and ctx's cause is the error; the container remains and can be run again.
func (r *Run) Feed(ctx context.Context, script io.Reader, stdout, stderr io.Writer, grace time.Duration) (Result, error) {
	defer r.close()
	go func() { // ends with the connection at the latest
		_, _ = io.Copy(r.conn.Conn, script) // a shell that exits early closes its input: its exit code tells
		_ = r.conn.CloseWrite()
	}()
	copied := make(chan struct{})
	go func() {
		defer close(copied)
		_, _ = stdcopy.StdCopy(stdout, stderr, r.conn.Reader) // a broken stream shows in the wait, too
	}()
	result, err := r.wait(ctx, grace)
	select {
	case <-copied:
	case <-time.After(drainTimeout):
	}
	return result, err
}

func (r *Run) wait(ctx context.Context, grace time.Duration) (Result, error) {
	select {
	case end := <-r.exited:
		return r.ended(ctx, end)
	case err := <-r.failed:
		return Result{}, explain(ctx, err, "wait for the end of the script")
	case <-ctx.Done():
	}
	if err := r.client.Stop(ctx, r.id, grace); err != nil {
		return Result{}, errors.Join(context.Cause(ctx), err)
	}
	return Result{}, context.Cause(ctx)
}

func (r *Run) ended(ctx context.Context, end container.WaitResponse) (Result, error) {
	if end.Error != nil {
		return Result{}, outcome.System(outcome.DockerFailed, "cannot wait for the end of the script: %s", end.Error.Message)
	}
	state, err := r.client.state(ctx, r.id)
	if err != nil {
		return Result{}, err
	}
	return Result{Code: int(end.StatusCode), OOM: state.OOMKilled}, nil
}

func (c *Client) state(ctx context.Context, id string) (*container.State, error) {
	ctx, cancel := bounded(ctx, callTimeout, "the state of a container")
	defer cancel()
	got, err := c.api.ContainerInspect(ctx, id)
	switch {
	case gone(err):
		return nil, outcome.System(outcome.ContainerLost, "a container of this job was removed while the job was running")
	case err != nil:
		return nil, explain(ctx, err, "inspect a container of the job")
	}
	return got.State, nil
}

// Stop ends all processes of a container and leaves the container: SIGTERM to every process, SIGKILL after grace. It works
// on a context of its own, as it is called when ctx has ended. The kernel gives SIGTERM to a container's first process
// only if that has a handler (pid_namespaces(7)), hence all the others are told too.
func (c *Client) Stop(ctx context.Context, id string, grace time.Duration) error {
	ctx, cancel := bounded(context.WithoutCancel(ctx), grace+callTimeout, "the end of a container's processes")
	defer cancel()
	seconds := int(grace.Seconds())
	c.terminateAll(ctx, id)
	err := c.api.ContainerStop(ctx, id, container.StopOptions{Timeout: &seconds})
	if gone(err) {
		return nil
	}
	return explain(ctx, err, "stop the job's processes")
}

// terminateAll is best effort: what it does not reach is killed with the container.
func (c *Client) terminateAll(ctx context.Context, id string) {
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
