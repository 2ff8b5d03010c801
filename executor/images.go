package executor

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/executor/docker"
	"gitlab.com/gitlab-go-executor/gitlab-go-executor/executor/outcome"
	"gitlab.com/gitlab-go-executor/gitlab-go-executor/executor/runner"
	"gitlab.com/gitlab-go-executor/gitlab-go-executor/executor/settings"
)

// imagePlan is which images the job needs, once the policy has been found to allow them.
type imagePlan struct {
	build, helper docker.ImageRequest
	services      []docker.ImageRequest
}

// planImages checks the job's images against the settings. All mistakes are reported at once.
func planImages(s *settings.Settings, env runner.Env, p *runner.Payload) (imagePlan, error) {
	d := s.Docker
	var plan imagePlan
	var problems []error
	request := func(key string, image runner.Image, allowed, always []string) docker.ImageRequest {
		policies, err := docker.PullPolicies(key, image.PullPolicies, d.PullPolicy, d.AllowedPullPolicies)
		problems = append(problems, docker.CheckImage(key, image.Name, allowed, always), err, checkTexts(key, image))
		return docker.ImageRequest{Name: image.Name, Policies: policies, Platform: env.Expand(image.Options.Docker.Platform), Logins: logins(p)}
	}
	image := p.Image
	if image.Name == "" {
		image.Name = d.Image
	}
	if image.Name == "" {
		problems = append(problems, outcome.Job(outcome.NoImage, "the job names no image (.gitlab-ci.yml: image), and this runner has no default (settings: docker.image)"))
	} else {
		plan.build = request("image", image, d.AllowedImages, []string{d.Image})
	}
	if user := buildUser(&d, env, p); !d.UserAllowed(user) {
		problems = append(problems, outcome.Job(outcome.BadDefinition, "image: user %q is not allowed on this runner; allowed: %s", user, strings.Join(d.AllowedUsers, ", ")))
	}
	for i, service := range p.Services {
		key := fmt.Sprintf("services[%d]", i)
		if service.Name == "" {
			problems = append(problems, outcome.Job(outcome.NoImage, "%s names no image", key))
			continue
		}
		plan.services = append(plan.services, request(key, service, d.AllowedServices, nil))
	}
	helper, err := docker.PullPolicies("helper_image", nil, d.PullPolicy, nil)
	problems = append(problems, err)
	plan.helper = docker.ImageRequest{Name: d.HelperImage, Policies: helper, Logins: logins(p)}
	return plan, errors.Join(problems...)
}

// checkTexts finds what Docker, or the kernel, takes in no process: a variable without a name, and NUL anywhere. It names keys
// only, since values may be secrets.
func checkTexts(key string, image runner.Image) error {
	var problems []error
	bad := func(format string, args ...any) {
		problems = append(problems, outcome.Job(outcome.BadDefinition, format, args...))
	}
	for _, v := range image.Variables {
		if v.Key == "" || strings.ContainsAny(v.Key, "=\x00") || strings.Contains(v.Value, "\x00") {
			bad("%s: variable %q: its name must not be empty or hold =, and neither name nor value may hold a NUL character", key, v.Key)
		}
	}
	for _, text := range slices.Concat(image.Entrypoint, image.Command, []string{string(image.Options.Docker.User), image.Options.Docker.Platform}) {
		if strings.Contains(text, "\x00") {
			bad("%s: entrypoint, command, user and platform must not hold a NUL character", key)
		}
	}
	return errors.Join(problems...)
}

func logins(p *runner.Payload) []docker.Login {
	var out []docker.Login
	for _, c := range p.Credentials {
		if c.Type == "registry" {
			out = append(out, docker.Login{Registry: c.URL, Username: c.Username, Password: c.Password})
		}
	}
	return out
}

// helperProblem makes the administrator's fault of what would be the job's with its own image.
func helperProblem(err error) error {
	if outcome.Of(err).UsersFault() {
		return outcome.System(outcome.HelperUnusable, "settings: docker.helper_image: %w", errors.New(err.Error()))
	}
	return err
}
