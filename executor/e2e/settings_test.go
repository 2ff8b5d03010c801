package e2e

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/filters"
)

// containersOf inspects the containers of a running job, by their kinds.
func (h *host) containersOf(j job) map[string]container.InspectResponse {
	h.t.Helper()
	mine := filters.NewArgs(filters.Arg("label", "gitlab-go-executor.job="+h.instance+"/"+fmtID(j)))
	list, err := dockerAPI.ContainerList(context.Background(), container.ListOptions{All: true, Filters: mine})
	if err != nil {
		h.t.Fatal(err)
	}
	found := map[string]container.InspectResponse{}
	for _, c := range list {
		inspected, err := dockerAPI.ContainerInspect(context.Background(), c.ID)
		if err != nil {
			h.t.Fatal(err)
		}
		found[c.Labels["com.gitlab.gitlab-runner.type"]] = inspected
	}
	return found
}

func TestAnAdministratorSeesTheSettingsInTheContainersOfAJob(t *testing.T) {
	t.Parallel()
	h := newHost(t, `container_labels = { "com.example.project" = "$CI_PROJECT_PATH" }
memory = "128m"
cap_add = ["NET_ADMIN"]
network_mtu = 1400
volumes = ["/data"]
volume_driver = "local"
volume_driver_ops = { type = "tmpfs", device = "none", o = "size=1m" }
service_memory = "64m"
service_cpus = "0.5"
services_tmpfs = { "/scratch" = "rw" }
services_security_opt = ["no-new-privileges"]
services_devices = { "`+serviceImage+`" = ["/dev/fuse"] }
`)
	j := h.newJob(busybox, "cat /sys/class/net/eth0/mtu", "grep ' /data ' /proc/mounts | cut -d' ' -f1-3", "echo started", "sleep 60").with("services", []job{{"name": serviceImage, "alias": "api"}})
	r := h.start(j)
	r.waitFor(started)
	found := h.containersOf(j)
	build, helper, service := found["build"], found["predefined"], found["service"]
	for kind, c := range found {
		if c.Config.Labels["com.example.project"] != "group/project" {
			t.Errorf("%s: labels %v", kind, c.Config.Labels)
		}
	}
	if len(found) != 3 || build.HostConfig.Memory != 128<<20 || len(build.HostConfig.CapAdd) != 1 || len(build.HostConfig.SecurityOpt) != 0 {
		t.Errorf("%d kinds of containers; the build container's memory %d, capabilities %v, security options %v", len(found), build.HostConfig.Memory, build.HostConfig.CapAdd, build.HostConfig.SecurityOpt)
	}
	if helper.HostConfig.Memory != 0 || len(helper.HostConfig.CapAdd) != 0 {
		t.Errorf("the helper container's memory %d, capabilities %v", helper.HostConfig.Memory, helper.HostConfig.CapAdd)
	}
	if s := service.HostConfig; s.Memory != 64<<20 || s.NanoCPUs != 5e8 || s.Tmpfs["/scratch"] != "rw" || len(s.SecurityOpt) != 1 || len(s.Devices) != 1 || len(s.CapAdd) != 0 {
		t.Errorf("the service's %+v", s)
	}
	r.signal(syscall.SIGUSR1)
	h.prints(r.wait(), "1400", "none /data tmpfs")
}

func TestAJobIsGivenTheMemoryThatItMayAskFor(t *testing.T) {
	t.Parallel()
	const limit = "cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/memory/memory.limit_in_bytes 2>/dev/null || true"
	h := newHost(t, "memory = \"64m\"\nmax_memory = \"256m\"\n")
	r := h.run(h.newJob(busybox, limit).variable("GO_EXECUTOR_MEMORY", "1g").variable("GO_EXECUTOR_CPUS", "2"))
	h.succeeded(r)
	h.prints(r, "268435456", "GO_EXECUTOR_MEMORY: asked for 1g, given 256m, the most on this runner (settings: docker.max_memory)",
		"WARNING: GO_EXECUTOR_CPUS=2 has no effect: this runner lets no job choose (settings: docker.max_cpus)")
	r = h.run(h.newJob(busybox, "echo never").variable("GO_EXECUTOR_MEMORY", "a lot"))
	h.failed(r, "script_failure", 1)
	h.says(r, `GO_EXECUTOR_MEMORY is "a lot": not a size; use for example 4g`)
}

func TestACanceledJobThatSeesTheHostsProcessesEndsNoneOfThem(t *testing.T) {
	t.Parallel()
	daemon, address := newFaultyDocker(t)
	var told atomic.Int64
	daemon.fault = func(w http.ResponseWriter, r *http.Request, _ http.Handler) bool {
		if !strings.HasSuffix(r.URL.Path, "/exec") {
			return false
		}
		told.Add(1) // and not passed on: it would end this test, and all else on this host
		http.Error(w, "not today", http.StatusInternalServerError)
		return true
	}
	h := newHost(t, fmt.Sprintf("host = %q\npid_mode = \"host\"\nstop_timeout = \"2s\"\n", address))
	r := h.start(h.newJob(busybox, "echo started; sleep 200"))
	r.waitFor(started)
	r.signal(syscall.SIGUSR1)
	h.failed(r.wait(), "job_canceled", 0)
	if told.Load() != 0 {
		t.Error("all processes that the build container sees were told to end")
	}
}

func TestARunnerOfTheDockerExecutorMovesOverByImportConfig(t *testing.T) {
	t.Parallel()
	h := newHost(t, "")
	h.write("docker.toml", fmt.Sprintf(`[[runners]]
name = "old"
url = %q
token = "runner-token"
executor = "docker"
environment = ["FROM_THE_RUNNER=kept"]
[runners.docker]
image = %q
helper_image = %q
pull_policy = "never"
volumes = ["/cache"]
tls_verify = false
privileged = false
hostname = "moved"
isolation = "default"
[runners.docker.sysctls]
"net.core.somaxconn" = "777"
`, h.gitlab.URL, busybox, helperImage))
	part := func(only string) string {
		out, err := exec.Command(executorBin, "--config", filepath.Join(h.dir, "settings.toml"), "import-config", filepath.Join(h.dir, "docker.toml"), "--only", only).Output()
		if err != nil {
			t.Fatal(err)
		}
		return string(out)
	}
	settings := part("settings")
	if !strings.Contains(settings, "docker.isolation: is for containers of Windows") {
		t.Errorf("what is lost is not said:\n%s", settings)
	}
	h.write("config.toml", part("runner"))
	h.write("settings.toml", fmt.Sprintf("state_dir = %q\n", h.StateDir)+settings)
	j := h.newJob("", "hostname", "cat /proc/sys/net/core/somaxconn", "echo $FROM_THE_RUNNER", "cat README.md")
	delete(j, "image")
	r := h.run(j)
	h.succeeded(r)
	h.prints(r, "moved", "777", "kept", "hello")
	if info, err := os.Stat(filepath.Join(h.StateDir, "builds")); err != nil || !info.IsDir() {
		t.Error("the job ran elsewhere")
	}
}

func TestNothingIsKeptForTheNextJobWhereTheAdministratorSaysSo(t *testing.T) {
	t.Parallel()
	const mark, look = "touch /cache/mark .git/mark", "(ls /cache/mark .git/mark 2>/dev/null || true) | wc -l"
	for settings, want := range map[string]string{"disable_cache = true\n": "0", "": "2"} {
		h := newHost(t, settings)
		h.succeeded(h.run(h.newJob(userImage, mark)))
		r := h.run(h.newJob(userImage, look))
		h.succeeded(r)
		h.prints(r, want)
	}
}
