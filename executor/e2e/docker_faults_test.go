package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// faultyDocker stands between the executor and the real daemon and can be told to misbehave once, for one container.
type faultyDocker struct {
	proxy *httputil.ReverseProxy
	named string // how the container's name ends
	mu    sync.Mutex
	build string                                                                  // id of the newest such container
	fault func(w http.ResponseWriter, r *http.Request, forward http.Handler) bool // of calls about that container
	every func(w http.ResponseWriter, r *http.Request, forward http.Handler) bool // of all
}

// newFaultyDocker listens on a socket of its own and tells its address.
func newFaultyDocker(t *testing.T) (*faultyDocker, string) {
	t.Helper()
	return newFaultyDockerOf(t, "/var/run/docker.sock")
}

// newFaultyDockerOf stands before another daemon. What that breaks off is broken off.
func newFaultyDockerOf(t *testing.T, daemon string) (*faultyDocker, string) {
	t.Helper()
	f := &faultyDocker{named: "-build"}
	f.proxy = &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(&url.URL{Scheme: "http", Host: "docker"}) },
		Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", daemon)
		}},
		ModifyResponse: f.remember,
		ErrorHandler:   func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) },
		ErrorLog:       log.New(io.Discard, "", 0),
		FlushInterval:  -1,
	}
	dir, err := os.MkdirTemp("", "docker-") //nolint:usetesting // sockets have short paths
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	socket := filepath.Join(dir, "docker.sock")
	listener, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(f.serve), ReadHeaderTimeout: time.Minute, ErrorLog: log.New(io.Discard, "", 0)}
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(func() { _ = server.Close() })
	return f, "unix://" + socket
}

// remember learns the id of each such container that is created.
func (f *faultyDocker) remember(r *http.Response) error {
	if !strings.HasSuffix(r.Request.URL.Path, "/containers/create") || !strings.HasSuffix(r.Request.URL.Query().Get("name"), f.named) {
		return nil
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return err
	}
	var created struct{ ID string }
	_ = json.Unmarshal(body, &created)
	f.mu.Lock()
	f.build = created.ID
	f.mu.Unlock()
	r.Body = io.NopCloser(bytes.NewReader(body))
	return nil
}

func (f *faultyDocker) serve(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	fault, every := f.fault, f.every
	about := f.build != "" && strings.Contains(r.URL.Path, f.build)
	f.mu.Unlock()
	if every != nil && every(w, r, f.proxy) {
		return
	}
	if fault != nil && about && fault(w, r, f.proxy) {
		return
	}
	f.proxy.ServeHTTP(w, r)
}

// set changes what is done to all calls.
func (f *faultyDocker) set(every func(w http.ResponseWriter, r *http.Request, forward http.Handler) bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.every = every
}

// once makes the first call that ends with the given word go wrong in the given way.
func (f *faultyDocker) once(call string, how func(w http.ResponseWriter, r *http.Request, forward http.Handler)) {
	var done sync.Once
	f.fault = func(w http.ResponseWriter, r *http.Request, forward http.Handler) (handled bool) {
		if strings.HasSuffix(r.URL.Path, call) {
			done.Do(func() { handled = true; how(w, r, forward) })
		}
		return handled
	}
}

// A daemon under load may carry out a start that nobody waits for any more. The shell that it starts then reads no script,
// and ends with success: the job must not.
func TestAStartThatComesTooLateIsNotTakenForSuccess(t *testing.T) {
	t.Parallel()
	f, address := newFaultyDocker(t)
	h := newHost(t, "host = \""+address+"\"\nstart_timeout = \"6s\"")
	f.once("/start", func(_ http.ResponseWriter, r *http.Request, forward http.Handler) {
		late := r.Clone(context.WithoutCancel(r.Context()))
		go func() {
			time.Sleep(7 * time.Second)
			forward.ServeHTTP(&discard{header: http.Header{}}, late)
		}()
		time.Sleep(7 * time.Second)
		panic(http.ErrAbortHandler)
	})
	r := h.run(h.newJob(busybox, "echo the script ran", "exit 7"))
	h.failed(r, "script_failure", 7)
	h.says(r, "Starting the build container failed, attempt 1 of 3")
	h.prints(r, "the script ran")
}

// discard is a response that nobody reads.
type discard struct{ header http.Header }

func (d *discard) Header() http.Header         { return d.header }
func (d *discard) Write(p []byte) (int, error) { return len(p), nil }
func (d *discard) WriteHeader(int)             {}

func TestAScriptWhoseEndCannotBeAwaitedDoesNotGoOn(t *testing.T) {
	t.Parallel()
	f, address := newFaultyDocker(t)
	h := newHost(t, "host = \""+address+"\"\nstop_timeout = \"1s\"")
	f.once("/wait", func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
		w.WriteHeader(http.StatusOK)
		_ = http.NewResponseController(w).Flush()
		time.Sleep(3 * time.Second)
		panic(http.ErrAbortHandler)
	})
	r := h.run(h.newJob(busybox, "for i in 1 2 3 4 5 6 7 8 9; do sleep 1; echo tick-$i; done").afterScript("echo the after_script ran"))
	h.failed(r, "runner_system_failure", 0)
	h.neverSays(r, "O tick-9")
}

func TestAHelperContainerThatIsKilledIsNotTheUsersFault(t *testing.T) {
	t.Parallel()
	h := newHost(t, "")
	j := h.newJob(busybox, "echo never").variable("GET_SOURCES_ATTEMPTS", "1")
	h.gitlab.atClone(func() { h.killHelper(j) })
	r := h.run(j)
	h.failed(r, "runner_system_failure", 0)
	h.says(r, "the helper container was stopped while a script ran in it")
}

func TestAMistakeInTheStagesArgumentsIsNotTheJobs(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"prepare", "extra"}, {"run", "only-one"}, {"no-such-command"}} {
		cmd := exec.CommandContext(t.Context(), executorBin, args...)
		cmd.Env = []string{"BUILD_FAILURE_EXIT_CODE=11", "SYSTEM_FAILURE_EXIT_CODE=12"}
		out, _ := cmd.CombinedOutput()
		if code := cmd.ProcessState.ExitCode(); code != 12 {
			t.Errorf("%q: exit code %d, want that of a system failure\n%s", args, code, out)
		}
	}
}

func TestContainersOfAJobShareAVolumeThatGoesWithIt(t *testing.T) {
	t.Parallel()
	h := newHost(t, `volumes = ["/shared", "/cache"]`)
	r := h.run(h.newJob(busybox, "echo from-the-job > /shared/file", "wget -q -O - 'http://api:8080/file?name=/shared/file'").
		with("services", []job{{"name": serviceImage, "alias": "api"}}))
	h.succeeded(r)
	h.prints(r, "from-the-job")
	r = h.run(h.newJob(busybox, "ls -A /shared | wc -l"))
	h.succeeded(r)
	h.prints(r, "0")
}

// The second attempt of get_sources comes after clear_worktree, a stage that Runner's documents do not know.
func TestSourcesThatBrokeOffAreFetchedAgain(t *testing.T) {
	t.Parallel()
	h := newHost(t, "")
	j := h.newJob(busybox, "cat README.md").variable("GET_SOURCES_ATTEMPTS", "2")
	h.gitlab.atClone(func() { h.killHelper(j) })
	r := h.run(j)
	h.succeeded(r)
	h.says(r, "the helper container was stopped while a script ran in it")
	h.prints(r, "hello")
	if log := h.operatorLog(); !strings.Contains(log, `"stage":"clear_worktree"`) {
		t.Errorf("there was no clear_worktree:\n%s", log)
	}
}

// killHelper kills the job's only running container while its sources are fetched.
func (h *host) killHelper(j job) {
	out, err := exec.Command("docker", "ps", "-q", "--filter", "label=gitlab-go-executor.job="+h.instance+"/"+fmtID(j)).Output()
	if err != nil {
		h.t.Error(err)
	}
	_ = exec.Command("docker", append([]string{"kill"}, strings.Fields(string(out))...)...).Run()
}

// An unmount succeeds although a container still writes to the mount, so only Docker's word that the container has ended counts.
func TestNothingIsReadOfAContainerThatMayStillBeRunning(t *testing.T) {
	t.Parallel()
	f, address := newFaultyDocker(t)
	g := newGoHost(t, "host = \""+address+"\"\n")
	var looks atomic.Int32
	f.fault = func(w http.ResponseWriter, r *http.Request, forward http.Handler) bool {
		switch {
		case strings.HasSuffix(r.URL.Path, "/stop"):
			w.WriteHeader(http.StatusNotModified)
			return true
		case !strings.HasSuffix(r.URL.Path, "/json"):
			return false
		}
		if looks.Add(1) < 3 { // before the start, and after the script's end
			return false
		}
		recorder := httptest.NewRecorder()
		forward.ServeHTTP(recorder, r)
		w.WriteHeader(recorder.Code)
		_, _ = w.Write(bytes.Replace(recorder.Body.Bytes(), []byte(`"Status":"exited","Running":false`), []byte(`"Status":"running","Running":true`), 1))
		return true
	}
	j := g.goJob("go build ./sum")
	r := g.run(j)
	g.succeeded(r)
	g.says(r, "it is not certain that the job's processes have ended")
	if fig := g.figures(j); fig.SaveReason != "still_running" || fig.Saved > 0 {
		t.Errorf("%s, %s", fig, fig.SaveReason)
	}
	if row := g.rows()[fmtID(j)]; row.word("save_reason") != "still_running" || row["harvest_seconds"] != nil {
		t.Errorf("the ledger says %v", row)
	}
	f.mu.Lock()
	f.fault = nil
	f.mu.Unlock()
	if _, fig := g.ran(g.goJob("go build ./sum")); fig.New != 0 {
		t.Errorf("once the container is gone: %s", fig)
	}
}
