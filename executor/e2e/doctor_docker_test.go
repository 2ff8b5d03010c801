package e2e

import (
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

var brokenDockers = map[string]brokenHost{
	"there is no Docker": {
		func(*patient) {}, finding{"docker", "wrong", "there is no socket", "install Docker Engine 20.10"}, (*patient).withDocker,
	},
	"Docker does not run": {
		func(p *patient) {
			listener, err := (&net.ListenConfig{}).Listen(p.Context(), "unix", p.path("none.sock"))
			if err != nil {
				p.Fatal(err)
			}
			listener.(*net.UnixListener).SetUnlinkOnClose(false)
			_ = listener.Close()
		},
		finding{"docker", "wrong", "the daemon does not run", "systemctl start docker"},
		(*patient).withDocker,
	},
	"docker.host is remote": {
		func(p *patient) { p.set("docker", "host = %q", "tcp://10.0.0.1:2376") },
		finding{"settings", "wrong", "has to be the socket of a daemon on this host", "correct it"},
		(*patient).withDocker,
	},
	"DOCKER_HOST is remote": {
		func(p *patient) { p.withDocker(); p.env = append(p.env, "DOCKER_HOST=tcp://10.0.0.1:2376") },
		finding{"docker", "warning", "DOCKER_HOST is tcp://10.0.0.1:2376 and has no effect", "unset DOCKER_HOST"},
		func(p *patient) { p.env = append(p.env, "DOCKER_HOST=") },
	},
	"the socket leads to another machine": {
		func(p *patient) { p.set("docker", "host = %q", p.daemon("28.5.2", "5.4.0-far")) },
		finding{"docker", "wrong", "runs on another machine (far with Linux 5.4.0-far", "use a daemon on this very host"},
		(*patient).withDocker,
	},
	"Docker is old": {
		func(p *patient) { p.set("docker", "host = %q", p.daemon("19.03.15", release(p.T))) },
		finding{"docker", "wrong", "Docker 19.03.15 is too old", "install Docker Engine 20.10"},
		(*patient).withDocker,
	},
	"the helper image is not there": {
		func(p *patient) { p.withDocker(); p.set("docker", "helper_image = %q", "local/nope:1") },
		finding{"helper image", "wrong", "local/nope:1 is not there, and pull_policy = never", "docker pull local/nope:1"},
		func(p *patient) { p.set("docker", "helper_image = %q", helperImage) },
	},
	"the helper image is to be pulled": {
		func(p *patient) {
			p.withDocker()
			p.set("docker", "helper_image = %q", "local/nope:1")
			p.set("docker", "pull_policy = %q", "always")
		},
		finding{"helper image", "warning", "the first job pulls it", "docker pull local/nope:1"},
		func(p *patient) { p.set("docker", "helper_image = %q", helperImage) },
	},
	"another image serves to look": {
		func(p *patient) { p.withDocker(); p.set("docker", "helper_image = %q", "local/nope:1") },
		finding{"paths", "ok", "and what is mounted there", ""},
		nil,
	},
	"there is no image to look with": {
		func(p *patient) { p.set("docker", "host = %q", p.daemon("28.5.2", release(p.T))) },
		finding{"paths", "warning", "Docker has no image to try with", "docker pull " + helperImage},
		(*patient).withDocker,
	},
	"the Runner is in a private mount namespace, and the doctor with it": {
		func(p *patient) { p.withDocker(); p.withCaches("image"); p.unshare = []string{"--mount"} },
		finding{"paths", "wrong", "containers do not see what is mounted", "remove PrivateMounts"},
		func(p *patient) { p.unshare = nil },
	},
	"the state directory is not Docker's": {
		func(p *patient) {
			onState("copy", "mount -t tmpfs -o mode=0700 tmpfs DIR/state")(p)
			p.withDocker()
		},
		finding{"paths", "wrong", "its paths are not those of this host", "under one path"},
		onDisk,
	},
}

func TestTheDoctorRemovesWhatAKilledOneHasLeft(t *testing.T) {
	t.Parallel()
	p := newPatient(t)
	p.withDocker()
	p.writeFiles()
	p.put("state/doctor-0/mount/x", "", 0o600)
	p.put("state/doctor-1/x", "", 0o600)
	if err := unix.Mount("tmpfs", p.path("state/doctor-0/mount"), "tmpfs", 0, "size=1m"); err != nil {
		t.Fatal(err)
	}
	long := time.Now().Add(-2 * time.Hour)
	if err := os.Chtimes(p.path("state/doctor-0"), long, long); err != nil {
		t.Fatal(err)
	}
	p.doctor()
	left, err := filepath.Glob(p.path("state/doctor-*"))
	if err != nil || len(left) != 1 || left[0] != p.path("state/doctor-1") {
		_ = unix.Unmount(p.path("state/doctor-0/mount"), unix.MNT_DETACH)
		t.Errorf("of an old doctor and of one that may still be at it there is left: %v (%v)", left, err)
	}
}
