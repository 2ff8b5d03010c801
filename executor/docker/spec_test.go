package docker

import (
	"slices"
	"testing"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

func TestNoContainerOfAJobIsPrivileged(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{KindHelper, KindBuild, KindService} {
		config, host, networks, _ := Spec{Kind: kind, Image: Image{ID: "sha256:x"}, Network: "n", Aliases: []string{"a"}}.configs(Owner{State: "s", Job: "j", Ref: "main"})
		if host.Privileged || len(host.CapAdd) > 0 || !slices.Contains(host.SecurityOpt, "no-new-privileges") {
			t.Errorf("%s: %+v", kind, host)
		}
		if config.Labels[labelState] != "s" || config.Labels[labelJob] != "j" || config.Labels[labelManaged] != "true" || config.Labels[labelType] != kind {
			t.Errorf("%s: labels %v", kind, config.Labels)
		}
		if networks.EndpointsConfig["n"] == nil {
			t.Errorf("%s is not in the job's network", kind)
		}
	}
}

func TestLimitsAndVolumesReachDocker(t *testing.T) {
	t.Parallel()
	s := Spec{
		Kind: KindBuild, Stdin: true, Image: Image{ID: "sha256:x", Platform: &ocispec.Platform{OS: "linux", Architecture: "arm", Variant: "v7"}},
		Limits:  Limits{Memory: 1 << 30, NanoCPUs: 15e8, Pids: 100, ShmSize: 1 << 20},
		Mounts:  []Mount{{Source: "/host/a:b", Target: "/builds", ReadOnly: true}},
		Volumes: []string{"/certs:/certs:ro", "/scratch"},
	}
	config, host, _, platform := s.configs(Owner{})
	if host.Memory != 1<<30 || host.NanoCPUs != 15e8 || *host.PidsLimit != 100 || host.ShmSize != 1<<20 {
		t.Errorf("limits: %+v", host.Resources)
	}
	if !slices.Equal(host.Binds, []string{"/certs:/certs:ro"}) || len(host.Mounts) != 2 {
		t.Errorf("binds %v, mounts %v", host.Binds, host.Mounts)
	}
	if m := host.Mounts[0]; m.Source != "/host/a:b" || m.Target != "/builds" || !m.ReadOnly {
		t.Errorf("a path with a colon: %+v", m)
	}
	if !config.OpenStdin || !config.StdinOnce || platform.Architecture != "arm" || platform.Variant != "v7" {
		t.Errorf("stdin %v, platform %+v", config.OpenStdin, platform)
	}
	if _, host, _, platform := (Spec{}).configs(Owner{}); host.PidsLimit != nil || platform != nil {
		t.Error("no limit must leave the daemon's default")
	}
}
