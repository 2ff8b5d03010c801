package docker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"

	"github.com/containerd/errdefs"
	"github.com/containerd/platforms"
	"github.com/docker/docker/api/types/image"
	"github.com/docker/docker/api/types/versions"
	"github.com/docker/docker/client"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/executor/outcome"
	"gitlab.com/gitlab-go-executor/gitlab-go-executor/executor/settings"
)

// Image is an image that is on the host, pinned for the job by its id: a tag may move while the job runs.
type Image struct {
	ID       string
	Ref      string            // takes the id's place in the creation of containers; see reference
	Platform *ocispec.Platform // the image's own, where one was asked for
}

// reference is what names the image to the daemon. Docker's containerd store keeps a tag for several platforms, finds the id of
// one of them under no name, and has to be told the digest and the platform; it alone describes what an image's name stands
// for. Docker's older stores know an image by its id, and let a digest move from one platform to another.
func (i Image) reference() string {
	if i.Ref != "" {
		return i.Ref
	}
	return i.ID
}

// ImageRequest asks for an image to be made available.
type ImageRequest struct {
	Name     string
	Policies []string // tried in order until one succeeds
	Platform string   // os/arch[/variant]; empty: what the daemon or the registry has
	Logins   *Logins  // nil: none
}

// Architecture is that of the image that will be found, in Go's words, should nobody have tagged another one on this host.
func (r ImageRequest) Architecture() string {
	if p, err := parsePlatform(r.Platform); err == nil && p != nil {
		return p.Architecture
	}
	return runtime.GOARCH
}

// Ensure makes an image available on the host and says on log what it does, in the docker executor's words
// (executors/docker/internal/pull).
func (c *Client) Ensure(ctx context.Context, req ImageRequest, log io.Writer) (Image, error) {
	fmt.Fprintf(log, "Using effective pull policy of %s for container %s\n", req.Policies, req.Name)
	platform, err := parsePlatform(req.Platform)
	if err != nil {
		return Image{}, outcome.Job(outcome.BadDefinition, "image %s: docker:platform %q is none: %w; for example linux/amd64", req.Name, req.Platform, err)
	}
	var failed []error
	for n, policy := range req.Policies {
		if n > 0 {
			fmt.Fprintf(log, "Attempt #%d: Trying %q pull policy\n", n+1, policy)
		}
		found, err := c.ensureBy(ctx, policy, req, platform, log)
		if err == nil {
			img := pin(found, platform)
			fmt.Fprintf(log, "Using docker image %s for %s%s ...\n", img.ID, req.Name, withDigest(found))
			return img, nil
		}
		failed = append(failed, err)
		if ctx.Err() != nil {
			break
		}
		if n+1 < len(req.Policies) {
			fmt.Fprintf(log, "WARNING: Failed to pull image with policy %q: %v\n", policy, err)
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

func (c *Client) ensureBy(ctx context.Context, policy string, req ImageRequest, platform *ocispec.Platform, log io.Writer) (image.InspectResponse, error) {
	switch policy {
	case settings.PullAlways, settings.PullIfNotPresent:
		if policy == settings.PullAlways && !isImageID(req.Name) { // an id is in no registry
			return c.pull(ctx, req, platform, log)
		}
		found, err := c.inspect(ctx, req.Name, platform)
		if errdefs.IsNotFound(err) && !isImageID(req.Name) || err == nil && !runsOn(found, platform) {
			return c.pull(ctx, req, platform, log)
		}
		if err == nil {
			fmt.Fprintf(log, "Using locally found image version due to %q pull policy\n", policy)
		}
		return found, explainMissing(ctx, err, req.Name, policy)
	case settings.PullNever:
		found, err := c.inspect(ctx, req.Name, platform)
		if err == nil && !runsOn(found, platform) {
			return found, outcome.Job(outcome.ImageNotFound, "image %s is on this runner's host for platform %s, not for %s, and pull_policy %q forbids to pull it",
				req.Name, platforms.Format(platformOf(found)), req.Platform, policy)
		}
		return found, explainMissing(ctx, err, req.Name, policy)
	}
	return image.InspectResponse{}, outcome.Job(outcome.PullPolicy, "pull_policy %q of image %s is unknown; known: always, if-not-present, never", policy, req.Name)
}

// explainMissing is for an image that is not here and is not pulled.
func explainMissing(ctx context.Context, err error, name, policy string) error {
	switch {
	case !errdefs.IsNotFound(err):
		return explain(ctx, err, "inspect image %s", name)
	case isImageID(name):
		return outcome.Job(outcome.ImageNotFound, "image %s is not on this runner's host, and cannot be pulled by its id: name a repository, with @sha256:… for this very image", name)
	}
	return outcome.Job(outcome.ImageNotFound, "image %s is not on this runner's host, and pull_policy %q forbids to pull it", name, policy)
}

// platformAwareAPI is the first version of Docker's API in which an image is inspected for a platform.
const platformAwareAPI = "1.49"

func (c *Client) inspect(ctx context.Context, name string, platform *ocispec.Platform) (image.InspectResponse, error) {
	ctx, cancel := bounded(ctx, callTimeout, "the inspection of image "+name)
	defer cancel()
	var options []client.ImageInspectOption
	if versions.GreaterThanOrEqualTo(c.api.ClientVersion(), platformAwareAPI) {
		options = append(options, client.ImageInspectWithPlatform(platform))
	}
	found, err := c.api.ImageInspect(ctx, name, options...)
	if err != nil && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return found, err
}

// pin keeps of an image what its containers are created by.
func pin(found image.InspectResponse, asked *ocispec.Platform) Image {
	img := Image{ID: found.ID}
	if asked != nil {
		own := platformOf(found)
		img.Platform = &own
		if found.Descriptor != nil && len(found.RepoDigests) > 0 {
			img.Ref = found.RepoDigests[0]
		}
	}
	return img
}

func withDigest(found image.InspectResponse) string {
	if len(found.RepoDigests) == 0 {
		return "" // built here
	}
	return " with digest " + found.RepoDigests[0]
}

// parsePlatform takes what Docker takes, "arm64" and "linux/x86_64" too.
func parsePlatform(text string) (*ocispec.Platform, error) {
	if text == "" {
		return nil, nil
	}
	p, err := platforms.Parse(text)
	if err != nil {
		return nil, err
	}
	return &p, nil
}

func platformOf(found image.InspectResponse) ocispec.Platform {
	return ocispec.Platform{OS: found.Os, OSVersion: found.OsVersion, Architecture: found.Architecture, Variant: found.Variant}
}

// runsOn says whether an image is for a platform that was asked for; none is any.
func runsOn(found image.InspectResponse, asked *ocispec.Platform) bool {
	return asked == nil || platforms.NewMatcher(*asked).Match(platformOf(found))
}

func isImageID(image string) bool { return strings.HasPrefix(image, "sha256:") }

// EnsureImage makes an image available for a command that a person runs: it pulls only what the host lacks.
func (c *Client) EnsureImage(ctx context.Context, name string, log io.Writer) error {
	_, err := c.Ensure(ctx, ImageRequest{Name: name, Policies: []string{settings.PullIfNotPresent}, Logins: &Logins{Home: UserHome()}}, log)
	return err
}
