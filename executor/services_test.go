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

func TestSecretsStayOutOfServicesUnlessTheseAskForThem(t *testing.T) {
	t.Parallel()
	j := testJob("CUSTOM_ENV_OPEN=o", "CUSTOM_ENV_MASKED=m", "CUSTOM_ENV_HIDDEN=h", "CUSTOM_ENV_KEY=k", "CUSTOM_ENV_VAULT=v", "CUSTOM_ENV_CI_PROJECT_DIR=/builds/g/p",
		"CUSTOM_ENV_TWICE=t", "CUSTOM_ENV_CI_SERVER_TLS_KEY_FILE=private", "CUSTOM_ENV_RUNNER_TEMP_PROJECT_DIR=/builds/g/p.tmp", "HOST=never")
	j.payload.Variables = []runner.Variable{
		{Key: "OPEN", Public: true},
		{Key: "MASKED", Public: true, Masked: true},
		{Key: "HIDDEN"},
		{Key: "KEY", File: true},
		{Key: "TWICE"},
		{Key: "TWICE", Public: true},
	}
	j.payload.Secrets = map[string]runner.Secret{"VAULT": {}}
	got := serviceEnv(j.env, j.payload, []runner.Variable{
		{Key: "URL", Value: "$OPEN:${HIDDEN}@$KEY"}, {Key: "RAW", Value: "$OPEN", Raw: true}, {Key: "PRICE", Value: "5$$"}, {Key: "OTHER", Value: "$RAW"},
	})
	want := []string{
		"CI_DISPOSABLE_ENVIRONMENT=true", "CI_PROJECT_DIR=/builds/g/p", "CI_SERVER_TLS_KEY_FILE=/builds/g/p.tmp/CI_SERVER_TLS_KEY_FILE", "OPEN=o",
		"OTHER=$OPEN", "PRICE=5$", "RAW=$OPEN", "RUNNER_TEMP_PROJECT_DIR=/builds/g/p.tmp", "URL=o:h@/builds/g/p.tmp/KEY",
	}
	if !slices.Equal(got, want) {
		t.Errorf("a service sees %q\nwant %q", got, want)
	}
}

func TestTheAdministratorsServicesComeFirst(t *testing.T) {
	t.Parallel()
	j := testJob("CUSTOM_ENV_V=7")
	d := &j.settings.Docker
	d.Services = []settings.Service{{Name: "redis:$V", Alias: "cache, mem$V", Command: []string{"serve"}, Environment: []string{"A=b=$V"}}}
	d.AllowedServices = []string{"postgres:*"}
	j.payload.Image.Name = "golang:1"
	j.payload.Services = []runner.Image{{Name: "postgres:15", Alias: "postgres cache db"}, {Name: "redis:7"}}
	plan, err := planImages(j.settings, j.env, j.payload)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, s := range plan.services {
		got = append(got, s.request.Name+" "+strings.Join(s.aliases, " "))
	}
	if want := []string{"redis:7 redis cache mem7", "postgres:15 postgres db"}; !slices.Equal(got, want) {
		t.Errorf("services %q, want %q", got, want)
	}
	if w := strings.Join(plan.warnings, "\n"); len(plan.warnings) != 2 || !strings.Contains(w, `alias "cache" for service "postgres:15" (services[0])`) || !strings.Contains(w, `alias "redis" for service "redis:7" (services[1])`) {
		t.Errorf("the warnings are\n%s", w)
	}
	s := j.serviceSpec(0, plan.services[0], docker.Image{}, "net")
	if !slices.Contains(s.Env, "A=b=7") || !slices.Equal(s.Cmd, []string{"serve"}) || s.Entrypoint != nil {
		t.Errorf("it is started as %+v", s)
	}
	plan.services[0].definition.Entrypoint = []string{}
	if s := j.serviceSpec(0, plan.services[0], docker.Image{}, "net"); s.Entrypoint != nil {
		t.Error("an empty entrypoint takes away that of the image")
	}
}

func TestServicesBeyondTheLimitAreTheJobsMistake(t *testing.T) {
	t.Parallel()
	j := testJob()
	j.payload.Image.Name = "golang:1"
	j.payload.Services = []runner.Image{{Name: "a"}, {Name: "a"}} // counted before names are looked at, as under the docker executor
	j.settings.Docker.Services = []settings.Service{{Name: "b"}}
	for limit, fine := range map[int]bool{-1: true, 0: false, 2: false, 3: true} {
		j.settings.Docker.ServicesLimit = limit
		_, err := planImages(j.settings, j.env, j.payload)
		if (err == nil) != fine {
			t.Errorf("limit %d: %v", limit, err)
		}
		if err != nil && (!outcome.Of(err).UsersFault() || !strings.Contains(err.Error(), "3 are too many")) {
			t.Errorf("limit %d: %v", limit, err)
		}
	}
}

func TestTheNetworkHasTheNameThatRunnerTellsTheJob(t *testing.T) {
	t.Parallel()
	for told, taken := range map[string]bool{
		"runner-abcdefghi-42-0-7": true, "runner-a-b-42-11-7": true,
		"": false, "runner-x-42-0-8": false, "runner-x-43-0-7": false, "bridge": false, "runner-x y-42-0-7": false, "x-runner-x-42-0-7": false,
	} {
		j := testJob("CUSTOM_ENV_CI_BUILD_NETWORK_NAME=" + told)
		j.store.record.Owner.Name = "ours"
		want := "ours"
		if taken {
			want = told
		}
		if got := j.networkName(); got != want {
			t.Errorf("told %q: the network is %q", told, got)
		}
	}
}

func TestTheAdministratorsNetworkIsUsed(t *testing.T) {
	t.Parallel()
	j := testJob()
	j.store.record.Objects[objectNetwork] = "id"
	if got := j.network(); got != "id" {
		t.Errorf("by default %q", got)
	}
	j.settings.Docker.NetworkMode = "company"
	if got := j.network(); got != "company" {
		t.Errorf("with network_mode %q", got)
	}
}
