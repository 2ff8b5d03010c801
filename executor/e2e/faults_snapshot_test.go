//go:build faults

package e2e

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/api/types/mount"
	"github.com/docker/docker/api/types/network"
	"github.com/docker/docker/api/types/volume"
)

// family is a process with all that it has started, as far as their parents live.
func family(pid int) []int {
	all := []int{pid}
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	children := map[int][]int{}
	for _, file := range stats {
		data, err := os.ReadFile(file)
		if err != nil {
			continue // it has ended
		}
		fields := strings.Fields(string(data[bytes.LastIndexByte(data, ')')+1:]))
		child, _ := strconv.Atoi(filepath.Base(filepath.Dir(file)))
		parent, _ := strconv.Atoi(fields[1])
		children[parent] = append(children[parent], child)
	}
	for i := 0; i < len(all); i++ {
		all = append(all, children[all[i]]...)
	}
	return all
}

// killFamily is killAll for one of several jobs of a host.
func (r *running) killFamily() {
	var stopped []int
	for { // until nobody is left to start anything
		now := family(r.cmd.Process.Pid)
		for _, pid := range now {
			_ = syscall.Kill(pid, syscall.SIGSTOP)
		}
		if len(now) == len(stopped) {
			break
		}
		stopped = now
	}
	for _, pid := range stopped {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
	_ = r.cmd.Wait() // it was killed
}

// leftOf is what there is of one job: of Docker's objects, in the state directory, mounts, and processes.
func (h *host) leftOf(j job) []string {
	h.t.Helper()
	id := h.instance + "/" + fmtID(j)
	left := h.objects(filters.NewArgs(filters.Arg("label", "gitlab-go-executor.job="+id)))
	dir := filepath.Join(h.StateDir, "jobs", id)
	if _, err := os.Lstat(dir); err == nil {
		left = append(left, dir)
	}
	dead, _ := filepath.Glob(filepath.Join(filepath.Dir(dir), ".dead-"+fmtID(j)+"-*"))
	left = append(left, dead...)
	mounts, _ := os.ReadFile("/proc/self/mountinfo")
	for line := range strings.Lines(string(mounts)) {
		if strings.Contains(line, dir+"/") {
			left = append(left, line)
		}
	}
	return left
}

// objects lists what Docker has.
func (h *host) objects(which filters.Args) (all []string) {
	h.t.Helper()
	ctx := context.Background()
	containers, err := dockerAPI.ContainerList(ctx, container.ListOptions{All: true, Filters: which})
	for _, c := range containers {
		all = append(all, "container "+c.Names[0])
	}
	networks, nerr := dockerAPI.NetworkList(ctx, network.ListOptions{Filters: which})
	for _, n := range networks {
		all = append(all, "network "+n.Name)
	}
	volumes, verr := dockerAPI.VolumeList(ctx, volume.ListOptions{Filters: which})
	for _, v := range volumes.Volumes {
		all = append(all, "volume "+v.Name)
	}
	if err != nil || nerr != nil || verr != nil {
		h.t.Error(err, nerr, verr)
	}
	return all
}

// kept is what a host keeps of jobs, by purpose: its content differs from job to job.
var kept = regexp.MustCompile(`^(` + strings.Join([]string{
	`builds/[^/]+/42/protected/\d+(/.*)?`, // checkouts of the slots
	`store/.*`,                            // layers and entries
	`locks/.*`,                            // one for each pool, empty
	`mnt/\.lock-[0-9a-f]`,                 // likewise
	`salvage(/\.lock)?`,                   // likewise
	`grown/.*`,                            // pools to be compacted
	`ledger\.db.*`,
}, "|") + `)$`)

// snapshot is all that there is of a host: containers, networks, volumes, mounts, loop devices, processes, and what is in its state directory but for
// what jobs are to leave there.
func (h *host) snapshot() []string {
	h.t.Helper()
	state := stateLabel(h.t, h.StateDir)
	all := h.objects(filters.NewArgs(filters.Arg("label", "gitlab-go-executor.state="+state)))
	all = append(all, h.objects(filters.NewArgs(filters.Arg("name", "go-executor-"+state)))...)
	mounts, _ := os.ReadFile("/proc/self/mountinfo")
	for line := range strings.Lines(string(mounts)) {
		if strings.Contains(line, h.StateDir) {
			all = append(all, "mount "+line)
		}
	}
	for _, device := range h.loops() {
		all = append(all, "loop device "+device)
	}
	lines, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, file := range lines {
		if line, _ := os.ReadFile(file); bytes.Contains(line, []byte(h.dir)) {
			all = append(all, "process "+strings.ReplaceAll(string(line), "\x00", " "))
		}
	}
	err := filepath.WalkDir(h.StateDir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, _ := filepath.Rel(h.StateDir, path)
		if !kept.MatchString(name) {
			all = append(all, fmt.Sprint(d.Type(), " ", name))
		}
		return nil
	})
	if err != nil {
		h.t.Error(err)
	}
	slices.Sort(all)
	return all
}

// loops are the files of this host that are loop devices.
func (h *host) loops() (files []string) {
	devices, _ := filepath.Glob("/sys/block/loop*/loop/backing_file")
	for _, device := range devices {
		if file, _ := os.ReadFile(device); bytes.Contains(file, []byte(h.StateDir)) {
			files = append(files, strings.TrimSpace(string(file)))
		}
	}
	return files
}

// watch notes the anonymous volumes of a host's containers: they have no labels.
type watch struct {
	h       *host
	stop    context.CancelFunc
	done    chan struct{}
	volumes map[string]bool
}

// watchContainers looks until allGone.
func (h *host) watchContainers() *watch {
	ctx, cancel := context.WithCancel(context.Background())
	h.t.Cleanup(cancel)
	w := &watch{h: h, stop: cancel, done: make(chan struct{}), volumes: map[string]bool{}}
	ours := filters.NewArgs(filters.Arg("label", "gitlab-go-executor.state="+stateLabel(h.t, h.StateDir)))
	go func() {
		defer close(w.done)
		for ; ctx.Err() == nil; time.Sleep(300 * time.Millisecond) {
			containers, _ := dockerAPI.ContainerList(ctx, container.ListOptions{All: true, Filters: ours}) // else the next time
			for _, c := range containers {
				for _, m := range c.Mounts {
					if m.Type == mount.TypeVolume {
						w.volumes[m.Name] = true
					}
				}
			}
		}
	}()
	return w
}

// allGone fails the test for each volume that is still there.
func (w *watch) allGone() {
	w.h.t.Helper()
	w.stop()
	<-w.done
	for name := range w.volumes {
		if _, err := dockerAPI.VolumeInspect(context.Background(), name); err == nil {
			w.h.t.Errorf("the volume %s of a job is still there", name)
		}
	}
	if len(w.volumes) == 0 {
		w.h.t.Log("no job's service was seen with its volume, so nothing is shown of volumes")
	}
}
