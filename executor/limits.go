package executor

import (
	"errors"
	"fmt"
	"runtime"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/executor/docker"
	"gitlab.com/gitlab-go-executor/gitlab-go-executor/executor/outcome"
	"gitlab.com/gitlab-go-executor/gitlab-go-executor/executor/runner"
	"gitlab.com/gitlab-go-executor/gitlab-go-executor/executor/settings"
)

// Variables by which a job asks for other limits than docker.memory and docker.cpus, up to what the administrator lets it.
const (
	memoryVariable = "GO_EXECUTOR_MEMORY"
	cpusVariable   = "GO_EXECUTOR_CPUS"
)

// limits are what a job asked for and is given; 0 is what the settings say.
type limits struct {
	memory settings.Bytes
	cpus   settings.CPUs
	notes  []string // for the job log
}

// hostCPUs are what this host has: Docker refuses to give more.
func hostCPUs() settings.CPUs { return settings.CPUs(runtime.NumCPU()) * 1e9 }

// jobLimits reads the job's wishes from the payload: what its scripts export later is none of the limits' business.
func jobLimits(d *settings.Docker, p *runner.Payload, host settings.CPUs) (limits, error) {
	var l limits
	var problems []error
	wish := func(name, most, example string, allowed bool, read func(text string) error) {
		text, ok := payloadVariable(p, name)
		switch {
		case !ok:
		case !allowed:
			l.notes = append(l.notes, fmt.Sprintf("WARNING: %s=%s has no effect: this runner lets no job choose (settings: docker.%s)", name, text, most))
		default:
			if err := read(text); err != nil {
				problems = append(problems, outcome.Job(outcome.BadDefinition, "%s is %q: %w; use for example %s", name, text, err, example))
			}
		}
	}
	wish(memoryVariable, "max_memory", "4g", d.MaxMemory != 0, func(text string) error {
		var asked settings.Bytes
		if err := asked.UnmarshalTOML(text); err != nil {
			return errors.New("not a size")
		}
		if asked < settings.SmallestMemory {
			return fmt.Errorf("less than %s, which is the least for Docker", settings.SmallestMemory)
		}
		l.memory = min(asked, d.MaxMemory)
		l.note(memoryVariable, asked, l.memory, "max_memory", asked > l.memory)
		return nil
	})
	wish(cpusVariable, "max_cpus", "2 or 1.5", d.MaxCPUs != 0, func(text string) error {
		var asked settings.CPUs
		if err := asked.UnmarshalTOML(text); err != nil {
			return errors.New("not a number of processors")
		}
		l.cpus = min(asked, d.MaxCPUs, host)
		l.note(cpusVariable, asked, l.cpus, "max_cpus", asked > l.cpus)
		return nil
	})
	return l, errors.Join(problems...)
}

func (l *limits) note(name string, asked, given fmt.Stringer, most string, less bool) {
	text := fmt.Sprintf("%s: asked for %s, given %s", name, asked, given)
	if less {
		text += ", the most on this runner (settings: docker." + most + ")"
	}
	l.notes = append(l.notes, text)
}

// payloadVariable is a variable as the job's definition has it; the last of a name counts, as in Runner.
func payloadVariable(p *runner.Payload, name string) (value string, ok bool) {
	for _, v := range p.Variables {
		if v.Key == name {
			value, ok = v.Value, true
		}
	}
	return value, ok && value != ""
}

// sayLimits tells the job what of its wishes came true.
func (j *job) sayLimits() error {
	l, err := jobLimits(&j.settings.Docker, j.payload, hostCPUs())
	for _, note := range l.notes {
		j.say("%s", note)
	}
	return err
}

// asked is what the job decides about its build container. Prepare has told of mistakes.
func (j *job) asked() docker.Asked {
	image := j.payload.Image.Name
	if image == "" {
		image = j.settings.Docker.Image
	}
	l, err := jobLimits(&j.settings.Docker, j.payload, hostCPUs())
	if err != nil {
		l = limits{}
	}
	return docker.Asked{Image: j.env.Expand(image), Init: j.wantsInit(), Memory: int64(l.memory), NanoCPUs: int64(l.cpus)}
}

// sayEntrypoints tells the job that the administrator's word stands.
func (j *job) sayEntrypoints() {
	for _, image := range append([]runner.Image{j.payload.Image}, j.payload.Services...) {
		if len(image.Entrypoint) > 0 && j.settings.Docker.DisableEntrypointOverwrite {
			j.say("WARNING: the entrypoint of image %s stays as it is: this runner lets no job choose (settings: docker.disable_entrypoint_overwrite)", image.Name)
		}
	}
}
