package docker

import (
	"maps"
	"os"
	"slices"
	"strconv"

	"github.com/bmatcuk/doublestar/v4"
	"github.com/distribution/reference"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/go-units"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/executor/outcome"
	"gitlab.com/gitlab-go-executor/gitlab-go-executor/executor/settings"
)

// HostConfig is container.HostConfig, for packages that do not speak to Docker.
type HostConfig = container.HostConfig

// Asked is what of a container's making a job decides.
type Asked struct {
	Image    string // the name that is pulled: patterns of the settings are matched with it
	Init     bool   // a first process that reaps the others
	Memory   int64  // bytes of the build container; 0 is what the settings say
	NanoCPUs int64  // 1e9 is one processor; 0 is what the settings say
}

// NewHostConfig is what the settings say of a kind of container. It differs from the docker executor's in that the helper container, in
// which nothing of the user's runs, has neither the privileges nor the limits of the build container.
func NewHostConfig(d *settings.Docker, kind string, asked Asked) HostConfig {
	host := HostConfig{
		RestartPolicy: container.RestartPolicy{Name: container.RestartPolicyDisabled},
		LogConfig:     logConfig(d, kind),
		ShmSize:       int64(d.ShmSize),
		ExtraHosts:    d.ExtraHosts,
		DNS:           d.DNS,
		DNSSearch:     d.DNSSearch,
		Runtime:       d.Runtime,
		UsernsMode:    container.UsernsMode(d.UsernsMode),
	}
	switch kind {
	case KindService:
		serviceConfig(&host, d, asked)
	case KindBuild:
		buildConfig(&host, d, asked)
		fallthrough
	default:
		host.SecurityOpt = slices.Clone(d.SecurityOpt)
		host.CgroupParent = d.CgroupParent
		host.Sysctls = d.Sysctls
		host.VolumeDriver = d.VolumeDriver
	}
	return host
}

func buildConfig(host *HostConfig, d *settings.Docker, asked Asked) {
	host.Privileged = d.Privileged && matches(d.AllowedPrivilegedImages, asked.Image)
	host.CapAdd, host.CapDrop, host.GroupAdd = d.CapAdd, d.CapDrop, d.GroupAdd
	host.PidMode, host.IpcMode = container.PidMode(d.PidMode), container.IpcMode(d.IPCMode)
	host.OomScoreAdj = d.OOMScoreAdjust
	host.ReadonlyRootfs, host.Tmpfs, host.VolumesFrom = d.ReadOnly, d.Tmpfs, d.VolumesFrom
	host.Resources = container.Resources{
		Memory: int64(d.Memory), MemorySwap: int64(d.MemorySwap), MemoryReservation: int64(d.MemoryReservation), NanoCPUs: int64(d.CPUs),
		CpusetCpus: d.CPUSetCPUs, CpusetMems: d.CPUSetMems, CPUShares: int64(d.CPUShares), Ulimits: ulimits(d.Ulimit),
		Devices: deviceMappings(d.Devices), DeviceCgroupRules: d.DeviceCgroupRules, DeviceRequests: deviceRequests(d.GPUs),
	}
	if asked.Memory != 0 {
		host.Memory = asked.Memory
		host.MemoryReservation = min(host.MemoryReservation, asked.Memory)
		if d.MemorySwap != 0 { // the swap beyond the memory stays the same
			host.MemorySwap = int64(d.MemorySwap) + asked.Memory - int64(d.Memory)
		}
	}
	if asked.NanoCPUs != 0 {
		host.NanoCPUs = asked.NanoCPUs
	}
	if pids := int64(d.PidsLimit); pids > 0 {
		host.PidsLimit = &pids
	}
	if d.OOMKillDisable { // with cgroup v2 the daemon only warns
		host.OomKillDisable = &d.OOMKillDisable
	}
	if asked.Init {
		host.Init = &asked.Init
	}
}

func serviceConfig(host *HostConfig, d *settings.Docker, asked Asked) {
	privileged := d.Privileged
	if d.ServicesPrivileged != nil {
		privileged = *d.ServicesPrivileged
	}
	host.Privileged = privileged && matches(d.AllowedPrivilegedServices, asked.Image)
	host.SecurityOpt = slices.Clone(d.ServicesSecurityOpt)
	host.Tmpfs = d.ServicesTmpfs
	host.Resources = container.Resources{
		Memory: int64(d.ServiceMemory), MemorySwap: int64(d.ServiceMemorySwap), MemoryReservation: int64(d.ServiceMemoryReservation),
		NanoCPUs: int64(d.ServiceCPUs), CpusetCpus: d.ServiceCPUSetCPUs, CPUShares: int64(d.ServiceCPUShares), CgroupParent: d.ServiceCgroupParent,
		DeviceRequests: deviceRequests(d.ServiceGPUs),
	}
	for _, pattern := range slices.Sorted(maps.Keys(d.ServicesDevices)) {
		if matches([]string{pattern}, tagged(asked.Image)) {
			host.Devices = append(host.Devices, deviceMappings(d.ServicesDevices[pattern])...)
		}
	}
	if asked.Init {
		host.Init = &asked.Init
	}
}

// logConfig keeps no log that nobody reads: what a build container prints goes to the job log, and only a service's output is read back,
// when it does not become healthy. The daemon's default log driver may be one that no log can be read back from.
func logConfig(d *settings.Docker, kind string) container.LogConfig {
	if kind != KindService && len(d.LogOptions) == 0 {
		return container.LogConfig{Type: "none"}
	}
	options := map[string]string{"max-size": "10m", "max-file": "1"}
	maps.Copy(options, d.LogOptions)
	return container.LogConfig{Type: "json-file", Config: options}
}

// matches says whether an image is one of a list of patterns; none means any.
func matches(patterns []string, image string) bool {
	return len(patterns) == 0 || slices.ContainsFunc(patterns, func(p string) bool {
		ok, err := doublestar.Match(p, image)
		return ok && err == nil
	})
}

// tagged is an image's name with the tag that Docker takes where there is none. The docker executor matches services_devices with it, and the
// other patterns with the name as it is (executors/docker/docker.go, createService).
func tagged(image string) string {
	if ref, err := reference.ParseNormalizedNamed(image); err != nil || !reference.IsNameOnly(ref) {
		return image
	}
	return image + ":latest"
}

// The settings have been checked: what cannot be read here was refused there.

func ulimits(all map[string]settings.Ulimit) []*units.Ulimit {
	var out []*units.Ulimit
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if u, err := all[name].Parse(name); err == nil {
			out = append(out, u)
		}
	}
	return out
}

func deviceMappings(devices []settings.Device) []container.DeviceMapping {
	var out []container.DeviceMapping
	for _, d := range devices {
		var m container.DeviceMapping
		m.PathOnHost, m.PathInContainer, m.CgroupPermissions = d.Parts()
		out = append(out, m)
	}
	return out
}

func deviceRequests(gpus settings.GPUs) []container.DeviceRequest {
	if gpus == "" {
		return nil
	}
	g, err := gpus.Parse()
	if err != nil {
		return nil
	}
	return []container.DeviceRequest{{
		Driver: g.Driver, Count: g.Count, DeviceIDs: g.DeviceIDs, Capabilities: [][]string{g.Capabilities}, Options: g.Options,
	}}
}

// inlineProfiles gives the daemon the seccomp profiles themselves: it takes no file's name.
func inlineProfiles(options []string) ([]string, error) {
	out := slices.Clone(options)
	for i, option := range out {
		file, ok := settings.SeccompFile(option)
		if !ok {
			continue
		}
		profile, err := os.ReadFile(file)
		if err != nil {
			return nil, outcome.System(outcome.SettingsInvalid, "the seccomp profile cannot be read (settings: docker.security_opt, docker.services_security_opt): %w", err)
		}
		out[i] = "seccomp=" + string(profile)
	}
	return out, nil
}

// networkOptions are of the job's network.
func networkOptions(mtu int) map[string]string {
	if mtu == 0 {
		return nil
	}
	return map[string]string{"com.docker.network.driver.mtu": strconv.Itoa(mtu)}
}
