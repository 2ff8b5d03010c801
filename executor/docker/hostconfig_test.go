package docker

import (
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/go-units"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/executor/settings"
)

// plain is the host configuration of a kind of container under settings that say nothing.
func plain(kind string) HostConfig {
	log := container.LogConfig{Type: "none"}
	if kind == KindService {
		log = container.LogConfig{Type: "json-file", Config: map[string]string{"max-size": "10m", "max-file": "1"}}
	}
	return HostConfig{RestartPolicy: container.RestartPolicy{Name: "no"}, LogConfig: log}
}

// change is what a key changes in a kind of container; nil is nothing.
type change func(h *HostConfig)

type keyCase struct {
	d                      settings.Docker
	asked                  Asked
	build, helper, service change
}

func everywhere(d settings.Docker, c change) keyCase {
	return keyCase{d: d, build: c, helper: c, service: c}
}

// TestEachKeyReachesTheContainersThatItIsFor gives for each key what changes in the build, helper and service container; nothing else may.
func TestEachKeyReachesTheContainersThatItIsFor(t *testing.T) {
	t.Parallel()
	yes, no := true, false
	disks := []container.DeviceMapping{{PathOnHost: "/dev/a", PathInContainer: "/dev/a", CgroupPermissions: "rwm"}, {PathOnHost: "/dev/b", PathInContainer: "/dev/c", CgroupPermissions: "r"}}
	gpu := container.DeviceRequest{Count: -1, Capabilities: [][]string{{"gpu"}}, Options: map[string]string{}}
	privileged := func(h *HostConfig) { h.Privileged = true }
	for name, c := range map[string]keyCase{
		"nothing":                          {},
		"privileged":                       {d: settings.Docker{Privileged: true}, build: privileged, service: privileged},
		"privileged, and services are not": {d: settings.Docker{Privileged: true, ServicesPrivileged: &no}, build: privileged},
		"services are privileged alone":    {d: settings.Docker{ServicesPrivileged: &yes}, service: privileged},
		"an image that may be privileged": {
			d: settings.Docker{Privileged: true, AllowedPrivilegedImages: []string{"docker:*"}, AllowedPrivilegedServices: []string{"x"}}, asked: Asked{Image: "docker:27"}, build: privileged,
		},
		"a service that may be privileged": {
			d: settings.Docker{Privileged: true, AllowedPrivilegedImages: []string{"x"}, AllowedPrivilegedServices: []string{"docker:*-dind"}}, asked: Asked{Image: "docker:27-dind"}, service: privileged,
		},
		"capabilities": {d: settings.Docker{CapAdd: []string{"A"}, CapDrop: []string{"B"}}, build: func(h *HostConfig) { h.CapAdd, h.CapDrop = []string{"A"}, []string{"B"} }},
		"security options": {
			d:     settings.Docker{SecurityOpt: []string{"no-new-privileges"}, ServicesSecurityOpt: []string{"apparmor=x"}},
			build: func(h *HostConfig) { h.SecurityOpt = []string{"no-new-privileges"} }, helper: func(h *HostConfig) { h.SecurityOpt = []string{"no-new-privileges"} },
			service: func(h *HostConfig) { h.SecurityOpt = []string{"apparmor=x"} },
		},
		"memory": {
			d:       settings.Docker{Memory: 8 << 20, MemorySwap: 9 << 20, MemoryReservation: 7 << 20, ServiceMemory: 18 << 20, ServiceMemorySwap: 19 << 20, ServiceMemoryReservation: 17 << 20},
			build:   func(h *HostConfig) { h.Memory, h.MemorySwap, h.MemoryReservation = 8<<20, 9<<20, 7<<20 },
			service: func(h *HostConfig) { h.Memory, h.MemorySwap, h.MemoryReservation = 18<<20, 19<<20, 17<<20 },
		},
		"more memory for a job": {
			d: settings.Docker{Memory: 8 << 20, MemorySwap: 9 << 20, MemoryReservation: 7 << 20}, asked: Asked{Memory: 16 << 20},
			build: func(h *HostConfig) { h.Memory, h.MemorySwap, h.MemoryReservation = 16<<20, 17<<20, 7<<20 },
		},
		"less memory for a job": {
			d: settings.Docker{Memory: 18 << 20, MemoryReservation: 17 << 20}, asked: Asked{Memory: 6 << 20},
			build: func(h *HostConfig) { h.Memory, h.MemoryReservation = 6<<20, 6<<20 },
		},
		"processors": {
			d:       settings.Docker{CPUs: 2e9, CPUSetCPUs: "0", CPUSetMems: "1", CPUShares: 3, ServiceCPUs: 4e9, ServiceCPUSetCPUs: "5", ServiceCPUShares: 6},
			build:   func(h *HostConfig) { h.NanoCPUs, h.CpusetCpus, h.CpusetMems, h.CPUShares = 2e9, "0", "1", 3 },
			service: func(h *HostConfig) { h.NanoCPUs, h.CpusetCpus, h.CPUShares = 4e9, "5", 6 },
		},
		"processors for a job": {d: settings.Docker{CPUs: 1e9}, asked: Asked{NanoCPUs: 3e9}, build: func(h *HostConfig) { h.NanoCPUs = 3e9 }},
		"processes":            {d: settings.Docker{PidsLimit: 7}, build: func(h *HostConfig) { h.PidsLimit = new(int64(7)) }},
		"ulimits": {d: settings.Docker{Ulimit: map[string]settings.Ulimit{"nofile": "10:20", "core": "0"}}, build: func(h *HostConfig) {
			h.Ulimits = []*units.Ulimit{{Name: "core"}, {Name: "nofile", Soft: 10, Hard: 20}}
		}},
		"devices": {d: settings.Docker{Devices: []settings.Device{"/dev/a", "/dev/b:/dev/c:r"}, DeviceCgroupRules: []string{"c 1:* r"}}, build: func(h *HostConfig) {
			h.Devices, h.DeviceCgroupRules = disks, []string{"c 1:* r"}
		}},
		"devices of services": {
			d:     settings.Docker{ServicesDevices: map[string][]settings.Device{"db:*": {"/dev/a", "/dev/b:/dev/c:r"}, "other": {"/dev/x"}}},
			asked: Asked{Image: "db:1"}, service: func(h *HostConfig) { h.Devices = disks },
		},
		"devices of a service without a tag": {
			d:     settings.Docker{ServicesDevices: map[string][]settings.Device{"reg:5000/db:latest": {"/dev/a", "/dev/b:/dev/c:r"}, "reg:5000/db": {"/dev/x"}}},
			asked: Asked{Image: "reg:5000/db"}, service: func(h *HostConfig) { h.Devices = disks },
		},
		"gpus": {
			d:     settings.Docker{GPUs: "all", ServiceGPUs: `"device=0,2",driver=nvidia`},
			build: func(h *HostConfig) { h.DeviceRequests = []container.DeviceRequest{gpu} },
			service: func(h *HostConfig) {
				h.DeviceRequests = []container.DeviceRequest{{Driver: "nvidia", DeviceIDs: []string{"0", "2"}, Capabilities: gpu.Capabilities, Options: gpu.Options}}
			},
		},
		"groups and namespaces": {d: settings.Docker{GroupAdd: []string{"g"}, PidMode: "host", IPCMode: "private"}, build: func(h *HostConfig) {
			h.GroupAdd, h.PidMode, h.IpcMode = []string{"g"}, "host", "private"
		}},
		"out of memory": {d: settings.Docker{OOMKillDisable: true, OOMScoreAdjust: 5}, build: func(h *HostConfig) { h.OomKillDisable, h.OomScoreAdj = &yes, 5 }},
		"init":          {asked: Asked{Init: true}, build: func(h *HostConfig) { h.Init = &yes }, service: func(h *HostConfig) { h.Init = &yes }},
		"read only":     {d: settings.Docker{ReadOnly: true}, build: func(h *HostConfig) { h.ReadonlyRootfs = true }},
		"folders in memory": {
			d:       settings.Docker{Tmpfs: map[string]string{"/a": "rw"}, ServicesTmpfs: map[string]string{"/b": ""}, VolumesFrom: []string{"v"}},
			build:   func(h *HostConfig) { h.Tmpfs, h.VolumesFrom = map[string]string{"/a": "rw"}, []string{"v"} },
			service: func(h *HostConfig) { h.Tmpfs = map[string]string{"/b": ""} },
		},
		"of all": everywhere(settings.Docker{DNS: []string{"1.1.1.1"}, DNSSearch: []string{"d"}, ExtraHosts: []string{"e:1.1.1.1"}, Runtime: "r", UsernsMode: "host", ShmSize: 9}, func(h *HostConfig) {
			h.DNS, h.DNSSearch, h.ExtraHosts, h.Runtime, h.UsernsMode, h.ShmSize = []string{"1.1.1.1"}, []string{"d"}, []string{"e:1.1.1.1"}, "r", "host", 9
		}),
		"of build and helper": {
			d:      settings.Docker{Sysctls: map[string]string{"s": "1"}, CgroupParent: "c", VolumeDriver: "v"},
			build:  func(h *HostConfig) { h.Sysctls, h.CgroupParent, h.VolumeDriver = map[string]string{"s": "1"}, "c", "v" },
			helper: func(h *HostConfig) { h.Sysctls, h.CgroupParent, h.VolumeDriver = map[string]string{"s": "1"}, "c", "v" },
		},
		"cgroup of services": {d: settings.Docker{ServiceCgroupParent: "c"}, service: func(h *HostConfig) { h.CgroupParent = "c" }},
		"logs": everywhere(settings.Docker{LogOptions: map[string]string{"env": "A"}}, func(h *HostConfig) {
			h.LogConfig = container.LogConfig{Type: "json-file", Config: map[string]string{"max-size": "10m", "max-file": "1", "env": "A"}}
		}),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for kind, change := range map[string]change{KindBuild: c.build, KindHelper: c.helper, KindService: c.service} {
				want := plain(kind)
				if change != nil {
					change(&want)
				}
				if got := NewHostConfig(&c.d, kind, c.asked); !reflect.DeepEqual(got, want) {
					t.Errorf("%s:\ngot  %+v\nwant %+v", kind, got, want)
				}
			}
		})
	}
}

func TestASeccompProfileIsGivenToTheDaemonItself(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "profile.json")
	if err := os.WriteFile(file, []byte(`{"defaultAction": "SCMP_ACT_ALLOW"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := inlineProfiles([]string{"no-new-privileges", "seccomp=" + file, "seccomp=unconfined"})
	if want := []string{"no-new-privileges", `seccomp={"defaultAction": "SCMP_ACT_ALLOW"}`, "seccomp=unconfined"}; err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %q, %v", got, err)
	}
	if _, err := inlineProfiles([]string{"seccomp=" + file + ".gone"}); err == nil {
		t.Error("a profile that has gone must not be left out")
	}
}
