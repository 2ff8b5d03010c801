//go:build faults

package e2e

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/docker/docker/api/types/events"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/api/types/network"
)

// watch looks at what others see of a host's jobs while they run, until the test stops it: the arguments of every process of the machine, those
// in containers too, and what Docker tells of whatever is made for the jobs.
func (m *marks) watch(t *testing.T, instance string) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{}, 2)
	go func() {
		defer func() { ended <- struct{}{} }()
		for ; ctx.Err() == nil; time.Sleep(5 * time.Millisecond) {
			m.lookAtArguments()
		}
	}()
	ready := make(chan struct{})
	go func() {
		defer func() { ended <- struct{}{} }()
		said, failed := dockerAPI.Events(ctx, events.ListOptions{Filters: filters.NewArgs(filters.Arg("event", "create"), filters.Arg("event", "exec_create"))})
		close(ready)
		for {
			select {
			case e := <-said:
				m.lookAtObjects(ctx, t, e, instance)
			case err := <-failed:
				if ctx.Err() == nil {
					t.Errorf("Docker tells no more: %v", err)
				}
				return
			}
		}
	}()
	<-ready
	return func() {
		cancel()
		<-ended
		<-ended
	}
}

// lookAtArguments looks at the command lines of all processes. Those of a container are told apart by what they run: whose arguments hold a
// secret there was started by one of Runner's own scripts.
func (m *marks) lookAtArguments() {
	processes, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, p := range processes {
		line, err := os.ReadFile(p)
		if err != nil || len(line) == 0 {
			continue
		}
		program, _, _ := strings.Cut(string(line), "\x00")
		place := "arguments of "
		if own, err := os.Readlink("/proc/self/ns/mnt"); err == nil {
			if its, err := os.Readlink(filepath.Join(filepath.Dir(p), "ns", "mnt")); err == nil && its != own {
				place = "arguments in a container of "
			}
		}
		m.look(place+filepath.Base(program), line)
	}
}

// lookAtObjects looks at a container, network or volume of the host's jobs that was just made.
func (m *marks) lookAtObjects(ctx context.Context, t *testing.T, e events.Message, instance string) {
	mine := func(labels map[string]string) bool {
		return strings.HasPrefix(labels["gitlab-go-executor.job"], instance+"/")
	}
	show := func(place string, of any) {
		data, err := json.Marshal(of)
		if err != nil {
			t.Error(err)
		}
		m.look("Docker: "+place, data)
	}
	switch e.Type {
	case events.ContainerEventType:
		c, err := dockerAPI.ContainerInspect(ctx, e.Actor.ID)
		if err != nil || !mine(c.Config.Labels) {
			return
		}
		kind := c.Config.Labels["com.gitlab.gitlab-runner.type"]
		show("environment of "+kind, c.Config.Env)
		c.Config.Env = nil
		show(kind, c)
		show("events of "+kind, e)
	case events.NetworkEventType:
		if n, err := dockerAPI.NetworkInspect(ctx, e.Actor.ID, network.InspectOptions{}); err == nil && mine(n.Labels) {
			show("network", n)
		}
	case events.VolumeEventType:
		if v, err := dockerAPI.VolumeInspect(ctx, e.Actor.ID); err == nil && mine(v.Labels) {
			show("volume", v)
		}
	}
}
