//go:build parity

package e2e

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/events"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/api/types/network"
)

// Labels of the docker executor (executors/docker/labels.go).
const (
	runnerLabel   = "com.gitlab.gitlab-runner.runner.id"
	reusableLabel = "com.gitlab.gitlab-runner.reusable" // a volume that the Runner keeps for its next job
)

// volumeWatch knows which volumes the containers of jobs have mounted, as the daemon tells it: a volume without a name bears no label.
type volumeWatch struct {
	mu      sync.Mutex
	owners  map[string]string   // container → host, as in labels
	mounted map[string][]string // container → volumes
}

// watchVolumes begins before there are jobs.
func watchVolumes(t *testing.T) *volumeWatch {
	t.Helper()
	w := &volumeWatch{owners: map[string]string{}, mounted: map[string][]string{}}
	messages, failed := dockerAPI.Events(t.Context(), events.ListOptions{Filters: filters.NewArgs(
		filters.Arg("type", "container"), filters.Arg("type", "volume"), filters.Arg("event", "create"), filters.Arg("event", "mount"))})
	go func() {
		for {
			select {
			case m := <-messages:
				w.note(m)
			case err := <-failed:
				if t.Context().Err() == nil {
					t.Errorf("Docker's events: %v", err)
				}
				return
			}
		}
	}()
	return w
}

func (w *volumeWatch) note(m events.Message) {
	w.mu.Lock()
	defer w.mu.Unlock()
	labels := m.Actor.Attributes
	switch {
	case m.Type == events.VolumeEventType && m.Action == events.ActionMount:
		id := labels["container"]
		w.mounted[id] = append(w.mounted[id], m.Actor.ID)
	case m.Type == events.ContainerEventType && labels[runnerLabel] != "":
		w.owners[m.Actor.ID] = labels[runnerLabel]
	case m.Type == events.ContainerEventType:
		w.owners[m.Actor.ID], _, _ = strings.Cut(labels["gitlab-go-executor.job"], "/")
	}
}

// of lists the volumes that jobs of a host have had.
func (w *volumeWatch) of(host string) (volumes []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for id, owner := range w.owners {
		if owner == host {
			volumes = append(volumes, w.mounted[id]...)
		}
	}
	return volumes
}

// checkNothingLeft fails the test for what a job left behind, under either executor, save the volumes that the docker executor keeps.
func (w *volumeWatch) checkNothingLeft(h *host) {
	h.t.Helper()
	name, left := h.instance, h.left
	if h.runner != "" {
		name, left = h.runner, h.leftOfRunner
	}
	for _, what := range left() {
		h.t.Errorf("after the job there is %s", what)
	}
	for _, id := range w.of(name) {
		v, err := dockerAPI.VolumeInspect(context.Background(), id)
		switch {
		case errdefs.IsNotFound(err), err == nil && v.Labels[reusableLabel] == "true":
		case err != nil:
			h.t.Error(err)
		default:
			h.t.Errorf("after the job of %s there is volume %s", name, id)
			_ = dockerAPI.VolumeRemove(context.Background(), id, true)
		}
	}
}

// leftOfRunner lists containers and networks of a Runner with the docker executor. Volumes are the watch's.
func (h *host) leftOfRunner() (left []string) {
	ctx := context.Background()
	mine := filters.NewArgs(filters.Arg("label", runnerLabel+"="+h.runner))
	containers, err := dockerAPI.ContainerList(ctx, container.ListOptions{All: true, Filters: mine})
	networks, nerr := dockerAPI.NetworkList(ctx, network.ListOptions{Filters: mine})
	if err != nil || nerr != nil {
		left = append(left, fmt.Sprint(err, nerr))
	}
	for _, c := range containers {
		left = append(left, "container "+c.Names[0])
	}
	for _, n := range networks {
		left = append(left, "network "+n.Name)
	}
	return left
}

// removeRunner removes what a Runner of the docker executor keeps for its next job, and what it left behind.
func (h *host) removeRunner() {
	for _, what := range h.leftOfRunner() {
		h.t.Errorf("the docker executor left %s", what)
	}
	removeLabelled(runnerLabel + "=" + h.runner)
}
