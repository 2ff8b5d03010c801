package doctor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/executor/docker"
	"gitlab.com/gitlab-go-executor/gitlab-go-executor/executor/settings"
)

const (
	startDocker   = "start it: systemctl start docker"
	installDocker = "install Docker Engine 20.10 or newer on this host (https://docs.docker.com/engine/install)"
)

func (h *host) lookAtDocker(ctx context.Context) []Finding {
	address := h.settings.Docker.Host
	if err := dial(ctx, strings.TrimPrefix(address, "unix://")); err != nil {
		return []Finding{judgeDial(address, err)}
	}
	client, err := docker.Connect(ctx, address)
	if err != nil {
		return failed(err, "see what the daemon's log says: journalctl -u docker")
	}
	daemon, err := client.Daemon(ctx)
	if err != nil {
		_ = client.Close()
		return failed(err, "see what the daemon's log says: journalctl -u docker")
	}
	h.docker, h.daemon = client, daemon
	found := []Finding{judgeDaemon(daemon, kernel(), runtime.GOARCH)}
	if variable := os.Getenv("DOCKER_HOST"); variable != "" && !sameSocket(variable, address) {
		found = append(found, judgeVariable(variable, address))
	}
	return found
}

func dial(ctx context.Context, socket string) error {
	connection, err := (&net.Dialer{Timeout: 5 * time.Second}).DialContext(ctx, "unix", socket)
	if err != nil {
		return err
	}
	return connection.Close()
}

func judgeDial(address string, err error) Finding {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return wrong(installDocker+", or "+startDocker+"; or name its socket with docker.host", "there is no socket %s", address)
	case errors.Is(err, unix.ECONNREFUSED):
		return wrong(startDocker, "nobody answers at %s: the daemon does not run", address)
	case errors.Is(err, fs.ErrPermission):
		return wrong("run it with sudo", "this user may not use %s", address)
	}
	return wrong(startDocker, "Docker at %s does not answer: %v", address, err)
}

// sameSocket says whether two addresses are of one socket, by whatever paths.
func sameSocket(a, b string) bool {
	one, err := os.Stat(strings.TrimPrefix(a, "unix://"))
	other, otherErr := os.Stat(strings.TrimPrefix(b, "unix://"))
	return a == b || err == nil && otherErr == nil && os.SameFile(one, other)
}

// judgeVariable is about what docker(1) does and we do not.
func judgeVariable(variable, address string) Finding {
	return warning("unset DOCKER_HOST, so that docker shows what jobs see; a daemon on another host cannot have them, since it does not see this host's files",
		"DOCKER_HOST is %s and has no effect: docker.host is %s", variable, address)
}

func kernel() string {
	var name unix.Utsname
	if unix.Uname(&name) != nil {
		return ""
	}
	return unix.ByteSliceToString(name.Release[:])
}

// firstDocker is the first version that works.
var firstDocker = number{20, 10}

func judgeDaemon(d docker.Daemon, kernel, architecture string) Finding {
	version, known := numberIn(d.Version, "")
	switch {
	case d.Product != "Docker":
		return wrong(installDocker+", and name its socket with docker.host", "this is %s, and not Docker", d.Product)
	case d.OS != "linux":
		return wrong("switch the daemon to Linux containers", "its containers are of %s", d.OS)
	case d.Architecture != architecture:
		return wrong("use the gitlab-go-executor for "+d.Architecture, "its containers are of %s, and this program is of %s", d.Architecture, architecture)
	case !known:
		return warning(installDocker, "its version is not known: it says %.40q", d.Version)
	case version.less(firstDocker):
		return wrong(installDocker, "Docker %s is too old", d.Version)
	case d.Kernel != kernel:
		return wrong("use a daemon on this very host: docker.host is its socket, and none that leads to another machine",
			"the daemon runs on another machine (%s with Linux %s, this host has %s), and does not see this host's files", d.Host, d.Kernel, kernel)
	case slices.Contains([]string{"vfs", "devicemapper", "aufs"}, d.Storage):
		return warning(`set "storage-driver": "overlay2" in /etc/docker/daemon.json`, "Docker %s keeps images with the storage driver %s, which is slow", d.Version, d.Storage)
	}
	return ok("Docker %s on %s/%s, storage driver %s, cgroup v%s", d.Version, d.OS, d.Architecture, d.Storage, d.Cgroup)
}

func (h *host) lookAtHelper(ctx context.Context) []Finding {
	d := h.settings.Docker
	var found []Finding
	if file := d.RunnerBinary; file != "" {
		if err := unix.Access(file, unix.X_OK); err != nil {
			found = append(found, wrong("name with docker.runner_binary a gitlab-runner of this host, or remove the key", "docker.runner_binary = %q: %v", file, err))
		}
	}
	if strings.Contains(d.HelperImage, "$") {
		return append(found, ok("%s depends on the job's variables", d.HelperImage))
	}
	image, architecture, err := h.docker.LocalImage(ctx, d.HelperImage)
	if err != nil {
		return append(found, failed(err, "see what the daemon's log says: journalctl -u docker")...)
	}
	return append(found, judgeHelper(d.HelperImage, image.ID != "", architecture, h.daemon.Architecture, d.PullPolicy))
}

func judgeHelper(name string, there bool, architecture, daemon string, policies []string) Finding {
	pulled := slices.ContainsFunc(policies, func(p string) bool { return p != settings.PullNever })
	pull := "docker pull " + name
	switch {
	case there && architecture != daemon:
		return wrong("name with docker.helper_image one for "+daemon, "%s is for %s, and this host is %s", name, architecture, daemon)
	case there:
		return ok("%s is there, for %s", name, architecture)
	case pulled:
		return warning(pull+", to see whether that works, and to spare the first job", "%s is not there: the first job pulls it (pull_policy = %s)", name, list(policies))
	}
	return wrong(fmt.Sprintf("%s; or allow pulling with docker.pull_policy; or name another one with docker.helper_image", pull),
		"%s is not there, and pull_policy = %s forbids to pull it: every job fails", name, list(policies))
}
