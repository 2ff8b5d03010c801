package docker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/executor/outcome"
)

func TestWhyADaemonFails(t *testing.T) {
	for text, c := range map[string]struct {
		err  error
		want outcome.Reason
	}{
		"a full disk":                  {errors.New("Error response from daemon: write /var/lib/docker/tmp/x: no space left on device"), outcome.DiskFull},
		"a daemon that broke off":      {fmt.Errorf("error during connect: %w", io.ErrUnexpectedEOF), outcome.DockerGone},
		"an error of its own":          {errors.New("Error response from daemon: Conflict"), outcome.DockerFailed},
		"a call within that is over":   {fmt.Errorf("waited 1m for it: %w", context.DeadlineExceeded), outcome.Deadline},
		"an image that is gone":        {outcome.System(outcome.ContainerLost, "cannot create it: %w", ErrImageGone), outcome.ContainerLost},
		"a mistake of the job's in it": {outcome.Job(outcome.ImageNotFound, "no such image"), outcome.ImageNotFound},
	} {
		if got := outcome.Of(explain(t.Context(), c.err, "do it")).Reason; got != c.want {
			t.Errorf("%s: %s, want %s", text, got, c.want)
		}
	}
}

// A daemon that hangs takes the connection and never answers.
func TestADaemonThatDoesNotAnswerIsGone(t *testing.T) {
	socket := newSocket(t)
	listener, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	for _, c := range []struct {
		cause error
		want  outcome.Reason
	}{{context.DeadlineExceeded, outcome.DockerGone}, {outcome.ErrTimedOut, outcome.JobTimeout}} {
		ctx, cancel := context.WithTimeoutCause(t.Context(), 100*time.Millisecond, c.cause)
		_, err = Connect(ctx, "unix://"+socket)
		cancel()
		if got := outcome.Of(err).Reason; got != c.want || !strings.Contains(err.Error(), "is the daemon running?") {
			t.Errorf("%s, want %s: %v", got, c.want, err)
		}
	}
}

func TestWhatHelpsWithoutAddresses(t *testing.T) {
	for text, want := range map[string]string{
		"could not find an available, non-overlapping IPv4 address pool among the defaults to assign to the network": "run fewer jobs",
		"could not find an available, non-overlapping IPv6 address pool among the defaults to assign to the network": "enable_ipv6",
		"all predefined address pools have been fully subnetted":                                                     "run fewer jobs",
		"network with name x already exists":                                                                         "",
	} {
		if got := networkHint(errors.New(text)); !strings.Contains(got, want) || want == "" && got != "" {
			t.Errorf("%s: %q", text, got)
		}
	}
}
