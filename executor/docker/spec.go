package docker

import (
	"fmt"
	"hash/crc32"
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

// Limits of one container; zero is no limit.
type Limits struct {
	Memory, ShmSize int64 // bytes
	NanoCPUs        int64 // 1e9 is one core
	Pids            int64
}

// Spec is a container to be. What it leaves out is the image's or the daemon's default; what no job may choose
// (privileges, capabilities, restart) is not in it.
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
	Volumes    []string // the administrator's: host:container[:options], or a path in the container
	Network    string   // name or id
	Aliases    []string // names in Network
	Limits     Limits
	ExtraHosts []string
	DNS        []string
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
		Labels:       owner.labels(s.Kind),
		AttachStdout: true,
		AttachStderr: true,
		AttachStdin:  s.Stdin,
		OpenStdin:    s.Stdin,
		StdinOnce:    s.Stdin, // the end of the script is the end of its input
	}
	host := &container.HostConfig{
		NetworkMode:   container.NetworkMode(s.Network),
		RestartPolicy: container.RestartPolicy{Name: container.RestartPolicyDisabled},
		// The daemon's default log driver may be one that no log can be read back from; what a build container prints
		// goes to the job log alone.
		LogConfig:   container.LogConfig{Type: logDriver(s.Kind), Config: logOptions(s.Kind)},
		SecurityOpt: []string{"no-new-privileges"},
		ShmSize:     s.Limits.ShmSize,
		ExtraHosts:  s.ExtraHosts,
		DNS:         s.DNS,
		Resources: container.Resources{
			Memory:   s.Limits.Memory,
			NanoCPUs: s.Limits.NanoCPUs,
		},
	}
	if s.Limits.Pids > 0 {
		host.PidsLimit = &s.Limits.Pids
	}
	for _, m := range s.Mounts {
		host.Mounts = append(host.Mounts, mount.Mount{Type: mount.TypeBind, Source: m.Source, Target: m.Target, ReadOnly: m.ReadOnly})
	}
	for _, v := range s.Volumes {
		if strings.Contains(v, ":") {
			host.Binds = append(host.Binds, v)
			continue
		}
		host.Mounts = append(host.Mounts, jobVolume(owner, v))
	}
	var networks *network.NetworkingConfig
	if s.Network != "" {
		networks = &network.NetworkingConfig{EndpointsConfig: map[string]*network.EndpointSettings{s.Network: {Aliases: s.Aliases}}}
	}
	return config, host, networks, s.Image.Platform
}

// jobVolume is a volume that the containers of a job share and that goes with the job.
func jobVolume(owner Owner, target string) mount.Mount {
	return mount.Mount{
		Type: mount.TypeVolume, Source: fmt.Sprintf("%s-volume-%08x", owner.Name, crc32.ChecksumIEEE([]byte(target))), Target: target,
		VolumeOptions: &mount.VolumeOptions{Labels: owner.labels("volume")},
	}
}

// Only a service's output is read back, when it does not become healthy.
func logDriver(kind string) string {
	if kind == KindService {
		return "json-file"
	}
	return "none"
}

func logOptions(kind string) map[string]string {
	if kind == KindService {
		return map[string]string{"max-size": "10m", "max-file": "1"}
	}
	return nil
}
