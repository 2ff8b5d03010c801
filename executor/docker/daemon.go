package docker

import (
	"context"
	"slices"
	"strings"

	"github.com/containerd/platforms"
	"github.com/docker/docker/api/types/image"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// Daemon is what a daemon says of itself and of the machine that it runs on.
type Daemon struct {
	Version      string // of the daemon
	Product      string // that the socket belongs to, such as "Podman Engine"
	Host, Kernel string // name and kernel of its machine
	System       string // the distribution, or "Docker Desktop"
	OS           string // of its containers
	Architecture string // of its containers, in Go's words
	Storage      string // driver of its images and containers
	Cgroup       string // version
	SELinux      bool   // it labels containers
}

// Daemon asks the daemon about itself.
func (c *Client) Daemon(ctx context.Context) (Daemon, error) {
	ctx, cancel := bounded(ctx, callTimeout, "what Docker says of itself")
	defer cancel()
	info, err := c.api.Info(ctx)
	if err != nil {
		return Daemon{}, explain(ctx, err, "ask Docker about itself")
	}
	version, err := c.api.ServerVersion(ctx)
	if err != nil {
		return Daemon{}, explain(ctx, err, "ask Docker for its version")
	}
	d := Daemon{
		Version: version.Version, Product: "Docker", Host: info.Name, Kernel: info.KernelVersion, System: info.OperatingSystem, OS: info.OSType,
		Architecture: platforms.Normalize(ocispec.Platform{Architecture: info.Architecture}).Architecture, Storage: info.Driver, Cgroup: info.CgroupVersion,
		SELinux: slices.ContainsFunc(info.SecurityOptions, func(o string) bool { return strings.Contains(o, "name=selinux") }),
	}
	for _, part := range version.Components {
		if strings.HasPrefix(part.Name, "Podman") {
			d.Product = part.Name
		}
	}
	return d, nil
}

// LocalImage gives an image that is on the host, and its architecture; there is none if its ID is empty.
func (c *Client) LocalImage(ctx context.Context, name string) (img Image, architecture string, err error) {
	found, err := c.inspect(ctx, name, nil)
	if gone(err) {
		return Image{}, "", nil
	}
	if err != nil {
		return Image{}, "", explain(ctx, err, "inspect image %s", name)
	}
	return pin(found, nil), platforms.Normalize(platformOf(found)).Architecture, nil
}

// AnyImage gives the smallest image that is on the host; there is none if its ID is empty.
func (c *Client) AnyImage(ctx context.Context) (Image, error) {
	ctx, cancel := bounded(ctx, callTimeout, "a list of images")
	defer cancel()
	all, err := c.api.ImageList(ctx, image.ListOptions{})
	if err != nil || len(all) == 0 {
		return Image{}, explain(ctx, err, "list images")
	}
	smallest := slices.MinFunc(all, func(a, b image.Summary) int { return int(min(max(a.Size-b.Size, -1), 1)) })
	return Image{ID: smallest.ID}, nil
}
