package e2e

import (
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/store/s3test"
)

// openBelow are the paths of the state directory that others than root could use if they could reach them, and why. All else is root's alone, the
// folders above these too.
var openBelow = map[string]string{
	"bin/*":                    "any user of a container runs it",
	"builds/*/*/*/*":           "the checkout is of any user of any image",
	"caches/*/*/*":             "so is what jobs see as /cache",
	"jobs/*/*/cache/merged":    "and the mount of their caches",
	"jobs/*/*/cache/upper":     "and what they add to these",
	"salvage/*/cache/upper":    "which is kept of a killed job",
	"jobs/*/*/cache/work/*":    "the kernel sets these modes",
	"salvage/*/cache/work/*":   "likewise",
	"mnt/*":                    "what is in layers has the modes that jobs need",
	"layers/*":                 "files of the store never change, which is what their mode says",
	"spool/files/v1/*/*/*/*/*": "likewise",
	"spool/small/v1/*/*/*/*/*": "likewise",
}

// below says whether a path is one of a pattern's, or in one.
func below(pattern, name string) bool {
	parts := strings.Split(name, "/")
	n := strings.Count(pattern, "/") + 1
	if len(parts) < n {
		return false
	}
	ok, err := path.Match(pattern, strings.Join(parts[:n], "/"))
	return ok && err == nil
}

func TestNobodyButRootReachesTheStateDirectory(t *testing.T) {
	t.Parallel()
	proxy, config := s3test.NewProxy(t, s3test.Fake(t))
	proxy.Break(s3test.Abort) // so that something waits in the spool
	g := newGoHost(t, "stop_timeout = \"1s\"\n"+bucket(config))
	if err := os.RemoveAll(g.StateDir); err != nil { // the tests made it, and here the program shall
		t.Fatal(err)
	}
	killed := g.start(withoutC(g.goJob("go build ./sum", "echo started; sleep 300")))
	killed.waitFor(started)
	killed.killAll()
	g.ran(withoutC(g.goJob("go build ./sum", "touch /cache/file /builds/file")))
	running := g.start(withoutC(g.goJob("go build example.com/alpha", "echo started; sleep 300")))
	defer func() {
		running.signal(syscall.SIGUSR1)
		running.wait()
	}()
	running.waitFor(started)

	var paths []string
	used := map[string]bool{}
	err := filepath.WalkDir(g.StateDir, func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		paths = append(paths, file)
		name, _ := filepath.Rel(g.StateDir, file)
		for pattern := range openBelow {
			if below(pattern, name) {
				used[strings.Split(pattern, "/")[0]] = true
				return nil
			}
		}
		if info.Mode().Perm()&0o077 != 0 || info.Sys().(*syscall.Stat_t).Uid != 0 {
			t.Errorf("%s is not root's alone: %v", name, info.Mode())
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{"bin", "builds", "caches", "jobs", "mnt"} {
		if !used[part] {
			t.Errorf("nothing was looked at in %s", part)
		}
	}
	for _, part := range []string{"id", "ledger.db", "layers/*", "spool/*", "images/*", "jobs/*/*/record.json", "locks/*"} {
		if found, _ := filepath.Glob(filepath.Join(g.StateDir, part)); len(found) == 0 {
			t.Errorf("there is no %s", part)
		}
	}

	// An administrator may have made the folder, and let everybody in.
	for dir := g.StateDir; dir != os.TempDir() && dir != "/"; dir = filepath.Dir(dir) {
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	paths = append(paths, g.OperatorLog(), filepath.Join(g.dir, "settings.toml"))
	cmd := exec.CommandContext(t.Context(), "sh", "-c", `while read -r file; do if [ -r "$file" ] || [ -w "$file" ] || [ -x "$file" ]; then echo "$file"; fi; done`)
	cmd.Stdin = strings.NewReader(strings.Join(paths, "\n") + "\n")
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	cmd.Dir = "/"
	out, err := cmd.CombinedOutput()
	if err != nil || string(out) != g.StateDir+"\n" { // which shows that the others would be found
		t.Errorf("another user reaches (%v)\n%s", err, out)
	}
	if err := os.Chmod(g.StateDir, 0o700); err != nil {
		t.Error(err)
	}
	if out, err := exec.CommandContext(t.Context(), "setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "ls", g.StateDir).CombinedOutput(); err == nil {
		t.Errorf("another user lists the folder: %s", out)
	}
}
