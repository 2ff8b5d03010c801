package docker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"time"

	"github.com/docker/docker/api/types/image"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/executor/outcome"
)

// Pulls that fail on the network are tried again, as the docker executor does (executors/docker/internal/pull/manager.go).
const (
	pullAttempts = 3
	pullPause    = 2 * time.Second
)

func (c *Client) pull(ctx context.Context, req ImageRequest, platform *ocispec.Platform, log io.Writer) (image.InspectResponse, error) {
	login, err := req.Logins.forImage(ctx, req.Name, log)
	if err != nil {
		return image.InspectResponse{}, err
	}
	what := req.Name
	if req.Platform != "" {
		what += " for platform " + req.Platform
	}
	fmt.Fprintf(log, "Pulling docker image %s ...\n", what)
	for attempt := 1; ; attempt++ {
		err = c.pullOnce(ctx, req, login)
		if err == nil || attempt == pullAttempts || ctx.Err() != nil || outcome.Of(err).Reason != outcome.RegistryFailed {
			break
		}
		fmt.Fprintf(log, "WARNING: Failed to pull image %q (attempt #%d), retrying: %v\n", req.Name, attempt, err)
		select {
		case <-ctx.Done():
		case <-time.After(pullPause):
		}
	}
	if err != nil {
		return image.InspectResponse{}, err
	}
	found, err := c.inspect(ctx, req.Name, platform)
	return found, explain(ctx, err, "inspect image %s after its pull", req.Name)
}

func (c *Client) pullOnce(ctx context.Context, req ImageRequest, login *login) error {
	ctx, cancel := bounded(ctx, c.PullTimeout, "the pull of image "+req.Name+" (settings: docker.pull_timeout)")
	defer cancel()
	auth, err := login.encoded()
	if err != nil {
		return err
	}
	body, err := c.api.ImagePull(ctx, req.Name, image.PullOptions{RegistryAuth: auth, Platform: req.Platform})
	if err != nil {
		return explainPull(ctx, login.masked(err), req.Name)
	}
	defer func() { _ = body.Close() }()
	for decoder := json.NewDecoder(body); ; {
		var m struct { // of the messages that the API documents only the error matters here
			Error string `json:"error"`
		}
		err := decoder.Decode(&m)
		switch {
		case err == io.EOF:
			return nil
		case err != nil:
			return explainPull(ctx, err, req.Name)
		case m.Error != "":
			return explainPull(ctx, login.masked(errors.New(m.Error)), req.Name)
		}
	}
}

// What registries and the daemon say; samples are in the tests. The daemon passes on the registry's words and seldom its
// status code.
var (
	pullNotFound = regexp.MustCompile(`(?i)manifest unknown|not found: manifest|manifest for .* not found|repository .* not found|name unknown|no matching manifest|invalid reference format|HTTP 404 response body`)
	pullDenied   = regexp.MustCompile(`(?i)pull access denied|unauthorized|authentication required|denied: |no basic auth credentials|insufficient_scope|403 forbidden|HTTP 40[13] response body`)
)

func explainPull(ctx context.Context, err error, name string) error {
	reason, text := outcome.RegistryFailed, err.Error()
	switch {
	case ctx.Err() != nil:
		return explain(ctx, err, "pull image %s", name)
	case pullNotFound.MatchString(text):
		return outcome.Job(outcome.ImageNotFound, "image %s does not exist in its registry: %w", name, err)
	case pullDenied.MatchString(text):
		return outcome.Job(outcome.ImageDenied, "image %s: its registry refuses this job's login, or the image does not exist: %w", name, err)
	case daemonReason(err) == outcome.DiskFull, strings.Contains(text, "Cannot connect to the Docker daemon"):
		return explain(ctx, err, "pull image %s", name)
	}
	return outcome.System(reason, "cannot pull image %s: %w", name, err)
}
