package docker

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/docker/docker/api/types"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/pkg/stdcopy"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/executor/outcome"
)

// drainTimeout is how long to wait for the last output of a process that has ended.
const drainTimeout = 10 * time.Second

// Run is one start of a container whose shell is waiting for its script.
type Run struct {
	client *Client
	id     string
	conn   types.HijackedResponse
	end    end
	began  time.Time
	cancel context.CancelFunc
}

// end is where a container's end, or why it cannot be awaited, will be told.
type end struct {
	exited <-chan container.WaitResponse
	failed <-chan error
}

// StartRun starts a container made with Stdin and attaches to it. The container may have run before: its file system is
// kept, its processes are new, as between script and after_script of the docker executor. After an error the container must
// not be started again with another script: the daemon may be starting it all the same, for a shell that reads no script
// and ends with success.
func (c *Client) StartRun(ctx context.Context, id string) (*Run, error) {
	if err := c.ensureStopped(ctx, id); err != nil {
		return nil, err
	}
	// The wait and the streams outlive ctx: when it ends, the container is stopped and its end still waited for.
	long, cancel := context.WithCancel(context.WithoutCancel(ctx))
	r := &Run{client: c, id: id, cancel: cancel}
	conn, err := handshake(ctx, "the build container's streams", func() (types.HijackedResponse, error) {
		return c.api.ContainerAttach(long, id, container.AttachOptions{Stream: true, Stdin: true, Stdout: true, Stderr: true})
	}, func(late types.HijackedResponse) { late.Close() })
	if err != nil {
		cancel()
		return nil, explain(ctx, err, "attach to the build container")
	}
	r.conn = conn
	r.end, err = handshake(ctx, "the build container's end to be watched", func() (end, error) {
		exited, failed := c.api.ContainerWait(long, id, container.WaitConditionNextExit)
		return end{exited, failed}, nil
	}, func(end) {})
	if err != nil {
		r.close()
		return nil, explain(ctx, err, "wait for the build container")
	}
	startCtx, cancelStart := bounded(ctx, c.StartTimeout, "the start of the build container (settings: docker.start_timeout)")
	defer cancelStart()
	r.began = time.Now()
	if err := c.api.ContainerStart(startCtx, id, container.StartOptions{}); err != nil {
		r.close()
		return nil, explainStart(startCtx, err, "the build container")
	}
	return r, nil
}

// ensureStopped ends what still runs in a container, such as a script whose end could not be waited for.
func (c *Client) ensureStopped(ctx context.Context, id string) error {
	state, err := c.state(ctx, id)
	if err != nil || !state.Running {
		return err
	}
	return c.Stop(ctx, id, 0)
}

// handshake bounds a call whose result outlives its context, for which the client has no deadline. A result that comes too
// late is given to discard.
func handshake[T any](ctx context.Context, what string, call func() (T, error), discard func(T)) (T, error) {
	ctx, cancel := bounded(ctx, callTimeout, what)
	defer cancel()
	type answer struct {
		value T
		err   error
	}
	answers := make(chan answer, 1)
	go func() {
		value, err := call()
		answers <- answer{value, err}
	}()
	select {
	case a := <-answers:
		return a.value, a.err
	case <-ctx.Done():
		go func() {
			if a := <-answers; a.err == nil {
				discard(a.value)
			}
		}()
		var none T
		return none, context.Cause(ctx)
	}
}

func (r *Run) close() {
	r.conn.Close()
	r.cancel()
}

// Feed sends the script, copies the output, and waits for the container's end. When ctx ends first, the container's processes
// are asked to stop, killed after grace, and ctx's cause is the error; the container remains and can be run again.
func (r *Run) Feed(ctx context.Context, script io.Reader, stdout, stderr io.Writer, grace time.Duration) (Result, error) {
	defer r.close()
	fed := make(chan error, 1)
	go func() { // ends with the connection at the latest
		_, err := io.Copy(r.conn.Conn, script)
		fed <- errors.Join(err, r.conn.CloseWrite())
	}()
	copied := make(chan error, 1)
	go func() {
		_, err := stdcopy.StdCopy(stdout, stderr, r.conn.Reader)
		copied <- err
	}()
	result, err := r.wait(ctx, copied, grace)
	if err != nil || result.Code != 0 {
		return result, err // a shell that exits early closes its input: its exit code tells
	}
	select {
	case err := <-fed:
		if err == nil {
			return result, nil
		}
		return result, outcome.System(outcome.DockerFailed, "the script did not reach the build container whole: %w", err)
	case <-time.After(drainTimeout):
		return result, outcome.Job(outcome.ImageUnusable, "the build container ended with success and did not read its script: does the image's entrypoint run its arguments?")
	}
}

// wait waits for the container's end and then for its output. Whatever else ends the wait, the container is stopped: the script
// must not go on when nobody listens.
func (r *Run) wait(ctx context.Context, copied <-chan error, grace time.Duration) (Result, error) {
	var cause error
	var quiet <-chan time.Time
	for cause == nil {
		select {
		case exit := <-r.end.exited:
			r.drain(copied)
			return r.ended(ctx, exit)
		case err := <-r.end.failed:
			cause = explain(ctx, err, "wait for the end of the script")
		case err := <-copied:
			copied, quiet = nil, time.After(quietTime)
			if err != nil {
				cause = explain(ctx, err, "pass on the output of the script")
			}
		case <-quiet:
			cause = r.brokenOff(ctx)
		case <-ctx.Done():
			cause = context.Cause(ctx)
		}
	}
	err := r.client.Stop(ctx, r.id, grace)
	r.drain(copied)
	return Result{}, errors.Join(cause, err)
}

// quietTime is how soon a container ends after its streams, on a host that is so busy that the daemon hears late of it.
const quietTime = 10 * time.Second

// brokenOff is the error if the streams have ended and the container has not: nobody would see what it prints.
func (r *Run) brokenOff(ctx context.Context) error {
	state, err := r.client.state(ctx, r.id)
	if err != nil || !state.Running {
		return err
	}
	return outcome.System(outcome.DockerGone, "the connection to Docker broke off while a script was running")
}

// drain waits for the last output of a process that has ended. A nil channel has been drained.
func (r *Run) drain(copied <-chan error) {
	if copied == nil {
		return
	}
	select {
	case <-copied: //nolint:errcheck // the process has ended, so what of its output is lost changes nothing
	case <-time.After(drainTimeout):
	}
}

func (r *Run) ended(ctx context.Context, exit container.WaitResponse) (Result, error) {
	if exit.Error != nil {
		return Result{}, outcome.System(outcome.DockerFailed, "cannot wait for the end of the script: %s", exit.Error.Message)
	}
	state, err := r.client.state(ctx, r.id)
	if err != nil {
		return Result{}, err
	}
	if state.Dead || state.Status == "removing" {
		return Result{}, errRemoved()
	}
	if exit.StatusCode != 0 {
		if err := r.stoppedBySomebody(ctx, exit.StatusCode); err != nil {
			return Result{}, err
		}
	}
	return Result{Code: int(exit.StatusCode), OOM: state.OOMKilled}, nil
}

// stoppedBySomebody is the error if it was not the script that ended itself. Where the daemon does not tell, it was.
func (r *Run) stoppedBySomebody(ctx context.Context, code int64) error {
	signal, err := r.client.signalled(ctx, r.id, r.began)
	if outcome.Of(err).Reason == outcome.DockerGone {
		return err
	}
	if signal == "" {
		return nil
	}
	return outcome.System(outcome.ContainerLost, "a container of this job was stopped while a script ran in it (signal %s, exit code %d): "+
		"Docker was stopped or restarted, or somebody stopped the container", signal, code)
}
