package executor

import (
	"fmt"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/executor/docker"
	"gitlab.com/gitlab-go-executor/gitlab-go-executor/executor/outcome"
	"gitlab.com/gitlab-go-executor/gitlab-go-executor/executor/runner"
	"gitlab.com/gitlab-go-executor/gitlab-go-executor/executor/settings"
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
	s.Host = docker.NewHostConfig(&j.settings.Docker, docker.KindHelper, docker.Asked{})
	s.Suffix = objectHelper
	s.User = "0:0"
	s.Links = j.settings.Docker.Links
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
	s := j.baseSpec(docker.KindBuild, image, network, slot)
	s.Host = docker.NewHostConfig(&j.settings.Docker, docker.KindBuild, j.asked())
	s.Suffix = objectBuild
	s.Stdin = true
	s.Entrypoint, s.Cmd = j.entrypoint(j.payload.Image), docker.ShellCommand
	s.User = buildUser(&j.settings.Docker, j.env, j.payload)
	s.MAC = j.settings.Docker.MACAddress
	s.Env = buildEnv(j.env, j.payload)
	s.Aliases = []string{"build"} // as under the docker executor with a network per build
	s.Links = j.settings.Docker.Links
	return s
}

func (j *job) serviceSpec(n int, service servicePlan, image docker.Image, network string) docker.Spec {
	s := j.baseSpec(docker.KindService, image, network, j.store.get().Slot)
	s.Host = docker.NewHostConfig(&j.settings.Docker, docker.KindService, docker.Asked{Image: service.request.Name, Init: j.wantsInit()})
	s.Suffix, s.Hostname = serviceName(n), "" // Docker's default, the container's id, as under the docker executor
	s.Aliases = service.aliases
	s.Entrypoint, s.Cmd = j.entrypoint(service.definition), service.definition.Command
	s.User = j.env.Expand(string(service.definition.Options.Docker.User))
	s.Env = serviceEnv(j.env, j.payload, service.definition.Variables)
	return s
}

func serviceName(n int) string { return fmt.Sprintf("service-%d", n) }

// baseSpec is what all containers of a job share: folders, network, name resolution. Services see the checkout too, as
// under the docker executor.
func (j *job) baseSpec(kind string, image docker.Image, network string, slot int) docker.Spec {
	d := j.settings.Docker
	s := docker.Spec{
		Kind: kind, Image: image, Network: network, Hostname: d.Hostname, Labels: j.labels(),
		VolumeDriver: d.VolumeDriver, VolumeOptions: d.VolumeDriverOps,
		Mounts: []docker.Mount{{Source: j.buildsDir(slot), Target: runner.BuildsDir}},
	}
	if s.Hostname == "" { // the same in each job of a slot: a test that reads the host's name shall not differ from job to job
		s.Hostname = fmt.Sprintf("runner-project-%s-concurrent-%d", j.id.Project, slot)
	}
	s.Volumes = j.volumes()
	if !slices.ContainsFunc(s.Volumes, func(v string) bool { return volumeTarget(v) == runner.CacheDir }) {
		s.Mounts = append(s.Mounts, docker.Mount{Source: j.cacheDir(), Target: runner.CacheDir})
	}
	return s
}

// volumes are those of the settings that are not there already: a docker runner's config.toml has "/cache".
func (j *job) volumes() (all []string) {
	for _, volume := range j.settings.Docker.Volumes {
		volume, err := expandVolume(j.env, volume)
		if err != nil {
			continue // prepare has told
		}
		if target := path.Clean(volume); target != runner.BuildsDir && target != runner.CacheDir {
			all = append(all, volume)
		}
	}
	return all
}

// passingVolumes are the paths of the volumes that go with the job.
func (j *job) passingVolumes() []string {
	return slices.DeleteFunc(j.volumes(), func(volume string) bool { return strings.Contains(volume, ":") })
}

// foldersDir holds what with disable_cache goes with the job, beside what the caches keep in the job's folder.
const foldersDir = "folders"

// buildsDir is the folder of the checkouts.
func (j *job) buildsDir(slot int) string {
	if j.settings.Docker.DisableCache {
		return filepath.Join(j.tree.job(j.id), foldersDir, "builds")
	}
	return j.tree.builds(j.id, slot)
}

// cacheDir is the folder that jobs see as /cache.
func (j *job) cacheDir() string {
	switch d := j.settings.Docker; {
	case d.DisableCache:
		return filepath.Join(j.tree.job(j.id), foldersDir, "cache")
	case d.CacheDir != "":
		return filepath.Join(d.CacheDir, j.id.Instance, j.id.Project, j.id.Tier)
	}
	return j.tree.caches(j.id)
}

// labels are container_labels of the settings. Like the docker executor's they refer to the job's own variables.
func (j *job) labels() map[string]string {
	out := map[string]string{}
	for name, value := range j.settings.Docker.ContainerLabels {
		out[name] = j.env.Expand(value)
	}
	return out
}

// entrypoint is what an image or service of the job's takes instead of its image's; nil is the image's.
func (j *job) entrypoint(of runner.Image) []string {
	if j.settings.Docker.DisableEntrypointOverwrite || len(of.Entrypoint) == 0 { // to Docker, an empty list is no entrypoint at all
		return nil
	}
	return of.Entrypoint
}

// buildUser is the administrator's, or else the job's; "" is the image's.
func buildUser(d *settings.Docker, env runner.Env, p *runner.Payload) string {
	if d.User != "" {
		return d.User
	}
	return env.Expand(string(p.Image.Options.Docker.User))
}

// isOn says whether a variable of the job's is true. Feature flags are among them, resolved by Runner.
func (j *job) isOn(name string) bool {
	on, err := strconv.ParseBool(j.env.Variables[name])
	return on && err == nil
}

// wantsInit says whether the first process of build container and services is one that reaps the others.
func (j *job) wantsInit() bool { return j.isOn("FF_USE_INIT_WITH_DOCKER_EXECUTOR") }

// expandVolume replaces the job's variables in the path in the containers, as the docker executor does, and nowhere else
// (executors/docker/internal/volumes/parser). A job must not change the options of a volume by a value that holds some.
func expandVolume(env runner.Env, volume string) (string, error) {
	parts := strings.Split(volume, ":")
	target := &parts[min(1, len(parts)-1)]
	if *target = env.Expand(*target); !strings.Contains(*target, ":") {
		volume = strings.Join(parts, ":")
		if err := settings.CheckVolume(volume); err == nil {
			return volume, nil
		}
	}
	return "", outcome.Job(outcome.BadDefinition, "a volume of this runner's settings (docker.volumes) is to appear at %q, which the job's variables make of it: "+
		"not an absolute path without colons, or /builds", *target)
}

// checkVolumes finds values of the job's variables of which no volume can be made.
func (j *job) checkVolumes() error {
	for _, volume := range j.settings.Docker.Volumes {
		if _, err := expandVolume(j.env, volume); err != nil {
			return err
		}
	}
	return nil
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

// tlsVariables are those of Runner's own that are files (helpers/tls).
var tlsVariables = []string{"CI_SERVER_TLS_CA_FILE", "CI_SERVER_TLS_CERT_FILE", "CI_SERVER_TLS_KEY_FILE"}

func fileVariables(p *runner.Payload) map[string]bool {
	files := map[string]bool{}
	for _, v := range p.Variables {
		files[v.Key] = files[v.Key] || v.File
	}
	for name, secret := range p.Secrets {
		files[name] = secret.IsFile()
	}
	for _, name := range tlsVariables {
		files[name] = true
	}
	return files
}

// serviceEnv is the environment of a service: what of the job's is not secret, and the service's own variables. Only these may refer to
// secrets: whoever wrote them there wants the service to have them (common/build.go, GetServiceVariables).
func serviceEnv(env runner.Env, p *runner.Payload, own []runner.Variable) []string {
	all, visible := map[string]string{}, map[string]string{}
	for _, line := range buildEnv(env, p) {
		name, value, _ := strings.Cut(line, "=")
		all[name], visible[name] = value, value
	}
	for _, v := range p.Variables { // a name with a second, secret value is secret
		if !v.Public || v.Masked {
			delete(visible, v.Key)
		}
	}
	for name := range p.Secrets {
		delete(visible, name)
	}
	for _, v := range own { // these come first where one refers to another, and are not expanded twice
		all[v.Key] = v.Value
	}
	for _, v := range own {
		value := v.Value
		if !v.Raw {
			value = runner.Expand(value, all)
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
