// Package docker runs a job's containers: images and their pull policies, one network a job, the helper, build and
// service containers, and their removal. It knows neither GitLab Runner's stages nor our state on disk.
//
// Every call to the daemon has a deadline, every error carries an outcome and a reason (package outcome), and every object
// bears the labels that its removal goes by.
package docker

import (
	"context"
	"fmt"
	"time"

	"github.com/docker/docker/client"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/executor/outcome"
)

// Client talks to one Docker daemon. It may be used by several goroutines.
type Client struct {
	api *client.Client
	// StartTimeout bounds the creation and start of one container; PullTimeout one pull of an image.
	StartTimeout, PullTimeout time.Duration
	// KeepVolumes leaves volumes without a name when their container is removed.
	KeepVolumes bool
	// NativeStop leaves it to the first process of a container to tell the others that they have to end.
	NativeStop bool
}

// Connect opens a client for the daemon at host (unix://…) and checks that it answers.
func Connect(ctx context.Context, host string) (*Client, error) {
	api, err := client.NewClientWithOpts(client.WithHost(host), client.WithAPIVersionNegotiation())
	if err != nil {
		return nil, explain(ctx, err, "open a connection to Docker at %s", host)
	}
	c := &Client{api: api, StartTimeout: time.Minute, PullTimeout: 15 * time.Minute}
	ctx, cancel := bounded(ctx, 10*time.Second, "an answer of Docker at "+host)
	defer cancel()
	answer, err := api.Ping(ctx)
	if err != nil {
		_ = api.Close()
		err = explain(ctx, err, "reach Docker at %s (is the daemon running? may this user use it?)", host)
		if outcome.Of(err).Reason == outcome.Deadline { // a daemon that hangs is as good as none
			err = outcome.System(outcome.DockerGone, "%w", err)
		}
		return nil, err
	}
	api.NegotiateAPIVersionPing(answer) // now, since calls depend on it; left to the client, it would happen in the first call
	return c, nil
}

// Close releases the client's connections.
func (c *Client) Close() error { return c.api.Close() }

// bounded gives a call its deadline, and the deadline a name.
func bounded(ctx context.Context, limit time.Duration, what string) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, limit, fmt.Errorf("waited %s for %s: %w", limit, what, context.DeadlineExceeded))
}
