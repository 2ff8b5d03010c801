//go:build faults

package e2e

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"time"

	"github.com/docker/docker/api/types/container"
)

// processes are those of its containers and of containerd.
func (d *daemon) processes() (pids []string) {
	files, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, file := range files {
		if line, _ := os.ReadFile(file); strings.Contains(string(line), "\x00"+d.path("exec")+"/") {
			pids = append(pids, filepath.Base(filepath.Dir(file)))
		}
	}
	for _, dir := range d.cgroups() {
		procs, _ := os.ReadFile(filepath.Join(dir, "cgroup.procs"))
		pids = append(pids, strings.Fields(string(procs))...)
	}
	return pids
}

// cgroups are those of its containers, the inner ones first.
func (d *daemon) cgroups() (dirs []string) {
	if d.namespace == "" {
		d.t.Fatal("a daemon without a name would have all cgroups of this machine")
	}
	for _, pattern := range []string{"/sys/fs/cgroup/*/%s/*", "/sys/fs/cgroup/*/%s", "/sys/fs/cgroup/%s/*", "/sys/fs/cgroup/%s"} {
		found, _ := filepath.Glob(fmt.Sprintf(pattern, d.namespace))
		for _, dir := range found {
			if info, err := os.Stat(dir); err == nil && info.IsDir() {
				dirs = append(dirs, dir)
			}
		}
	}
	return dirs
}

var taskOf = regexp.MustCompile(`task/moby/([0-9a-f]{64})`)

// close ends the daemon and removes all that is its.
func (d *daemon) close() {
	if d.closed {
		return
	}
	d.closed = true
	d.thaw()
	if d.cmd != nil && !d.down() {
		d.removeContainers()
	}
	d.crash()
	for _, point := range d.mounts() {
		if err := unmount(point); err != nil {
			d.t.Errorf("unmount %s: %v", point, err)
		}
	}
	for _, dir := range d.cgroups() {
		_ = os.Remove(dir) // what is left is told of below
	}
	log, _ := os.ReadFile(d.path("log"))
	for _, found := range taskOf.FindAllSubmatch(log, -1) { // sockets that containerd leaves (runtime/v2/shim, SocketAddress)
		sum := sha256.Sum256([]byte(filepath.Join(d.containerd(), "moby", string(found[1]))))
		_ = os.Remove(fmt.Sprintf("/run/containerd/s/%x", sum))
	}
	_ = exec.Command("ip", "link", "del", fmt.Sprintf("ggd%d", d.n)).Run()
	if out, err := exec.Command("ip", "netns", "del", d.namespace).CombinedOutput(); err != nil {
		d.t.Errorf("%v\n%s", err, out)
	}
	left := d.left()
	for range 50 { // the kernel gives loop devices back late
		if len(left) == 0 {
			break
		}
		time.Sleep(100 * time.Millisecond)
		left = d.left()
	}
	for _, what := range left {
		d.t.Errorf("the tests' own dockerd left behind: %s", what)
	}
	if d.api != nil {
		_ = d.api.Close()
	}
}

// unmount waits for what is just ending.
func unmount(point string) (err error) {
	for range 50 {
		if err = syscall.Unmount(point, 0); !errors.Is(err, syscall.EBUSY) {
			return err
		}
		time.Sleep(100 * time.Millisecond)
	}
	return errors.Join(err, syscall.Unmount(point, syscall.MNT_DETACH))
}

func (d *daemon) removeContainers() {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	all, err := d.api.ContainerList(ctx, container.ListOptions{All: true})
	for _, c := range all {
		err = errors.Join(err, d.api.ContainerRemove(ctx, c.ID, container.RemoveOptions{Force: true}))
	}
	if err != nil {
		d.t.Log(err)
	}
}

// mounts are those of its files, the inner ones first.
func (d *daemon) mounts() (points []string) {
	table, _ := os.ReadFile("/proc/self/mounts")
	for line := range strings.Lines(string(table)) {
		if point := strings.Fields(line)[1]; strings.HasPrefix(point, d.dir+"/") {
			points = append([]string{point}, points...)
		}
	}
	return points
}

// left lists what there is of it, but for its files.
func (d *daemon) left() (left []string) {
	for _, pid := range d.processes() {
		line, _ := os.ReadFile("/proc/" + pid + "/cmdline")
		left = append(left, "process "+strings.ReplaceAll(string(line), "\x00", " "))
	}
	for _, dir := range d.cgroups() {
		left = append(left, "cgroup "+dir)
	}
	for _, point := range d.mounts() {
		left = append(left, "mount "+point)
	}
	for what, command := range map[string]string{
		"loop device": "losetup -a | grep -F " + d.path("disk"), "network namespace": "ip netns list | grep -wF " + d.namespace,
		"interface": fmt.Sprintf("ip -o link | grep -wF ggd%d", d.n), "route": "ip route | grep -F " + d.pool(),
	} {
		if out, err := exec.Command("sh", "-c", command).Output(); err == nil {
			left = append(left, what+" "+string(out))
		}
	}
	return left
}
