package docker

import (
	"fmt"
	"hash/crc32"
	"maps"
	"strings"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/mount"
	"github.com/docker/docker/api/types/network"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// Kinds of containers, in the docker executor's words (executors/docker/labels.go).
const (
	KindHelper  = "predefined"
	KindBuild   = "build"
	KindService = "service"
)

// Mount makes a folder or file of the host visible in a container.
type Mount struct {
	Source, Target string
	ReadOnly       bool
}

// Spec is a container to be. What it leaves out is the image's or the daemon's default.
type Spec struct {
	Kind       string
	Suffix     string // with the owner's name makes the container's
	Image      Image
	Entrypoint []string // nil: the image's
	Cmd        []string // nil: the image's
	Env        []string
	User       string
	Hostname   string
	Stdin      bool // scripts come on standard input
	Mounts     []Mount
	Volumes    []string          // the administrator's: host:container[:options], or a path in the container
	Network    string            // name or id
	Aliases    []string          // names in Network, if that knows names
	Links      []string          // containers that Docker's default network shall know by name: container[:name]
	MAC        string            // address in Network
	Labels     map[string]string // beside ours
	Host       HostConfig        // of NewHostConfig; mounts and network are added to it
	// VolumeDriver makes the volumes that go with the job, with VolumeOptions; empty is Docker's own. It is the same for all containers of a
	// job: the first of them to be created makes the volume for all, and services are among them.
	VolumeDriver  string
	VolumeOptions map[string]string
}

// configs converts a Spec to what the Docker API takes.
func (s Spec) configs(owner Owner) (*container.Config, *container.HostConfig, *network.NetworkingConfig, *ocispec.Platform) {
	config := &container.Config{
		Image:        s.Image.reference(),
		Entrypoint:   s.Entrypoint,
		Cmd:          s.Cmd,
		Env:          s.Env,
		User:         s.User,
		Hostname:     s.Hostname,
		Labels:       s.labels(owner),
		MacAddress:   s.MAC, //nolint:staticcheck // before API 1.44 it is here, and the client leaves it out after
		AttachStdout: true,
		AttachStderr: true,
		AttachStdin:  s.Stdin,
		OpenStdin:    s.Stdin,
		StdinOnce:    s.Stdin, // the end of the script is the end of its input
	}
	host := s.Host
	host.NetworkMode = container.NetworkMode(s.Network)
	host.Links = s.Links
	for _, m := range s.Mounts {
		if _, inMemory := host.Tmpfs[m.Target]; inMemory {
			continue // Docker mounts no path twice, and the administrator's word counts
		}
		host.Mounts = append(host.Mounts, mount.Mount{Type: mount.TypeBind, Source: m.Source, Target: m.Target, ReadOnly: m.ReadOnly})
	}
	for _, v := range s.Volumes {
		if strings.Contains(v, ":") {
			host.Binds = append(host.Binds, v)
			continue
		}
		host.Mounts = append(host.Mounts, s.jobVolume(owner, v))
	}
	var networks *network.NetworkingConfig
	if s.Network != "" && host.NetworkMode.IsUserDefined() { // Docker's own networks take no names
		networks = &network.NetworkingConfig{EndpointsConfig: map[string]*network.EndpointSettings{s.Network: {Aliases: s.Aliases, MacAddress: s.MAC}}}
	}
	return config, &host, networks, s.Image.Platform
}

// labels are the administrator's and ours, by which we find what to remove.
func (s Spec) labels(owner Owner) map[string]string {
	all := maps.Clone(s.Labels)
	if all == nil {
		all = map[string]string{}
	}
	maps.Copy(all, owner.labels(s.Kind))
	return all
}

// jobVolume is a volume that the containers of a job share and that goes with the job.
func (s Spec) jobVolume(owner Owner, target string) mount.Mount {
	options := &mount.VolumeOptions{Labels: owner.labels("volume")}
	if s.VolumeDriver != "" || len(s.VolumeOptions) > 0 {
		options.DriverConfig = &mount.Driver{Name: s.VolumeDriver, Options: s.VolumeOptions}
	}
	return mount.Mount{
		Type: mount.TypeVolume, Source: fmt.Sprintf("%s-volume-%08x", owner.Name, crc32.ChecksumIEEE([]byte(target))), Target: target,
		VolumeOptions: options,
	}
}
