package executor

import (
	"bytes"
	"strings"
	"testing"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/executor/docker"
	"gitlab.com/gitlab-go-executor/gitlab-go-executor/executor/outcome"
	"gitlab.com/gitlab-go-executor/gitlab-go-executor/executor/runner"
	"gitlab.com/gitlab-go-executor/gitlab-go-executor/executor/settings"
)

// mounted is where a folder of the container is on the host.
func mounted(s docker.Spec, target string) string {
	for _, m := range s.Mounts {
		if m.Target == target {
			return m.Source
		}
	}
	return ""
}

func TestTheAdministratorSaysWhatIsKept(t *testing.T) {
	t.Parallel()
	j := testJob()
	tier := j.id.Tier
	for name, c := range map[string]struct {
		d              settings.Docker
		builds, caches string
	}{
		"as it is":     {settings.Docker{}, "/state/builds/gitlab.example.com/42/" + tier + "/3", "/state/caches/gitlab.example.com/42/" + tier},
		"elsewhere":    {settings.Docker{CacheDir: "/srv"}, "/state/builds/gitlab.example.com/42/" + tier + "/3", "/srv/gitlab.example.com/42/" + tier},
		"nothing kept": {settings.Docker{DisableCache: true, CacheDir: "/srv"}, "/state/jobs/gitlab.example.com/7/folders/builds", "/state/jobs/gitlab.example.com/7/folders/cache"},
	} {
		j := testJob()
		j.settings.Docker = c.d
		if s := j.helperSpec(docker.Image{}, "net", 3); mounted(s, runner.BuildsDir) != c.builds || mounted(s, runner.CacheDir) != c.caches {
			t.Errorf("%s: %+v", name, s.Mounts)
		}
	}
}

func TestTheEntrypointIsTheJobsUnlessTheAdministratorForbids(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	j := testJob()
	j.call.Stdout = &log
	j.payload.Image = runner.Image{Name: "a:1", Entrypoint: []string{"x"}}
	j.payload.Services = []runner.Image{{Name: "b:1", Entrypoint: []string{"y"}}, {Name: "c:1"}}
	if e := j.buildSpec(docker.Image{}, "net", 0).Entrypoint; len(e) != 1 {
		t.Errorf("the job's entrypoint is %q", e)
	}
	j.settings.Docker.DisableEntrypointOverwrite = true
	j.sayEntrypoints()
	if e := j.buildSpec(docker.Image{}, "net", 0).Entrypoint; e != nil {
		t.Errorf("the job's entrypoint is %q", e)
	}
	if e := j.serviceSpec(0, servicePlan{definition: j.payload.Services[0]}, docker.Image{}, "net").Entrypoint; e != nil {
		t.Errorf("the service's entrypoint is %q", e)
	}
	if text := log.String(); !strings.Contains(text, "image a:1") || !strings.Contains(text, "image b:1") || strings.Contains(text, "image c:1") {
		t.Errorf("the log says %q", text)
	}
}

func TestAJobChoosesAmongTheUsersThatAreAllowed(t *testing.T) {
	t.Parallel()
	s := settings.Default()
	s.Docker.AllowedUsers = []string{"1000", "ci"}
	p := testJob().payload
	p.Image.Name = "golang:1.26"
	for user, ok := range map[string]bool{"": true, "ci": true, "$WHO": true, "root": false} {
		p.Image.Options.Docker.User = runner.StringOrInt(user)
		_, err := planImages(s, runner.Env{Variables: map[string]string{"WHO": "1000"}}, p)
		if (err == nil) != ok || (err != nil && (outcome.Of(err).Outcome != outcome.JobInvalid || !strings.Contains(err.Error(), "allowed: 1000, ci"))) {
			t.Errorf("%q: %v", user, err)
		}
	}
}

func TestNamesOfTheAdministratorsChoice(t *testing.T) {
	t.Parallel()
	j := testJob("CUSTOM_ENV_TEAM=blue")
	j.settings.Docker.Hostname, j.settings.Docker.ContainerLabels = "ci.example.com", map[string]string{"team": "the $TEAM one"}
	j.settings.Docker.MACAddress = "92:d0:c6:0a:29:33"
	j.settings.Docker.VolumeDriver, j.settings.Docker.VolumeDriverOps = "nfs", map[string]string{"o": "size=1m"}
	build, helper, service := j.buildSpec(docker.Image{}, "net", 0), j.helperSpec(docker.Image{}, "net", 0), j.serviceSpec(0, servicePlan{}, docker.Image{}, "net")
	for _, s := range []docker.Spec{build, helper, service} {
		if s.Labels["team"] != "the blue one" || s.VolumeDriver != "nfs" || s.VolumeOptions["o"] != "size=1m" {
			t.Errorf("%s: %+v", s.Kind, s)
		}
	}
	if build.Hostname != "ci.example.com" || helper.Hostname != "ci.example.com" || service.Hostname != "" {
		t.Errorf("hostnames %q, %q, %q", build.Hostname, helper.Hostname, service.Hostname)
	}
	if build.MAC == "" || helper.MAC != "" || service.MAC != "" {
		t.Errorf("two containers of a network have one address: %q, %q, %q", build.MAC, helper.MAC, service.MAC)
	}
}
