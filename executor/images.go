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
	services      []servicePlan
	warnings      []string // for the job log
}

// servicePlan is a service that will be started.
type servicePlan struct {
	definition runner.Image
	request    docker.ImageRequest
	aliases    []string
}

// planImages checks the job's images against the settings. All mistakes are reported at once.
func planImages(s *settings.Settings, env runner.Env, p *runner.Payload) (imagePlan, error) {
	d := s.Docker
	defaultImage, logins := env.Expand(d.Image), loginsOf(env, p)
	var plan imagePlan
	var problems []error
	request := func(key string, image runner.Image, allowed, always []string) docker.ImageRequest {
		image.Name = env.Expand(image.Name) // once more than Runner did, like the docker executor
		policies, err := docker.PullPolicies(key, image.PullPolicies, d.PullPolicy, d.AllowedPullPolicies)
		problems = append(problems, docker.CheckImage(key, image.Name, allowed, always), err, checkTexts(key, image))
		return docker.ImageRequest{Name: image.Name, Policies: policies, Platform: env.Expand(image.Options.Docker.Platform), Logins: logins}
	}
	image := p.Image
	if image.Name == "" {
		image.Name = defaultImage
	}
	if image.Name == "" {
		problems = append(problems, outcome.Job(outcome.NoImage, "the job names no image (.gitlab-ci.yml: image), and this runner has no default (settings: docker.image)"))
	} else {
		plan.build = request("image", image, d.AllowedImages, []string{defaultImage})
	}
	if user := buildUser(&d, env, p); !d.UserAllowed(user) {
		problems = append(problems, outcome.Job(outcome.BadDefinition, "image: user %q is not allowed on this runner; allowed: %s", user, strings.Join(d.AllowedUsers, ", ")))
	}
	problems = append(problems, plan.addServices(s, env, p, request))
	helper, err := docker.PullPolicies("helper_image", nil, d.PullPolicy, nil)
	problems = append(problems, err)
	plan.helper = docker.ImageRequest{Name: env.Expand(d.HelperImage), Policies: helper, Logins: logins}
	return plan, errors.Join(problems...)
}

// addServices plans the administrator's services, then the job's (executors/docker/services.go, getServicesDefinitions). A name that two of
// them would have is the first one's; a service without a name would not be reached, so it is not started.
func (plan *imagePlan) addServices(s *settings.Settings, env runner.Env, p *runner.Payload,
	request func(key string, image runner.Image, allowed, always []string) docker.ImageRequest,
) error {
	d := s.Docker
	var problems []error
	var always []string
	used := map[string]bool{}
	add := func(key string, service runner.Image, allowed []string) {
		if service.Name == "" {
			problems = append(problems, outcome.Job(outcome.NoImage, "%s names no image", key))
			return
		}
		planned := servicePlan{definition: service, request: request(key, service, allowed, always)}
		for _, alias := range docker.ServiceAliases(service.Name, service.Aliases()) {
			if used[alias] {
				plan.warnings = append(plan.warnings, fmt.Sprintf("Skipping alias %q for service %q (%s): alias is already in use by another service.", alias, service.Name, key))
				continue
			}
			used[alias] = true
			planned.aliases = append(planned.aliases, alias)
		}
		if len(planned.aliases) > 0 {
			plan.services = append(plan.services, planned)
		}
	}
	for i, service := range d.Services {
		image := administratorsService(service, env)
		add(fmt.Sprintf("docker.services[%d] of this runner's settings", i), image, nil)
		always = append(always, image.Name)
	}
	for i, service := range p.Services {
		add(fmt.Sprintf("services[%d]", i), service, d.AllowedServices)
	}
	if n := len(d.Services) + len(p.Services); d.ServicesLimit >= 0 && n > d.ServicesLimit {
		problems = append(problems, outcome.Job(outcome.BadDefinition, "services: %d are too many: this runner allows %d for a job, and has %d of its own (settings: docker.services_limit)",
			n, d.ServicesLimit, len(d.Services)))
	}
	return errors.Join(problems...)
}

func administratorsService(s settings.Service, env runner.Env) runner.Image {
	image := runner.Image{Name: env.Expand(s.Name), Alias: env.Expand(s.Alias), Command: s.Command, Entrypoint: s.Entrypoint}
	for _, line := range s.Environment {
		name, value, _ := strings.Cut(line, "=")
		image.Variables = append(image.Variables, runner.Variable{Key: name, Value: value})
	}
	return image
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

// loginsOf names the sources of logins. Runner's own environment, [[runners]] environment, is among the variables too.
func loginsOf(env runner.Env, p *runner.Payload) *docker.Logins {
	l := &docker.Logins{AuthConfig: env.Variables["DOCKER_AUTH_CONFIG"], Home: docker.UserHome()}
	for _, c := range p.Credentials {
		if c.Type == "registry" {
			l.Job = append(l.Job, docker.Login{Registry: c.URL, Username: c.Username, Password: c.Password})
		}
	}
	return l
}

// helperProblem makes the administrator's fault of what would be the job's with its own image, but not of the job's own logins.
func helperProblem(err error) error {
	if f := outcome.Of(err); f.UsersFault() && f.Reason != outcome.BadDefinition {
		return outcome.System(outcome.HelperUnusable, "settings: docker.helper_image: %w", errors.New(err.Error()))
	}
	return err
}
