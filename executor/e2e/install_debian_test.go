//go:build install

package e2e

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// debian is the root of a Debian that was just installed: the scripts of packages run in it, a stand-in for systemctl (testdata/install), and what
// they start. It has this host's kernel, Docker and mount namespace.
type debian struct {
	t    *testing.T
	root string
}

const (
	serviceUnit = "gitlab-go-executor.service"
	serviceLog  = "var/log/" + serviceUnit + ".log"
)

func newDebian(t *testing.T) *debian {
	t.Helper()
	d := &debian{t: t, root: filepath.Join(t.TempDir(), "debian")}
	t.Cleanup(d.remove)
	d.outside(`mkdir "$1"; id=$(docker create local/debian:bookworm); trap 'docker rm "$id" >/dev/null' EXIT; docker export "$id" | tar -x -C "$1" --numeric-owner
		mount --bind "$1" "$1"; mount --make-private "$1" # as a root is
		cd "$1"; mkdir -p proc sys dev run/systemd/system; touch run/docker.sock; cp -L /etc/resolv.conf etc/
		mount -t proc proc proc; mount --bind /sys sys; mount --bind /dev dev; mount --bind /var/run/docker.sock run/docker.sock
		for m in sys dev run/docker.sock; do mount --make-private "$m"; done`, d.root)
	d.put("testdata/install/systemctl", "usr/bin/systemctl")
	d.put("testdata/runner/bin/gitlab-runner", "usr/local/bin/gitlab-runner")
	d.sh("apt-get update -qq")
	return d
}

// remove ends what runs in the root and deletes it.
func (d *debian) remove() {
	for _, pid := range d.processes("") {
		_ = exec.Command("kill", "-9", strconv.Itoa(pid)).Run()
	}
	d.outside(`cd /; for i in 1 2 3; do awk -v below="$1/" 'index($5, below) == 1 { print $5 }' /proc/self/mountinfo | tac | xargs -r umount -l 2>/dev/null || true; done; umount -l "$1"
		rm -rf --one-file-system "$1"`, d.root)
}

// outside runs a script of this host.
func (d *debian) outside(script string, args ...string) string {
	d.t.Helper()
	return d.output(exec.Command("bash", append([]string{"-euo", "pipefail", "-c", script, "bash"}, args...)...))
}

// command is one of the root.
func (d *debian) command(name string, args ...string) *exec.Cmd {
	cmd := exec.Command("chroot", append([]string{d.root, name}, args...)...)
	cmd.Env = []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "LANG=C.UTF-8", "DEBIAN_FRONTEND=noninteractive"}
	for _, name := range []string{"http_proxy", "https_proxy", "no_proxy"} {
		if value, ok := os.LookupEnv(name); ok {
			cmd.Env = append(cmd.Env, name+"="+value)
		}
	}
	return cmd
}

// sh runs a script in the root, and gives what it says.
func (d *debian) sh(script string) string {
	d.t.Helper()
	return d.output(d.command("bash", "-euo", "pipefail", "-c", script))
}

// fails runs a script in the root that has to fail, and gives what it says.
func (d *debian) fails(script string) string {
	d.t.Helper()
	out, err := d.command("bash", "-euo", "pipefail", "-c", script).CombinedOutput()
	if err == nil {
		d.t.Errorf("this did not fail:\n%s\n%s", script, out)
	}
	return string(out)
}

func (d *debian) output(cmd *exec.Cmd) string {
	d.t.Helper()
	out, err := cmd.CombinedOutput()
	if err != nil {
		d.t.Fatalf("%v: %v\n%s", cmd.Args, err, out)
	}
	return string(out)
}

// put copies a file of the repository into the root.
func (d *debian) put(file, target string) {
	d.t.Helper()
	d.outside(`install -D -m 0755 "$1" "$2"`, filepath.Join("..", "..", file), filepath.Join(d.root, target))
}

func (d *debian) read(path string) string {
	d.t.Helper()
	data, err := os.ReadFile(filepath.Join(d.root, path))
	if err != nil {
		d.t.Fatal(err)
	}
	return string(data)
}

func (d *debian) write(path, content string, mode os.FileMode) {
	d.t.Helper()
	file := filepath.Join(d.root, path)
	if err := os.WriteFile(file, []byte(content), mode); err != nil {
		d.t.Fatal(err)
	}
	if err := os.Chmod(file, mode); err != nil {
		d.t.Fatal(err)
	}
}

func (d *debian) take(path string) {
	d.t.Helper()
	if err := os.Remove(filepath.Join(d.root, path)); err != nil {
		d.t.Fatal(err)
	}
}

func (d *debian) has(path string) bool {
	_, err := os.Lstat(filepath.Join(d.root, path))
	return err == nil
}

// files lists what the root has, but for what any package changes.
func (d *debian) files() []string {
	d.t.Helper()
	list := d.outside(`cd "$1"; find . -xdev \( -path ./proc -o -path ./sys -o -path ./dev -o -path ./run -o -path ./tmp -o -path ./root -o -path ./var/cache -o -path ./var/log \
		-o -path './var/lib/gitlab-go-executor/*' -o -path ./var/lib/apt -o -path ./var/lib/dpkg -o -path ./var/lib/rpm \) -prune -o -print`, d.root)
	files := strings.Fields(list)
	slices.Sort(files)
	return files
}

// since tells what has come and gone since files were listed.
func (d *debian) since(before []string) string {
	d.t.Helper()
	var changed []string
	after := d.files()
	for _, f := range after {
		if _, found := slices.BinarySearch(before, f); !found {
			changed = append(changed, "+"+strings.TrimPrefix(f, "."))
		}
	}
	for _, f := range before {
		if _, found := slices.BinarySearch(after, f); !found {
			changed = append(changed, "-"+strings.TrimPrefix(f, "."))
		}
	}
	return strings.Join(changed, "\n")
}

// processes are those that run in the root with a program of that name, or all.
func (d *debian) processes(program string) []int {
	var pids []int
	roots, _ := filepath.Glob("/proc/[0-9]*/root")
	for _, root := range roots {
		if at, _ := os.Readlink(root); at != d.root {
			continue
		}
		line, _ := os.ReadFile(filepath.Join(filepath.Dir(root), "cmdline"))
		name, _, _ := bytes.Cut(line, []byte{0})
		if program != "" && filepath.Base(string(name)) != program {
			continue
		}
		pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(root)))
		pids = append(pids, pid)
	}
	return pids
}

// serving is the process of the service, 0 if it does not run.
func (d *debian) serving() int {
	for _, pid := range d.processes("gitlab-go-executor") {
		if line, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid)); strings.HasSuffix(string(line), "\x00serve\x00") {
			return pid
		}
	}
	return 0
}

// eventually waits for something that a service does.
func (d *debian) eventually(what string, ok func() bool) {
	d.t.Helper()
	for deadline := time.Now().Add(3 * time.Minute); !ok(); time.Sleep(100 * time.Millisecond) {
		if time.Now().After(deadline) {
			log, _ := os.ReadFile(filepath.Join(d.root, serviceLog))
			d.t.Fatalf("waited 3 minutes until %s; the service said:\n%s", what, log)
		}
	}
}
