package docker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"syscall"

	"github.com/containerd/errdefs"
	"github.com/docker/docker/client"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/executor/outcome"
)

// explain turns an error of the Docker client into one that says what could not be done, why, and whose fault it is.
// When ctx has ended, its cause is the reason: the client only knows "context canceled".
func explain(ctx context.Context, err error, doing string, args ...any) error {
	if err == nil {
		return nil
	}
	doing = fmt.Sprintf(doing, args...)
	if ctx.Err() != nil {
		return fmt.Errorf("cannot %s: %w", doing, context.Cause(ctx))
	}
	var known *outcome.Failure
	if errors.As(err, &known) {
		return err
	}
	return outcome.System(daemonReason(err), "cannot %s: %w", doing, err)
}

// daemonReason tells the ways apart in which a daemon fails. The daemon reports a full disk only in words.
func daemonReason(err error) outcome.Reason {
	text := err.Error()
	switch {
	case strings.Contains(text, "no space left on device"), strings.Contains(text, "disk quota exceeded"):
		return outcome.DiskFull
	case errors.Is(err, context.DeadlineExceeded): // of a call within the one that is explained
		return outcome.Deadline
	case client.IsErrConnectionFailed(err), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF),
		errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE), errors.Is(err, syscall.ECONNREFUSED):
		return outcome.DockerGone
	}
	return outcome.DockerFailed
}

// gone says that what a call was about no longer exists, which is what a removal wanted.
func gone(err error) bool { return errdefs.IsNotFound(err) }

// What runc and the daemon say when an image cannot run what it is asked to. Only what runc says of the container's own process
// counts: a runtime or a hook that the host lacks reads alike. Samples are in the tests.
var unusable = regexp.MustCompile(`(?i)(starting container process caused|unable to start container process): exec:? ` +
	`|unable to find (user|group)|no matching entries in passwd file|linux spec user`)

// explainStart is explain for the start of a container, where the image, or what the job wants of it, may be at fault.
func explainStart(ctx context.Context, err error, what string) error {
	if err == nil || ctx.Err() != nil || !unusable.MatchString(err.Error()) {
		return explain(ctx, err, "start %s", what)
	}
	return outcome.Job(outcome.ImageUnusable, "cannot start %s as asked: its entrypoint, command and user must exist in the image, and the "+
		"job's own image needs a shell, sh or bash (.gitlab-ci.yml: entrypoint, command, docker:user; settings: docker.user, docker.group_add): %w", what, err)
}
