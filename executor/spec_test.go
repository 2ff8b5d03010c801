package executor

import (
	"slices"
	"strings"
	"testing"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/executor/docker"
	"gitlab.com/gitlab-go-executor/gitlab-go-executor/executor/outcome"
	"gitlab.com/gitlab-go-executor/gitlab-go-executor/executor/runner"
	"gitlab.com/gitlab-go-executor/gitlab-go-executor/executor/settings"
)

func testJob(environ ...string) *job {
	p := &runner.Payload{ID: 7}
	p.JobInfo.ProjectID, p.GitInfo.RepoURL, p.GitInfo.Ref = 42, "https://gitlab.example.com/g/p.git", "main"
	return &job{
		env: runner.ReadEnv(environ), settings: settings.Default(), payload: p, id: p.Identity(), tree: "/state",
		store: &store{record: Record{Objects: map[string]string{}}},
	}
}

func TestTheJobSeesFileVariablesAsPaths(t *testing.T) {
	t.Parallel()
	j := testJob("CUSTOM_ENV_KEY=the content", "CUSTOM_ENV_A=1", "CUSTOM_ENV_RUNNER_TEMP_PROJECT_DIR=/builds/g/p.tmp", "CUSTOM_ENV_VAULT=secret", "CUSTOM_ENV_PLAIN=2")
	j.payload.Variables = []runner.Variable{{Key: "KEY", File: true}, {Key: "A"}}
	j.payload.Secrets = map[string]runner.Secret{"VAULT": {}, "PLAIN": {File: new(false)}}
	got := strings.Join(buildEnv(j.env, j.payload), " ")
	if got != "A=1 CI_DISPOSABLE_ENVIRONMENT=true KEY=/builds/g/p.tmp/KEY PLAIN=2 RUNNER_TEMP_PROJECT_DIR=/builds/g/p.tmp VAULT=/builds/g/p.tmp/VAULT" {
		t.Errorf("the job's environment is %q", got)
	}
}

func TestTheAdministratorsUserAndLimitsWin(t *testing.T) {
	t.Parallel()
	j := testJob()
	j.payload.Image.Options.Docker.User = "root"
	image := docker.Image{ID: "sha256:x"}
	if s := j.buildSpec(image, "net", 3); s.User != "root" || s.Host.Memory != 0 || s.Hostname != "runner-project-42-concurrent-3" {
		t.Errorf("%+v", s)
	}
	j.settings.Docker.User, j.settings.Docker.Memory, j.settings.Docker.PidsLimit = "1000", 1<<30, 50
	s := j.buildSpec(image, "net", 3)
	if s.User != "1000" || s.Host.Memory != 1<<30 || *s.Host.PidsLimit != 50 {
		t.Errorf("%+v", s)
	}
	if h := j.helperSpec(image, "net", 3); h.User != "0:0" || h.Host.Memory != 0 {
		t.Errorf("the helper is bound by the job's limits: %+v", h)
	}
	for _, m := range s.Mounts {
		if m.Target == runner.BuildsDir && m.Source != "/state/builds/gitlab.example.com/42/"+j.id.Tier+"/3" {
			t.Errorf("the checkout is at %s", m.Source)
		}
	}
}

func TestVolumesOfADockerRunnersConfigWork(t *testing.T) {
	t.Parallel()
	targets := func(volumes ...string) []string {
		j := testJob()
		j.settings.Docker.Volumes = volumes
		s := j.baseSpec(docker.KindBuild, docker.Image{}, "net", 0)
		var out []string
		for _, m := range s.Mounts {
			out = append(out, m.Target)
		}
		return append(out, s.Volumes...)
	}
	for _, c := range []struct{ volumes, want []string }{
		{nil, []string{"/builds", "/cache"}},
		{[]string{"/cache", "/builds/"}, []string{"/builds", "/cache"}}, // what `gitlab-runner register` writes
		{[]string{"/srv/cache:/cache:rw"}, []string{"/builds", "/srv/cache:/cache:rw"}},
		{[]string{"/certs:/certs:ro", "/scratch"}, []string{"/builds", "/cache", "/certs:/certs:ro", "/scratch"}},
	} {
		if got := targets(c.volumes...); !slices.Equal(got, c.want) {
			t.Errorf("volumes %q are mounted as %q, want %q", c.volumes, got, c.want)
		}
	}
}

func TestAVolumeAppearsWhereTheJobsVariablesSay(t *testing.T) {
	t.Parallel()
	env := runner.ReadEnv([]string{"CUSTOM_ENV_CI_PROJECT_PATH=group/app", "CUSTOM_ENV_OPTION=a:rshared", "CUSTOM_ENV_UP=..", "CUSTOM_ENV_BUILDS=builds"})
	for volume, want := range map[string]string{
		"/srv/$CI_PROJECT_PATH:/mnt/$CI_PROJECT_PATH:ro": "/srv/$CI_PROJECT_PATH:/mnt/group/app:ro",
		"/scratch/${CI_PROJECT_PATH}":                    "/scratch/group/app",
		"tools:/opt/tools":                               "tools:/opt/tools",
		"/srv:/mnt/$OPTION":                              "",
		"/srv:/$UP":                                      "",
		"/srv:/$NOTHING":                                 "",
		"/srv:/$BUILDS":                                  "",
	} {
		got, err := expandVolume(env, volume)
		if got != want || (err != nil) != (want == "") {
			t.Errorf("%s: %q, %v, want %q", volume, got, err, want)
		}
		if err != nil && (!outcome.Of(err).UsersFault() || !strings.Contains(err.Error(), "docker.volumes")) {
			t.Errorf("%s: %v", volume, err)
		}
	}
	j := testJob("CUSTOM_ENV_WHERE=cache")
	j.settings.Docker.Volumes = []string{"/srv/cache:/$WHERE"}
	if s := j.baseSpec(docker.KindBuild, docker.Image{}, "net", 0); len(s.Mounts) != 1 || !slices.Equal(s.Volumes, []string{"/srv/cache:/cache"}) || j.checkVolumes() != nil {
		t.Errorf("%+v", s)
	}
	j.settings.Docker.Volumes = []string{"/srv:/$NOTHING"}
	if j.checkVolumes() == nil {
		t.Error("prepare does not tell")
	}
}

func TestAllMistakesInAJobsImagesAreSaidAtOnce(t *testing.T) {
	t.Parallel()
	s := settings.Default()
	s.Docker.AllowedImages, s.Docker.AllowedServices = []string{"golang:*"}, []string{"postgres:*"}
	p := testJob().payload
	p.Image = runner.Image{Name: "alpine:3", PullPolicies: []string{"never"}}
	p.Services = []runner.Image{{Name: "mysql:8"}, {}}
	_, err := planImages(s, runner.Env{}, p)
	for _, want := range []string{`image: image "alpine:3"`, `image: pull_policy "never"`, `services[0]: image "mysql:8"`, "services[1] names no image"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not said in: %v", want, err)
		}
	}
	if f := outcome.Of(err); f.Outcome != outcome.JobInvalid {
		t.Errorf("it is %s", f.Outcome)
	}
	s.Docker.Image = "company/default:1"
	p.Image, p.Services = runner.Image{}, nil
	if plan, err := planImages(s, runner.Env{}, p); err != nil || plan.build.Name != "company/default:1" {
		t.Errorf("the administrator's own default: %v, %v", plan.build, err)
	}
}

func TestImagesAreNamedWithVariables(t *testing.T) {
	t.Parallel()
	env := runner.ReadEnv([]string{"CUSTOM_ENV_CI_RUNNER_VERSION=19.4.0", "CUSTOM_ENV_GO=1.26", "CUSTOM_ENV_REPOSITORY=company", "CUSTOM_ENV_ARCH=arm64"})
	s := settings.Default()
	s.Docker.Image, s.Docker.HelperImage = "$REPOSITORY/default:${GO}", "helper:v${CI_RUNNER_VERSION}"
	s.Docker.AllowedImages = []string{"golang:1.*"}
	p := testJob().payload
	for name, want := range map[string]string{"": "company/default:1.26", "company/default:1.26": "company/default:1.26", "golang:$GO": "golang:1.26", "$REPOSITORY/other": ""} {
		p.Image = runner.Image{Name: name}
		p.Image.Options.Docker.Platform = "linux/$ARCH"
		plan, err := planImages(s, env, p)
		if want == "" {
			if outcome.Of(err).Reason != outcome.ImageNotAllowed || !strings.Contains(err.Error(), `"company/other"`) {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		if err != nil || plan.build.Name != want || plan.build.Platform != "linux/arm64" || plan.helper.Name != "helper:v19.4.0" {
			t.Errorf("%s: %+v, %v", name, plan.build, err)
		}
	}
}

// A name may hold a variable still when Runner has expanded it once: of $$V it makes $V.
func TestWhoIsPrivilegedIsJudgedByTheNameThatIsPulled(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]bool{"docker:27": true, "docker:$V": false, "$D": true, "": true} {
		j := testJob("CUSTOM_ENV_V=5000/evil:1", "CUSTOM_ENV_D=docker:27")
		d := &j.settings.Docker
		d.Image, d.Privileged, d.AllowedPrivilegedImages, d.AllowedPrivilegedServices = "$D", true, []string{"docker:*"}, []string{"docker:*"}
		j.payload.Image.Name = name
		j.payload.Services = []runner.Image{{Name: name}}
		if got := j.buildSpec(docker.Image{}, "net", 0).Host.Privileged; got != want {
			t.Errorf("the job's image %q is privileged: %v", name, got)
		}
		if name == "" {
			continue // no service
		}
		plan, err := planImages(j.settings, j.env, j.payload)
		if err != nil {
			t.Fatal(err)
		}
		if got := j.serviceSpec(0, plan.services[0], docker.Image{}, "net").Host.Privileged; got != want {
			t.Errorf("service %q, which is %q, is privileged: %v", name, plan.services[0].request.Name, got)
		}
	}
}

func TestAHelperImageThatIsMissingIsNotTheUsersFault(t *testing.T) {
	t.Parallel()
	err := helperProblem(outcome.Job(outcome.ImageNotFound, "nope"))
	if f := outcome.Of(err); f.UsersFault() || f.Reason != outcome.HelperUnusable {
		t.Errorf("%s/%s", f.Outcome, f.Reason)
	}
	if f := outcome.Of(helperProblem(outcome.Job(outcome.BadDefinition, "the job's logins"))); !f.UsersFault() {
		t.Errorf("the job's own mistake became %s", f.Reason)
	}
	if helperProblem(nil) != nil {
		t.Error("no problem became one")
	}
}
