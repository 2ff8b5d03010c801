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

// Exec runs a command in a running container, with stdin as its input, and waits for its end. When ctx ends first, the
// container is killed, for Docker has no way to end a single command, and ctx's cause is the error.
func (c *Client) Exec(ctx context.Context, id string, cmd []string, stdin io.Reader, stdout, stderr io.Writer) (Result, error) {
	long, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	setup, cancelSetup := bounded(ctx, callTimeout, "the start of a command in the helper container")
	defer cancelSetup()
	made, err := c.api.ContainerExecCreate(setup, id, container.ExecOptions{
		Cmd: cmd, AttachStdin: stdin != nil, AttachStdout: true, AttachStderr: true,
	})
	if err != nil {
		return Result{}, explain(setup, err, "run a command in the helper container")
	}
	conn, err := handshake(ctx, "the streams of a command in the helper container", func() (types.HijackedResponse, error) {
		return c.api.ContainerExecAttach(long, made.ID, container.ExecAttachOptions{})
	}, func(late types.HijackedResponse) { late.Close() })
	if err != nil {
		return Result{}, explain(ctx, err, "run a command in the helper container")
	}
	defer conn.Close()
	go func() { // ends with the connection at the latest
		if stdin != nil {
			_, _ = io.Copy(conn.Conn, stdin)
		}
		_ = conn.CloseWrite()
	}()
	copied := make(chan struct{})
	var copyErr error
	go func() {
		defer close(copied)
		_, copyErr = stdcopy.StdCopy(stdout, stderr, conn.Reader)
	}()
	select {
	case <-copied:
		if copyErr != nil {
			_ = c.Kill(ctx, id) // the command must not go on when nobody listens
			return Result{}, explain(ctx, copyErr, "read the output of the helper container")
		}
		result, err := c.execEnded(ctx, id, made.ID)
		if err != nil {
			_ = c.Kill(ctx, id) // it may be running yet: its streams may have ended for us alone
		}
		return result, err
	case <-ctx.Done():
	}
	err = c.Kill(ctx, id)
	select {
	case <-copied:
	case <-time.After(drainTimeout):
	}
	return Result{}, errors.Join(context.Cause(ctx), err)
}

// execEnded reads the exit code. The daemon closes the streams slightly before it notes the end.
func (c *Client) execEnded(ctx context.Context, id, exec string) (Result, error) {
	ctx, cancel := bounded(ctx, callTimeout, "the exit code of a command in the helper container")
	defer cancel()
	for {
		got, err := c.api.ContainerExecInspect(ctx, exec)
		if err != nil {
			return Result{}, explain(ctx, err, "read the exit code of a command in the helper container")
		}
		if !got.Running {
			return c.execResult(ctx, id, got.ExitCode)
		}
		select {
		case <-ctx.Done():
			return Result{}, context.Cause(ctx)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// execResult tells a command that failed from a container that died under it. The daemon notes the container's end some time
// after that of the command, so a code that a signal's death has is looked at for a while.
func (c *Client) execResult(ctx context.Context, id string, code int) (Result, error) {
	if code == 0 {
		return Result{}, nil
	}
	attempts := 1
	if code > 128 {
		attempts = 10
	}
	var state *container.State
	for ; attempts > 0; attempts-- {
		var err error
		if state, err = c.state(ctx, id); err != nil {
			return Result{}, err
		}
		if !state.Running || state.Dead {
			break
		}
		time.Sleep(100 * time.Millisecond)
	}
	switch {
	case state.Running:
		return Result{Code: code, OOM: state.OOMKilled}, nil
	case state.OOMKilled:
		return Result{Code: code, OOM: true}, nil
	}
	return Result{}, outcome.System(outcome.ContainerLost, "the helper container was stopped while a script ran in it (exit code %d)", state.ExitCode)
}
