//go:build faults

package e2e

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/docker/docker/client"
)

// daemon is a Docker daemon of a test's own: its data is on a small disk of its own, and its networks are in a network namespace of their own, so
// that it can be stopped, killed and starved beside the machine's, and its firewall and bridges go with the namespace.
type daemon struct {
	t         *testing.T
	n         int    // tells it from others of this machine
	dir       string // of all its files
	namespace string
	api       *client.Client
	cmd       *exec.Cmd
	exited    chan struct{}
	closed    bool
	mu        sync.Mutex
}

// dockerDisk is what a daemon's data is on: more than enough for the images and a job, little enough to be filled.
const dockerDisk = "1200M"

func (d *daemon) path(name string) string { return filepath.Join(d.dir, name) }
func (d *daemon) socket() string          { return d.path("docker.sock") }
func (d *daemon) containerd() string      { return d.path("exec/containerd/containerd.sock") }

// newDaemon starts a daemon that has the images of the tests.
func newDaemon(t *testing.T) *daemon {
	t.Helper()
	disk := daemonSeed.disk(t)
	d := openDaemon(t)
	d.sh("cp --sparse=always %s %s", disk, d.path("disk"))
	d.up()
	return d
}

// daemonSeed is a disk on which the images have been loaded; each daemon has a copy.
var daemonSeed seededDisk

type seededDisk struct {
	once sync.Once
	file string
}

func (s *seededDisk) disk(t *testing.T) string {
	t.Helper()
	s.once.Do(func() {
		d := openDaemon(t)
		d.sh("truncate -s %s %s && mkfs.ext4 -q -O ^has_journal %[2]s", dockerDisk, d.path("disk"))
		d.up()
		d.sh("docker save %s | docker -H unix://%s load -q", strings.Join([]string{busybox, serviceImage, goBusybox, helperImage}, " "), d.socket())
		d.stop() // and so on the disk
		d.close()
		file := filepath.Join(seeds.dir, "docker.ext4")
		d.sh("cp --sparse=always %s %s", d.path("disk"), file)
		s.file = file
	})
	if s.file == "" {
		t.Fatal("the daemon failed that loads the images for all")
	}
	return s.file
}

// openDaemon finds a number that no other daemon of this machine has, and gives it a network namespace that reaches this host, as containers
// on Docker's own bridge would, and that this host reaches.
func openDaemon(t *testing.T) *daemon {
	t.Helper()
	d := &daemon{t: t}
	var err error
	if d.dir, err = os.MkdirTemp("/var/tmp", "dockerd-"); err != nil { //nolint:usetesting // sockets have short paths, and disks are too big for memory
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(d.dir); err != nil {
			t.Error(err)
		}
	})
	for d.n = 0; exec.Command("ip", "netns", "add", fmt.Sprintf("gge-dockerd-%d", d.n)).Run() != nil; d.n++ {
		if d.n == 60 {
			t.Fatal("no network namespace can be made")
		}
	}
	d.namespace = fmt.Sprintf("gge-dockerd-%d", d.n)
	t.Cleanup(d.close)
	d.sh(`set -e
ip link add ggd%[1]d type veth peer name eth0 netns %[2]s
ip addr add 10.213.%[1]d.1/30 dev ggd%[1]d
ip link set ggd%[1]d up
ip -n %[2]s addr add 10.213.%[1]d.2/30 dev eth0
ip -n %[2]s link set eth0 up
ip -n %[2]s link set lo up
ip -n %[2]s route add default via 10.213.%[1]d.1
ip route add %[3]s via 10.213.%[1]d.2
mkdir %[4]s/root %[4]s/exec
echo '{"insecure-registries": ["%[5]s/32"]}' >%[4]s/daemon.json`, d.n, d.namespace, d.pool(), d.dir, bridge)
	return d
}

// pool is where the daemon's networks are.
func (d *daemon) pool() string { return fmt.Sprintf("10.214.%d.0/22", 4*d.n) }

func (d *daemon) sh(format string, args ...any) {
	d.t.Helper()
	if out, err := exec.Command("sh", "-c", fmt.Sprintf(format, args...)).CombinedOutput(); err != nil {
		d.t.Fatalf("%s: %v\n%s", fmt.Sprintf(format, args...), err, out)
	}
}

// up mounts the disk and starts the daemon.
func (d *daemon) up() {
	d.t.Helper()
	d.sh("mount -o loop %s %s", d.path("disk"), d.path("root"))
	var err error
	if d.api, err = client.NewClientWithOpts(client.WithHost("unix://"+d.socket()), client.WithAPIVersionNegotiation()); err != nil {
		d.t.Fatal(err)
	}
	d.start()
}

// start starts the daemon and waits until it answers. Without a bridge of its own it must not be let into the machine's network namespace: it
// would remove Docker's.
func (d *daemon) start(flags ...string) {
	d.t.Helper()
	d.mu.Lock()
	defer d.mu.Unlock()
	_ = os.Remove(d.path("pid"))
	log, err := os.OpenFile(d.path("log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		d.t.Fatal(err)
	}
	defer log.Close()
	line := append([]string{
		"--net=/run/netns/" + d.namespace, "dockerd", "--config-file", d.path("daemon.json"), "--host", "unix://" + d.socket(), "--data-root", d.path("root"),
		"--exec-root", d.path("exec"), "--pidfile", d.path("pid"), "--bridge", "none", "--storage-driver", "overlay2",
		"--default-address-pool", "base=" + d.pool() + ",size=27", "--group", "", "--cgroup-parent", "/" + d.namespace,
	}, flags...)
	d.cmd = exec.Command("nsenter", line...)
	d.cmd.Stdout, d.cmd.Stderr = log, log
	d.cmd.Env = append(os.Environ(), "TMPDIR="+d.dir) // where containerd says what it was doing when dockerd finds that it hangs
	if err := d.cmd.Start(); err != nil {
		d.t.Fatal(err)
	}
	d.exited = make(chan struct{})
	go func(cmd *exec.Cmd, exited chan struct{}) { _ = cmd.Wait(); close(exited) }(d.cmd, d.exited)
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
		if d.answers() {
			return
		}
		if d.down() || time.Now().After(deadline) {
			text, _ := os.ReadFile(d.path("log"))
			d.t.Fatalf("the tests' own dockerd does not start:\n%s", text[max(0, len(text)-4000):])
		}
	}
}

func (d *daemon) answers() bool {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	_, err := d.api.Ping(ctx)
	return err == nil
}

// down says that its process has ended.
func (d *daemon) down() bool {
	select {
	case <-d.exited:
		return true
	default:
		return false
	}
}

// signal tells dockerd alone; an end is waited for where one is due.
func (d *daemon) signal(s syscall.Signal) {
	if d.cmd == nil || d.down() {
		return
	}
	_ = d.cmd.Process.Signal(s) // it may have ended meanwhile
	if s == syscall.SIGTERM || s == syscall.SIGKILL {
		<-d.exited
	}
}

// The ways in which a daemon goes. A stop ends its containers; when it is killed they live on, until it is started again; in a crash all of it dies.
func (d *daemon) stop()   { d.signal(syscall.SIGTERM) }
func (d *daemon) kill()   { d.signal(syscall.SIGKILL); d.containerdEnds() }
func (d *daemon) freeze() { d.signal(syscall.SIGSTOP) }
func (d *daemon) thaw()   { d.signal(syscall.SIGCONT) }
func (d *daemon) crash()  { d.kill(); d.killContainers() }

// containerdEnds waits for what dies with dockerd: a new one would take it for alive.
func (d *daemon) containerdEnds() {
	for range 200 {
		if exec.Command("pgrep", "-f", "^containerd --config "+d.path("exec")).Run() != nil {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	_ = os.Remove(d.path("exec/containerd/containerd.pid"))
}

// mend makes it answer again, whatever was done to it.
func (d *daemon) mend() {
	d.t.Helper()
	d.thaw()
	if d.down() {
		d.start()
	}
}

// killContainers kills what a dead daemon leaves: the processes in its containers, and those that watch over them.
func (d *daemon) killContainers() {
	for range 50 {
		pids := d.processes()
		if len(pids) == 0 {
			return
		}
		for _, pid := range pids {
			_ = exec.Command("kill", "-9", pid).Run() // it may have ended meanwhile
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// newHost makes a runner host whose jobs run under this daemon, or under what stands between at another socket.
func (d *daemon) newHost(settings string, socket ...string) *host {
	d.t.Helper()
	h := newHost(d.t, d.settings(settings, socket...))
	h.docker = d.api
	return h
}

func (d *daemon) settings(settings string, socket ...string) string {
	return fmt.Sprintf("host = %q\n%s", "unix://"+append(socket, d.socket())[0], settings)
}
