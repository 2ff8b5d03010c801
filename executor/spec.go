package executor

import (
	"fmt"
	"os"
	"path"
	"slices"
	"strings"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/executor/docker"
	"gitlab.com/gitlab-go-executor/gitlab-go-executor/executor/runner"
)

// Conversions from the job and the settings to containers. They decide; nothing here talks to Docker.

// helperLoop keeps the helper container alive between Runner's scripts.
const helperLoop = `trap 'exit 0' TERM INT; while :; do sleep 86400 & wait $!; done`

// helperCheck prints which of the commands that are its arguments the helper container lacks. GitLab's helper image has
// gitlab-runner only as gitlab-runner-helper, while the scripts for a custom executor call it gitlab-runner.
const helperCheck = `command -v gitlab-runner >/dev/null || { h=$(command -v gitlab-runner-helper) && mkdir -p /usr/local/bin && ln -sf "$h" /usr/local/bin/gitlab-runner; }
for tool in "$@"; do command -v "$tool" >/dev/null || echo "$tool"; done`

// helperShell runs one of Runner's scripts. The umask is the docker executor's (dockerfiles/runner-helper, gitlab-runner-build):
// the user of the build container, whoever that is, must be able to change the checkout.
var helperShell = []string{"sh", "-c", "umask 0000; if command -v bash >/dev/null 2>&1; then exec bash; else exec sh; fi"}

// runnerMount is where a gitlab-runner of the host appears in the helper container.
const runnerMount = "/usr/local/bin/gitlab-runner"

func (j *job) helperSpec(image docker.Image, network string, slot int) docker.Spec {
	s := j.baseSpec(docker.KindHelper, image, network, slot)
	s.Suffix = objectHelper
	s.User = "0:0"
	s.Entrypoint, s.Cmd = []string{"sh", "-c", helperLoop}, []string{}
	if tool := j.store.get().Tool; tool != "" {
		s.Mounts = append(s.Mounts, toolMount(tool))
	}
	if b := j.settings.Docker.RunnerBinary; b != "" {
		s.Mounts = append(s.Mounts, docker.Mount{Source: b, Target: runnerMount, ReadOnly: true})
	}
	return s
}

func (j *job) buildSpec(image docker.Image, network string, slot int) docker.Spec {
	d := j.settings.Docker
	s := j.baseSpec(docker.KindBuild, image, network, slot)
	s.Suffix = objectBuild
	s.Stdin = true
	s.Entrypoint, s.Cmd = j.payload.Image.Entrypoint, docker.ShellCommand
	s.User = d.User
	if s.User == "" {
		s.User = j.env.Expand(string(j.payload.Image.Options.Docker.User))
	}
	s.Env = buildEnv(j.env, j.payload)
	s.Aliases = []string{"build"} // as under the docker executor with a network per build
	s.Limits.Memory, s.Limits.NanoCPUs, s.Limits.Pids = int64(d.Memory), int64(d.CPUs), int64(d.PidsLimit)
	return s
}

func (j *job) serviceSpec(n int, service runner.Image, image docker.Image, network string) docker.Spec {
	s := j.baseSpec(docker.KindService, image, network, j.store.get().Slot)
	s.Suffix, s.Hostname = serviceName(n), "" // Docker's default, the container's id, as under the docker executor
	s.Aliases = docker.ServiceAliases(service.Name, service.Aliases())
	s.Entrypoint, s.Cmd = service.Entrypoint, service.Command
	s.User = j.env.Expand(string(service.Options.Docker.User))
	s.Env = serviceEnv(j.env, j.payload, service.Variables)
	return s
}

func serviceName(n int) string { return fmt.Sprintf("service-%d", n) }

// baseSpec is what all containers of a job share: folders, network, name resolution. Services see the checkout too, as
// under the docker executor.
func (j *job) baseSpec(kind string, image docker.Image, network string, slot int) docker.Spec {
	d := j.settings.Docker
	s := docker.Spec{
		Kind: kind, Image: image, Network: network,
		// The same in each job of a slot: a test that reads the host's name shall not differ from job to job.
		Hostname:   fmt.Sprintf("runner-project-%s-concurrent-%d", j.id.Project, slot),
		Mounts:     []docker.Mount{{Source: j.tree.builds(j.id, slot), Target: runner.BuildsDir}},
		Limits:     docker.Limits{ShmSize: int64(d.ShmSize)},
		ExtraHosts: d.ExtraHosts, DNS: d.DNS,
	}
	ownCache := false
	for _, volume := range d.Volumes {
		switch path.Clean(volume) {
		case runner.BuildsDir, runner.CacheDir:
			continue // a docker runner's config.toml has "/cache": what is asked for is there already
		}
		ownCache = ownCache || volumeTarget(volume) == runner.CacheDir
		s.Volumes = append(s.Volumes, volume)
	}
	if !ownCache {
		s.Mounts = append(s.Mounts, docker.Mount{Source: j.tree.caches(j.id), Target: runner.CacheDir})
	}
	return s
}

// volumeTarget is where a volume of the settings appears in the containers.
func volumeTarget(volume string) string {
	parts := strings.SplitN(volume, ":", 3)
	return path.Clean(parts[min(1, len(parts)-1)])
}

// What Runner tells any job of the custom executor, and what it tells those of the docker executor (common/build.go, GetSharedEnvVariable). Its
// scripts export the first one all the same.
const (
	sharedEnvironment     = "CI_SHARED_ENVIRONMENT"
	disposableEnvironment = "CI_DISPOSABLE_ENVIRONMENT"
	servicesForDriver     = "CI_JOB_SERVICES" // meant for us
)

// buildEnv is the environment of the build container: all job variables, file variables as paths. Runner's scripts export
// them once more; the entrypoint of the image sees only these.
func buildEnv(env runner.Env, p *runner.Payload) []string {
	files := fileVariables(p)
	out := []string{disposableEnvironment + "=true"}
	for name, value := range env.Variables {
		switch name {
		case "", sharedEnvironment, disposableEnvironment, servicesForDriver:
			continue // Docker takes no variable without a name
		}
		if files[name] {
			value = env.FileVariableDir() + "/" + name
		}
		out = append(out, name+"="+value)
	}
	slices.Sort(out)
	return out
}

func fileVariables(p *runner.Payload) map[string]bool {
	files := map[string]bool{}
	for _, v := range p.Variables {
		files[v.Key] = files[v.Key] || v.File
	}
	for name, secret := range p.Secrets {
		files[name] = secret.IsFile()
	}
	return files
}

// internalVariables are those of Runner's own making that a service sees too (common/build.go, GetServiceVariables).
var internalVariables = []string{"CI", "CI_BUILDS_DIR", "CI_PROJECT_DIR", "CI_CONCURRENT_ID", "CI_CONCURRENT_PROJECT_ID", "CI_SERVER", "CI_RUNNER_VERSION"}

// serviceEnv is the environment of a service: the job's public variables, those of Runner's own making, and the service's
// own, which may refer to them. A secret of the job is none of its services' business.
func serviceEnv(env runner.Env, p *runner.Payload, own []runner.Variable) []string {
	shown := map[string]bool{}
	for _, name := range internalVariables {
		shown[name] = true
	}
	for _, v := range p.Variables {
		shown[v.Key] = v.Public
	}
	for _, v := range p.Variables { // a name with a second, secret value is secret
		if !v.Public || v.Masked || v.File {
			shown[v.Key] = false
		}
	}
	visible := map[string]string{}
	for name, value := range env.Variables {
		if shown[name] {
			visible[name] = value
		}
	}
	for _, v := range own {
		value := v.Value
		if !v.Raw {
			value = os.Expand(value, func(name string) string { return visible[name] })
		}
		visible[v.Key] = value
	}
	var out []string
	for name, value := range visible {
		out = append(out, name+"="+value)
	}
	slices.Sort(out)
	return out
}
