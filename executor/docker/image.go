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

	"github.com/containerd/errdefs"
	"github.com/distribution/reference"
	"github.com/docker/docker/api/types/image"
	"github.com/docker/docker/api/types/registry"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/executor/outcome"
	"gitlab.com/gitlab-go-executor/gitlab-go-executor/executor/settings"
)

// Image is an image that is on the host, pinned for the job by its id.
type Image struct {
	ID   string
	OS   string // as in GOOS
	Arch string // as in GOARCH
}

// runsOn says whether the image is for a platform that was asked for; none is any.
func (i Image) runsOn(platform string) bool {
	want := parsePlatform(platform)
	return want == nil || (want.OS == i.OS && (want.Architecture == "" || want.Architecture == i.Arch))
}

// ImageRequest asks for an image to be made available.
type ImageRequest struct {
	Name     string
	Policies []string // tried in order until one succeeds
	Platform string
	Logins   []Login
}

// Login is the user of an image registry.
type Login struct{ Registry, Username, Password string }

// Pulls that fail on the network are tried again, as the docker executor does (executors/docker/internal/pull/manager.go).
const (
	pullAttempts = 3
	pullPause    = 2 * time.Second
)

// Ensure makes an image available on the host and says on log what it does.
func (c *Client) Ensure(ctx context.Context, req ImageRequest, log io.Writer) (Image, error) {
	var failed []error
	for _, policy := range req.Policies {
		img, err := c.ensureBy(ctx, policy, req, log)
		if err == nil {
			return img, nil
		}
		failed = append(failed, err)
		if ctx.Err() != nil {
			break
		}
	}
	return Image{}, worst(failed)
}

// worst keeps Runner trying as long as one policy failed for a reason that may pass.
func worst(failed []error) error {
	for _, err := range failed {
		if f := outcome.Of(err); !f.UsersFault() {
			return err
		}
	}
	return errors.Join(failed...)
}

func (c *Client) ensureBy(ctx context.Context, policy string, req ImageRequest, log io.Writer) (Image, error) {
	switch policy {
	case settings.PullAlways:
		return c.pull(ctx, req, log)
	case settings.PullIfNotPresent:
		img, err := c.inspect(ctx, req.Name)
		if errdefs.IsNotFound(err) || err == nil && !img.runsOn(req.Platform) {
			return c.pull(ctx, req, log)
		}
		return img, explain(ctx, err, "inspect image %s", req.Name)
	case settings.PullNever:
		img, err := c.inspect(ctx, req.Name)
		if err == nil && !img.runsOn(req.Platform) {
			return Image{}, outcome.Job(outcome.ImageNotFound, "image %s is on this runner's host for platform %s/%s, not for %s, and pull_policy %q forbids to pull it",
				req.Name, img.OS, img.Arch, req.Platform, policy)
		}
		if errdefs.IsNotFound(err) {
			return Image{}, outcome.Job(outcome.ImageNotFound, "image %s is not on this runner's host, and pull_policy %q forbids to pull it", req.Name, policy)
		}
		return img, explain(ctx, err, "inspect image %s", req.Name)
	}
	return Image{}, outcome.Job(outcome.PullPolicy, "pull_policy %q of image %s is unknown; known: always, if-not-present, never", policy, req.Name)
}

func (c *Client) inspect(ctx context.Context, name string) (Image, error) {
	ctx, cancel := bounded(ctx, callTimeout, "the inspection of image "+name)
	defer cancel()
	got, err := c.api.ImageInspect(ctx, name)
	if err != nil {
		return Image{}, err
	}
	return Image{ID: got.ID, OS: got.Os, Arch: got.Architecture}, nil
}

func (c *Client) pull(ctx context.Context, req ImageRequest, log io.Writer) (Image, error) {
	fmt.Fprintf(log, "Pulling image %s ...\n", req.Name)
	var err error
	for attempt := 1; ; attempt++ {
		err = c.pullOnce(ctx, req)
		if err == nil || attempt == pullAttempts || ctx.Err() != nil || outcome.Of(err).Reason != outcome.RegistryFailed {
			break
		}
		fmt.Fprintf(log, "Pulling image %s failed, attempt %d of %d: %v\n", req.Name, attempt, pullAttempts, err)
		select {
		case <-ctx.Done():
		case <-time.After(pullPause):
		}
	}
	if err != nil {
		return Image{}, err
	}
	img, err := c.inspect(ctx, req.Name)
	return img, explain(ctx, err, "inspect image %s", req.Name)
}

func (c *Client) pullOnce(ctx context.Context, req ImageRequest) error {
	ctx, cancel := bounded(ctx, c.PullTimeout, "the pull of image "+req.Name+" (settings: docker.pull_timeout)")
	defer cancel()
	auth, err := registryAuth(req.Name, req.Logins)
	if err != nil {
		return err
	}
	body, err := c.api.ImagePull(ctx, req.Name, image.PullOptions{RegistryAuth: auth, Platform: req.Platform})
	if err != nil {
		return explainPull(ctx, err, req.Name)
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
			return explainPull(ctx, errors.New(m.Error), req.Name)
		}
	}
}

// What registries and the daemon say; samples are in the tests. The daemon passes on the registry's words and seldom its
// status code.
var (
	pullNotFound = regexp.MustCompile(`(?i)manifest unknown|not found: manifest|manifest for .* not found|repository .* not found|name unknown|no matching manifest|invalid reference format`)
	pullDenied   = regexp.MustCompile(`(?i)pull access denied|unauthorized|authentication required|denied: |no basic auth credentials|insufficient_scope|403 forbidden`)
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

// registryAuth finds the login for an image's registry.
func registryAuth(name string, logins []Login) (string, error) {
	ref, err := reference.ParseNormalizedNamed(name)
	if err != nil {
		return "", nil //nolint:nilerr // an image id: nothing to pull, so nothing to log in to
	}
	for _, l := range logins {
		if l.Registry == reference.Domain(ref) {
			return registry.EncodeAuthConfig(registry.AuthConfig{Username: l.Username, Password: l.Password, ServerAddress: l.Registry})
		}
	}
	return "", nil
}

// EnsureImage makes an image available for a command that a person runs: it pulls only what the host lacks.
func (c *Client) EnsureImage(ctx context.Context, name string, log io.Writer) error {
	_, err := c.Ensure(ctx, ImageRequest{Name: name, Policies: []string{settings.PullIfNotPresent}}, log)
	return err
}
