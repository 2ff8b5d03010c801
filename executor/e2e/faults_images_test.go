//go:build faults

package e2e

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/docker/docker/api/types/network"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/faulttest"
)

// docker runs a command of Docker's against the daemon.
func (d *daemon) docker(args ...string) {
	d.t.Helper()
	out, err := exec.Command("docker", append([]string{"-H", "unix://" + d.socket()}, args...)...).CombinedOutput()
	if err != nil {
		d.t.Errorf("docker %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// Somebody cleans the host's images up while a job is between finding one and making a container of it.
func TestFaultAnImageIsRemovedUnderAJob(t *testing.T) {
	t.Parallel()
	for _, c := range faulttest.Pick(t, []struct {
		image, verdict, says string
		at                   dockerCall
		attempts             int
	}{
		{goBusybox, "system_failed container_lost", "image " + goBusybox + " was removed from this host while the job was running", dockerCall{4, `^POST /containers/create\?name=.*-build$`}, 1},
		{helperImage, "system_failed helper_unusable", "its image was removed from this host while the job was running", dockerCall{1, `^POST /containers/create\?name=.*-helper$`}, 3},
		{serviceImage, "job_invalid image_not_found", "its image was removed from this host while the job was running", dockerCall{1, `^POST /containers/create\?name=.*-service-0$`}, 2},
	}) {
		t.Run(strings.NewReplacer("/", "_", ":", "_").Replace(c.image), func(t *testing.T) {
			t.Parallel()
			faulttest.Progress(t, "%s", c.image)
			d := newDaemon(t)
			k := newHook(t, d, c.at, false, func() { d.docker("rmi", "-f", c.image) })
			h := d.newHost("", k.socket)
			j := h.newJob(goBusybox, "echo never").with("services", []job{{"name": serviceImage}})
			r := h.run(j)
			if verdict := h.verdict(j); verdict != c.verdict || prepared(r) != c.attempts {
				t.Errorf("it ended as %s after %d attempts, want %s after %d", verdict, prepared(r), c.verdict, c.attempts)
			}
			h.told(r, c.verdict, 1)
			h.says(r, c.says)
			h.neverSays(r, "O never")
			d.sh("docker save %s | docker -H unix://%s load -q", c.image, d.socket())
			h.succeeded(h.run(h.newJob(goBusybox, "echo next").with("services", []job{{"name": serviceImage}})))
		})
	}
}

// What bears a job's name and is not its own is somebody's: it is left alone, and the job cannot be prepared. The build container is made late, when the Runner does
// not try again; whatever is in its place goes.
func TestFaultNamesAreTaken(t *testing.T) {
	t.Parallel()
	h := newHost(t, "")
	h.succeeded(h.run(h.newJob(busybox, "true")))
	for _, c := range faulttest.Pick(t, []string{"network", "helper", "build"}) {
		j := h.newJob(busybox, "echo ran")
		name := h.ourName(j)
		var remove []string
		if c == "network" {
			dockerCommand(t, "network", "create", name)
			remove = []string{"network", "rm", name}
		} else {
			dockerCommand(t, "create", "--name", name+"-"+c, busybox, "true")
			remove = []string{"rm", name + "-" + c}
		}
		r := h.run(j)
		if c == "build" {
			h.succeeded(r)
			h.says(r, "Starting the build container failed, attempt 1 of 3", "is already in use by container")
			continue
		}
		dockerCommand(t, remove...) // it is still there
		h.failed(r, "runner_system_failure", 0)
		h.says(r, "already ", name)
		if verdict := h.verdict(j); verdict != "system_failed docker_failed" || prepared(r) != 3 {
			t.Errorf("%s: it ended as %s after %d attempts", c, verdict, prepared(r))
		}
	}
}

func TestFaultDockerHasNoAddressesLeft(t *testing.T) {
	t.Parallel()
	d := newDaemon(t)
	h := d.newHost("")
	var taken []string
	for n := 0; ; n++ {
		made, err := d.api.NetworkCreate(t.Context(), fmt.Sprint("taken-", n), network.CreateOptions{Driver: "bridge"})
		if err != nil {
			break
		}
		taken = append(taken, made.ID)
	}
	faulttest.Progress(t, "%d networks", len(taken))
	j := h.newJob(busybox, "echo never")
	r := h.run(j)
	h.failed(r, "runner_system_failure", 0)
	h.says(r, "default-address-pools")
	if verdict := h.verdict(j); verdict != "system_failed docker_failed" || prepared(r) != 3 {
		t.Errorf("it ended as %s after %d attempts", verdict, prepared(r))
	}
	if err := d.api.NetworkRemove(context.Background(), taken[0]); err != nil {
		t.Fatal(err)
	}
	for range 2 { // each gives its own back
		h.succeeded(h.run(h.newJob(busybox, "true")))
	}
}

// fill leaves about so many bytes of the daemon's disk.
func (d *daemon) fill(leave int64) {
	d.t.Helper()
	file, err := os.Create(d.path("root/filler"))
	if err != nil {
		d.t.Fatal(err)
	}
	defer file.Close()
	size := int64(0)
	for piece := int64(256 << 20); piece >= 4<<10; {
		var s syscall.Statfs_t
		if err := syscall.Fstatfs(int(file.Fd()), &s); err != nil {
			d.t.Fatal(err)
		}
		if int64(s.Bfree)*s.Bsize-piece < leave || syscall.Fallocate(int(file.Fd()), 0, size, piece) != nil {
			piece /= 2
			continue
		}
		size += piece
	}
}

func (d *daemon) free() { _ = os.Remove(d.path("root/filler")) }

func TestFaultDockersDiskIsFull(t *testing.T) {
	t.Parallel()
	cases := map[string]func(t *testing.T, d *daemon){
		"before the job": func(_ *testing.T, d *daemon) {
			h := d.newHost("")
			d.fill(0)
			j := h.newJob(busybox, "echo never")
			r := h.run(j)
			d.free()
			h.failed(r, "runner_system_failure", 0)
			h.says(r, "no space left on device")
			h.expect(j, r, "system_failed disk_full", 3)
			h.succeeded(h.run(h.newJob(busybox, "echo next")))
		},
		"before the build container": func(t *testing.T, d *daemon) {
			k := newHook(t, d, dockerCall{4, `^POST /containers/create\?name=.*-build$`}, false, func() { d.fill(0) })
			h := d.newHost("", k.socket)
			j := h.newJob(busybox, "echo never")
			r := h.run(j)
			d.free()
			h.failed(r, "runner_system_failure", 0)
			h.says(r, "no space left on device", "Starting the build container failed, attempt 2 of 3")
			h.expect(j, r, "system_failed disk_full", 1)
			h.succeeded(h.run(h.newJob(busybox, "echo next")))
		},
		"by the job": func(_ *testing.T, d *daemon) {
			h := d.newHost("")
			j := h.newJob(busybox, "dd if=/dev/zero of=/filler bs=1M count=2000", "echo never").afterScript("rm /filler; echo after-started")
			r := h.run(j)
			h.failed(r, "script_failure", 1)
			h.says(r, "No space left on device")
			h.prints(r, "after-started")
			h.expect(j, r, "script_failed exit_code", 1)
			h.succeeded(h.run(h.newJob(busybox, "echo next")))
		},
		"while an image is pulled": func(t *testing.T, d *daemon) {
			registry := &imageRegistry{t: t, client: http.DefaultClient}
			registry.start(bridge, false, "")
			name := registry.address + "/big:1"
			d.docker("tag", goBusybox, name)
			d.docker("push", name)
			h := d.newHost("pull_policy = \"if-not-present\"\n")
			d.docker("rmi", "-f", goBusybox, name)
			d.fill(40 << 20)
			j := h.newJob(name, "echo ran")
			r := h.run(j)
			d.free()
			h.failed(r, "runner_system_failure", 0)
			h.says(r, "no space left on device")
			h.expect(j, r, "system_failed disk_full", 3)
			next := h.run(h.newJob(name, "echo ran"))
			h.succeeded(next)
			h.prints(next, "ran")
		},
	}
	names := []string{"before the job", "before the build container", "by the job", "while an image is pulled"}
	for _, name := range faulttest.Pick(t, names) {
		t.Run(strings.ReplaceAll(name, " ", "_"), func(t *testing.T) {
			t.Parallel()
			faulttest.Progress(t, "%s", name)
			cases[name](t, newDaemon(t))
		})
	}
}

// expect checks our own verdict.
func (h *host) expect(j job, r result, verdict string, attempts int) {
	h.t.Helper()
	if got := h.verdict(j); got != verdict || prepared(r) != attempts {
		h.t.Errorf("it ended as %s after %d attempts, want %s after %d\n%s", got, prepared(r), verdict, attempts, r.Log)
	}
}

func TestFaultTheKernelKillsAtAMemoryLimit(t *testing.T) {
	t.Parallel()
	eat := "x=$(head -c 300m /dev/zero | tr '\\0' a); echo never"
	cases := map[string]func(h *host){
		"the shell of the job": func(h *host) {
			j := h.newJob(busybox, eat).afterScript("echo after-started")
			r := h.run(j)
			h.failed(r, "script_failure", 137)
			h.says(r, "reached its memory limit and was killed by the kernel")
			h.prints(r, "after-started")
			h.expect(j, r, "script_failed out_of_memory", 1)
		},
		"a child that the script needs": func(h *host) {
			j := h.newJob(busybox, "sh -c \""+strings.ReplaceAll(eat, "$", `\$`)+"\"")
			r := h.run(j)
			h.failed(r, "script_failure", 137)
			h.expect(j, r, "script_failed out_of_memory", 1)
		},
		"a child that the script does without": func(h *host) {
			j := h.newJob(busybox, "sh -c \""+strings.ReplaceAll(eat, "$", `\$`)+"\" || true", "echo finished")
			r := h.run(j)
			h.succeeded(r)
			h.prints(r, "finished")
			h.expect(j, r, "success", 1)
		},
		"a service": func(h *host) {
			j := h.newJob(busybox, "echo finished").with("services", []job{{
				"name": busybox, "alias": "eater", "command": []string{"sh", "-c", eat},
				"variables": []job{variable("HEALTHCHECK_TCP_PORT", "80")},
			}})
			r := h.run(j)
			h.succeeded(r)
			h.says(r, "probably didn't start properly")
			h.expect(j, r, "success", 1)
		},
	}
	names := []string{"the shell of the job", "a child that the script needs", "a child that the script does without", "a service"}
	for _, name := range faulttest.Pick(t, names) {
		t.Run(strings.ReplaceAll(name, " ", "_"), func(t *testing.T) {
			t.Parallel()
			faulttest.Progress(t, "%s", name)
			cases[name](newHost(t, "memory = \"32m\"\nservice_memory = \"32m\"\n"))
		})
	}
}

// A daemon that is killed leaves its containers running: what they write to is not read before they have ended, and is not lost either.
func TestFaultWhatAJobMadeIsSavedWhenItsDaemonIsBack(t *testing.T) {
	t.Parallel()
	d := newDaemon(t)
	g := newGoHost(t, d.settings("stop_timeout = \"1s\"\n"))
	g.docker = d.api
	goJob := func(script ...string) job {
		j := g.goJob(script...).with("image", job{"name": goBusybox})
		return withoutC(j)
	}
	layers := func() int {
		found, _ := filepath.Glob(filepath.Join(g.StateDir, "store", "v1", "*", "*", "*", "layers", "*"))
		return len(found)
	}
	before := layers()
	lost := goJob("go mod download", "echo started; while :; do echo x >$GOCACHE/late; sleep 0.1; done")
	r := g.start(lost)
	r.waitFor(started)
	d.kill()
	res := r.wait()
	g.failed(res, "runner_system_failure", 0)
	g.expect(lost, res, "system_failed docker_gone", 1)
	if n := layers(); n != before {
		t.Errorf("%d layers were saved while a container may be writing", n-before)
	}
	time.Sleep(time.Second) // it writes on
	d.mend()
	g.proxy.fetched()
	if _, f := g.ran(goJob("go mod download")); f.Missed > 0 || f.HitHost != 3 {
		t.Errorf("the next job is not warm: %s", f)
	}
	if fetched := g.proxy.fetched(); len(fetched) > 0 {
		t.Errorf("the proxy was asked for %v", fetched)
	}
	for _, left := range g.left() {
		t.Errorf("after the next job: %s", left)
	}
}
