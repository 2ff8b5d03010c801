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

func TestAJobAsksForMemoryAndProcessors(t *testing.T) {
	t.Parallel()
	admin := settings.Docker{Memory: 1 << 30, CPUs: 1e9, MaxMemory: 4 << 30, MaxCPUs: 2e9}
	for name, c := range map[string]struct {
		d            settings.Docker
		memory, cpus string
		want         limits
		mistake      string
	}{
		"nothing":         {d: admin},
		"what it may":     {d: admin, memory: "2g", cpus: "1.5", want: limits{2 << 30, 15e8, []string{"GO_EXECUTOR_MEMORY: asked for 2g, given 2g", "GO_EXECUTOR_CPUS: asked for 1.5, given 1.5"}}},
		"too much memory": {d: admin, memory: "64g", want: limits{4 << 30, 0, []string{"GO_EXECUTOR_MEMORY: asked for 64g, given 4g, the most on this runner (settings: docker.max_memory)"}}},
		"too many cpus":   {d: admin, cpus: "64", want: limits{0, 2e9, []string{"GO_EXECUTOR_CPUS: asked for 64, given 2, the most on this runner (settings: docker.max_cpus)"}}},
		"more than the host has": {
			d: settings.Docker{MaxCPUs: 64e9}, cpus: "64", want: limits{0, 3e9, []string{"GO_EXECUTOR_CPUS: asked for 64, given 3, the most on this runner (settings: docker.max_cpus)"}},
		},
		"less": {d: admin, memory: "512m", want: limits{512 << 20, 0, []string{"GO_EXECUTOR_MEMORY: asked for 512m, given 512m"}}},
		"without leave": {memory: "2g", cpus: "2", want: limits{notes: []string{
			"WARNING: GO_EXECUTOR_MEMORY=2g has no effect: this runner lets no job choose (settings: docker.max_memory)",
			"WARNING: GO_EXECUTOR_CPUS=2 has no effect: this runner lets no job choose (settings: docker.max_cpus)",
		}}},
		"no size":    {d: admin, memory: "much", mistake: `GO_EXECUTOR_MEMORY is "much": not a size; use for example 4g`},
		"a crumb":    {d: admin, memory: "1m", mistake: `GO_EXECUTOR_MEMORY is "1m": less than 6m, which is the least for Docker`},
		"no number":  {d: admin, cpus: "all", mistake: `GO_EXECUTOR_CPUS is "all": not a number of processors`},
		"below zero": {d: admin, cpus: "-1", mistake: `GO_EXECUTOR_CPUS is "-1"`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := &runner.Payload{Variables: []runner.Variable{{Key: memoryVariable, Value: "9g"}, {Key: memoryVariable, Value: c.memory}, {Key: cpusVariable, Value: c.cpus}}}
			got, err := jobLimits(&c.d, p, 3e9)
			if c.mistake != "" {
				if err == nil || !strings.Contains(err.Error(), c.mistake) || outcome.Of(err).Outcome != outcome.JobInvalid {
					t.Errorf("got %v, want %s", err, c.mistake)
				}
				return
			}
			if err != nil || got.memory != c.want.memory || got.cpus != c.want.cpus || !slices.Equal(got.notes, c.want.notes) {
				t.Errorf("got %+v, %v\nwant %+v", got, err, c.want)
			}
		})
	}
}

func TestTheScriptsOfAJobCannotAskForMemory(t *testing.T) {
	t.Parallel()
	j := testJob("CUSTOM_ENV_" + memoryVariable + "=4g")
	j.settings.Docker.MaxMemory = 8 << 30
	if s := j.buildSpec(docker.Image{}, "net", 0); s.Host.Memory != 0 {
		t.Errorf("%d", s.Host.Memory)
	}
	j.payload.Variables = []runner.Variable{{Key: memoryVariable, Value: "4g"}}
	if s := j.buildSpec(docker.Image{}, "net", 0); s.Host.Memory != 4<<30 {
		t.Errorf("%d", s.Host.Memory)
	}
}
