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
	j := testJob("CUSTOM_ENV_KEY=the content", "CUSTOM_ENV_A=1", "CUSTOM_ENV_RUNNER_TEMP_PROJECT_DIR=/builds/g/p.tmp")
	j.payload.Variables = []runner.Variable{{Key: "KEY", File: true}, {Key: "A"}}
	if got := buildEnv(j.env, j.payload); !slices.Contains(got, "KEY=/builds/g/p.tmp/KEY") || !slices.Contains(got, "A=1") || strings.Contains(strings.Join(got, " "), "content") {
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
