package docker

import (
	"slices"
	"testing"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

func TestEveryContainerBearsTheLabelsThatItsRemovalGoesBy(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{KindHelper, KindBuild, KindService} {
		s := Spec{Kind: kind, Image: Image{ID: "sha256:x"}, Network: "n", Aliases: []string{"a"}, Labels: map[string]string{"team": "ci", labelJob: "another"}}
		config, _, networks, _ := s.configs(Owner{State: "s", Job: "j", Ref: "main"})
		if config.Labels[labelState] != "s" || config.Labels[labelJob] != "j" || config.Labels[labelManaged] != "true" || config.Labels[labelType] != kind || config.Labels["team"] != "ci" {
			t.Errorf("%s: labels %v", kind, config.Labels)
		}
		if networks.EndpointsConfig["n"] == nil {
			t.Errorf("%s is not in the job's network", kind)
		}
	}
}

func TestFoldersAndVolumesReachDocker(t *testing.T) {
	t.Parallel()
	s := Spec{
		Kind: KindBuild, Stdin: true, Image: Image{ID: "sha256:x", Platform: &ocispec.Platform{OS: "linux", Architecture: "arm", Variant: "v7"}},
		Mounts:  []Mount{{Source: "/host/a:b", Target: "/cache", ReadOnly: true}},
		Volumes: []string{"/certs:/certs:ro", "/scratch"},
	}
	config, host, _, platform := s.configs(Owner{})
	if !slices.Equal(host.Binds, []string{"/certs:/certs:ro"}) || len(host.Mounts) != 2 {
		t.Errorf("binds %v, mounts %v", host.Binds, host.Mounts)
	}
	if m := host.Mounts[0]; m.Source != "/host/a:b" || m.Target != "/cache" || !m.ReadOnly {
		t.Errorf("a path with a colon: %+v", m)
	}
	if !config.OpenStdin || !config.StdinOnce || platform.Architecture != "arm" || platform.Variant != "v7" {
		t.Errorf("stdin %v, platform %+v", config.OpenStdin, platform)
	}
	if host.Mounts[1].VolumeOptions.DriverConfig != nil {
		t.Error("a volume without a driver of the settings has the daemon's")
	}
	s.Host.Tmpfs = map[string]string{"/cache": "rw"}
	s.VolumeDriver, s.VolumeOptions = "local", map[string]string{"type": "tmpfs"}
	_, host, _, _ = s.configs(Owner{})
	if len(host.Mounts) != 1 {
		t.Fatalf("a folder in memory is mounted twice: %+v", host.Mounts)
	}
	if d := host.Mounts[0].VolumeOptions.DriverConfig; d == nil || d.Name != "local" || d.Options["type"] != "tmpfs" {
		t.Errorf("the driver of a volume: %+v", d)
	}
	if _, _, _, platform := (Spec{}).configs(Owner{}); platform != nil {
		t.Error("no platform must leave the daemon's default")
	}
}

func TestOnlyNetworksThatKnowNamesAreGivenSome(t *testing.T) {
	t.Parallel()
	for name, named := range map[string]bool{"4f2a": true, "company": true, "bridge": false, "default": false, "host": false, "none": false, "": false} {
		_, host, networks, _ := Spec{Network: name, Aliases: []string{"db"}, Links: []string{"mirror"}}.configs(Owner{})
		got := networks != nil && slices.Equal(networks.EndpointsConfig[name].Aliases, []string{"db"})
		if got != named || string(host.NetworkMode) != name || !slices.Equal(host.Links, []string{"mirror"}) {
			t.Errorf("%q: names %v, mode %s, links %v", name, got, host.NetworkMode, host.Links)
		}
	}
}
