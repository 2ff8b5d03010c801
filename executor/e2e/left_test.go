package e2e

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/api/types/network"
	"github.com/docker/docker/api/types/volume"
)

// left lists what there is of this host's jobs: containers, networks, records, mounts, processes. Layers stay mounted for the next
// job until they are pruned.
func (h *host) left() []string {
	var left []string
	api := cmp.Or(h.docker, dockerAPI)
	byLabel := filters.NewArgs(filters.Arg("label", "gitlab-go-executor.job"))
	containers, err := api.ContainerList(context.Background(), container.ListOptions{All: true, Filters: byLabel})
	for _, c := range containers {
		if strings.HasPrefix(c.Labels["gitlab-go-executor.job"], h.instance+"/") {
			left = append(left, "container "+c.Names[0])
		}
	}
	networks, nerr := api.NetworkList(context.Background(), network.ListOptions{Filters: byLabel})
	for _, n := range networks {
		if strings.HasPrefix(n.Labels["gitlab-go-executor.job"], h.instance+"/") {
			left = append(left, "network "+n.Name)
		}
	}
	volumes, verr := api.VolumeList(context.Background(), volume.ListOptions{Filters: byLabel})
	for _, v := range volumes.Volumes {
		if strings.HasPrefix(v.Labels["gitlab-go-executor.job"], h.instance+"/") {
			left = append(left, "volume "+v.Name)
		}
	}
	if err != nil || nerr != nil || verr != nil {
		left = append(left, fmt.Sprint(err, nerr, verr))
	}
	records, _ := filepath.Glob(filepath.Join(h.StateDir, "jobs", "*", "*"))
	left = append(left, records...)
	hidden, _ := filepath.Glob(filepath.Join(h.StateDir, "jobs", "*", ".*"))
	left = append(left, hidden...)
	mounts, _ := os.ReadFile("/proc/self/mountinfo")
	for line := range strings.Lines(string(mounts)) {
		if strings.Contains(line, h.StateDir) && (h.pruned || !strings.Contains(line, h.StateDir+"/mnt/")) {
			left = append(left, "mount "+line)
		}
	}
	processes, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, p := range processes {
		if line, _ := os.ReadFile(p); bytes.Contains(line, []byte(h.dir)) && bytes.HasPrefix(line, []byte(executorBin)) {
			left = append(left, "process "+strings.ReplaceAll(string(line), "\x00", " "))
		}
	}
	return left
}

// prune drops all that the host has of the caches, and of killed jobs.
func (h *host) prune() {
	h.t.Helper()
	out, err := exec.CommandContext(context.Background(), executorBin, "--config", filepath.Join(h.dir, "settings.toml"), "prune", "--unused").CombinedOutput()
	if err != nil {
		h.t.Errorf("prune: %v\n%s", err, out)
	}
}

// checkNothingLeft fails the test for what its jobs left behind, and removes it.
func (h *host) checkNothingLeft() {
	if _, err := os.Stat(filepath.Join(h.StateDir, "id")); err == nil { // a job was prepared
		h.prune()
		h.pruned = true
		for _, pattern := range []string{"mnt/*", "salvage/*", "layers/*", "layers/.*", "jobs/.dead*"} {
			found, _ := filepath.Glob(filepath.Join(h.StateDir, pattern))
			for _, file := range found {
				if name := filepath.Base(file); !strings.HasPrefix(name, ".lock") && name != ".lease" { // they stay, empty
					h.t.Errorf("left after prune: %s", file)
				}
			}
		}
	}
	for _, what := range h.left() {
		h.t.Errorf("left behind: %s", what)
	}
	if state, err := os.ReadFile(filepath.Join(h.StateDir, "id")); err == nil && h.t.Failed() && h.docker == nil { // another daemon goes with all that it has
		removeLabelled("gitlab-go-executor.state=" + string(state))
	}
}

// removeLabelled removes containers, networks and volumes.
func removeLabelled(label string) {
	remove := strings.ReplaceAll(`docker ps -aq FILTER | xargs -r docker rm -fv
docker network ls -q FILTER | xargs -r docker network rm
docker volume ls -q FILTER | xargs -r docker volume rm`, "FILTER", "--filter label="+label)
	_ = exec.CommandContext(context.Background(), "sh", "-c", remove).Run()
}
