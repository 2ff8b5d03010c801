package e2e

import (
	"bufio"
	"fmt"
	"hash/crc32"
	"net"
	"net/http"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// A connection that breaks off while the script runs leaves nobody who sees what it prints: it must neither go on, nor run again, nor count as a success.
func TestAConnectionThatBreaksOffEndsTheScript(t *testing.T) {
	t.Parallel()
	f, address := newFaultyDocker(t)
	h := newHost(t, fmt.Sprintf("host = %q\nstop_timeout = \"1s\"\n", address))
	cut := make(chan struct{})
	f.fault = func(w http.ResponseWriter, r *http.Request, forward http.Handler) bool {
		if !strings.HasSuffix(r.URL.Path, "/attach") {
			return false
		}
		forward.ServeHTTP(&breakable{w, cut}, r)
		return true
	}
	j := h.newJob(busybox, "echo started; sleep 20; echo finished")
	r := h.start(j)
	r.waitFor(started)
	close(cut)
	res := r.wait()
	h.failed(res, "runner_system_failure", 0)
	h.says(res, "broke off while a script was running")
	h.neverSays(res, "O finished\n")
	if verdict := h.verdict(j); verdict != "system_failed docker_gone" || prepared(res) != 1 || strings.Count(res.Log, started) != 1 {
		t.Errorf("it ended as %s after %d attempts\n%s", verdict, prepared(res), res.Log)
	}
}

// breakable is a response whose connection breaks off when cut is closed.
type breakable struct {
	http.ResponseWriter
	cut chan struct{}
}

// Hijack implements http.Hijacker.
func (b *breakable) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, rw, err := http.NewResponseController(b.ResponseWriter).Hijack()
	if err == nil {
		go func() {
			<-b.cut
			_ = conn.Close()
		}()
	}
	return conn, rw, err
}

// Not each end of a script's output is a cut.
func TestAScriptMayCloseItsOutput(t *testing.T) {
	t.Parallel()
	h := newHost(t, "")
	r := h.run(h.newJob(busybox, "echo started", "exec >/dev/null 2>&1", "sleep 12", "exit 7"))
	h.failed(r, "script_failure", 7)
	h.prints(r, "started")
}

// Somebody, or a Docker that is being stopped, ends the build container: the shell in it ends as if its script had failed.
func TestAScriptThatSomebodyStoppedHasNotFailed(t *testing.T) {
	t.Parallel()
	h := newHost(t, "")
	for name, stop := range map[string][]string{"asked to end": {"kill", "--signal", "TERM"}, "killed": {"kill"}} {
		j := h.newJob(busybox, "echo started", "for i in 1 2 3 4 5 6 7 8 9; do sleep 1; done")
		r := h.start(j)
		r.waitFor(started)
		dockerCommand(t, append(stop, h.ourName(j)+"-build")...)
		res := r.wait()
		h.failed(res, "runner_system_failure", 0)
		h.says(res, "Docker was stopped or restarted, or somebody stopped the container")
		if verdict := h.verdict(j); verdict != "system_failed container_lost" {
			t.Errorf("%s: it ended as %s", name, verdict)
		}
	}
}

// ourName is the prefix of the names of a job's objects (executor.owner), once a job of the host has run.
func (h *host) ourName(j job) string {
	h.t.Helper()
	found, err := filepath.Glob(filepath.Join(h.StateDir, "id"))
	if err != nil || len(found) == 0 {
		h.t.Fatal("no job has run yet")
	}
	return "go-executor-" + stateLabel(h.t, h.StateDir) + "-" + fmt.Sprintf("%08x", crc32.ChecksumIEEE([]byte(h.instance))) + "-job-" + fmtID(j)
}

func dockerCommand(t *testing.T, args ...string) {
	t.Helper()
	if out, err := exec.Command("docker", args...).CombinedOutput(); err != nil {
		t.Errorf("docker %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

var apiVersion = regexp.MustCompile(`^/v1\.[0-9]+`)

// callOf is a request as moments name it.
func callOf(r *http.Request) string {
	uri := apiVersion.ReplaceAllString(r.URL.Path, "")
	if name := r.URL.Query().Get("name"); name != "" {
		uri += "?name=" + name
	}
	return r.Method + " " + uri
}
