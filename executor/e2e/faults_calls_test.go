//go:build faults

package e2e

import (
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/faulttest"
)

// badCall is a call of the executor's that goes wrong, and what is promised of the job.
type badCall struct {
	call     string // a regular expression of method and path
	script   string // of the job; empty: one that succeeds
	verdict  string // outcome and reason
	attempts int    // of prepare
	says     string // in the job log
}

// succeeds is the script of most.
const succeeds = "echo started; echo finished"

// The calls of a job, in their order, that the daemon never answers.
var hangingCalls = []badCall{
	{`^HEAD /_ping`, "", "system_failed docker_gone", 3, "waited 10s for an answer of Docker"},
	{`^GET /images/.*/json$`, "", "system_failed deadline", 3, "for the inspection of image"},
	{`^POST /networks/create`, "", "system_failed deadline", 3, "for the creation of the job's network"},
	{`^POST /containers/create\?name=.*-helper$`, "", "system_failed deadline", 3, "docker.start_timeout"},
	{`^POST /containers/[0-9a-f]+/start$`, "", "system_failed deadline", 3, "docker.start_timeout"},
	{`^POST /containers/[0-9a-f]+/exec$`, "", "system_failed deadline", 3, "for the start of a command"},
	{`^POST /exec/[0-9a-f]+/start$`, "", "system_failed deadline", 3, "for the streams of a command"},
	{`^GET /exec/[0-9a-f]+/json$`, "", "system_failed deadline", 3, "for the exit code of a command"},
	{`^POST /containers/create\?name=.*-build$`, "", "system_failed deadline", 1, "docker.start_timeout"},
	{`^POST /containers/[0-9a-f]+/attach$`, "", "system_failed deadline", 1, "for the build container's streams"},
	{`^POST /containers/[0-9a-f]+/wait$`, "", "system_failed deadline", 1, "for the build container's end to be watched"},
	{`^GET /events$`, "exit 3", "script_failed exit_code", 1, ""},
	{`^GET /containers/json`, "", "system_failed deadline", 3, "for a list of containers"},
}

// Each call that the daemon never answers is given up, the stage ends with its reason, and so does cleanup.
func TestFaultACallThatHangs(t *testing.T) {
	t.Parallel()
	for _, c := range faulttest.Pick(t, hangingCalls) {
		t.Run(c.name(), func(t *testing.T) {
			t.Parallel()
			gone := make(chan struct{})
			c.try(t, func(_ http.ResponseWriter, r *http.Request) {
				select {
				case <-r.Context().Done():
				case <-gone:
				}
				panic(http.ErrAbortHandler)
			}, func() { close(gone) }, 0)
		})
	}
}

// The same calls, answered with an error each time, or the first time only.
var failingCalls = []badCall{
	{`^HEAD /_ping`, "", "system_failed docker_failed", 3, "cannot reach Docker"},
	{`^GET /images/.*/json$`, "", "system_failed docker_failed", 3, "cannot inspect image"},
	{`^POST /networks/create`, "", "system_failed docker_failed", 3, "cannot create the job's network"},
	{`^POST /containers/create\?name=.*-helper$`, "", "system_failed docker_failed", 3, "cannot create the helper container"},
	{`^POST /containers/[0-9a-f]+/start$`, "", "system_failed docker_failed", 3, "cannot start the helper container"},
	{`^POST /containers/[0-9a-f]+/exec$`, "", "system_failed docker_failed", 3, "cannot run a command in the helper container"},
	{`^POST /exec/[0-9a-f]+/start$`, "", "system_failed docker_failed", 3, "cannot run a command in the helper container"},
	{`^GET /exec/[0-9a-f]+/json$`, "", "system_failed docker_failed", 3, "cannot read the exit code"},
	{`^POST /containers/create\?name=.*-build$`, "", "system_failed docker_failed", 1, "Starting the build container failed, attempt 2 of 3"},
	{`^POST /containers/[0-9a-f]+/attach$`, "", "system_failed docker_failed", 1, "Starting the build container failed, attempt 2 of 3"},
	{`^POST /containers/[0-9a-f]+/wait$`, "", "system_failed docker_failed", 1, "cannot wait for the end of the script"},
	{`^GET /events$`, "exit 3", "script_failed exit_code", 1, ""},
	{`^GET /containers/json`, "", "system_failed docker_failed", 3, "cannot list containers"},
}

func TestFaultACallThatAlwaysFails(t *testing.T) {
	t.Parallel()
	for _, c := range faulttest.Pick(t, failingCalls) {
		t.Run(c.name(), func(t *testing.T) {
			t.Parallel()
			c.try(t, answer500, func() {}, 0)
		})
	}
}

func TestFaultACallThatFailsOnce(t *testing.T) {
	t.Parallel()
	for _, c := range faulttest.Pick(t, failingCalls) {
		t.Run(c.name(), func(t *testing.T) {
			t.Parallel()
			switch {
			case c.attempts == 3: // the Runner prepares once more
				c.attempts, c.verdict, c.says = 2, "success", "Will be retried"
			case strings.Contains(c.says, "attempt 2"):
				c.verdict, c.says = "success", "Starting the build container failed, attempt 1 of 3"
			}
			c.try(t, answer500, func() {}, 1)
		})
	}
}

func answer500(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusInternalServerError)
	_, _ = w.Write([]byte(`{"message":"the tests have broken this call"}`))
}

var notLetters = regexp.MustCompile(`[^a-z]+`)

func (c badCall) name() string {
	return strings.Trim(notLetters.ReplaceAllString(strings.ToLower(c.call), "_"), "_")
}

// try runs a job while a call goes wrong the first times (0: each time), and then the next one, of which the daemon is well again. Calls for the probe
// of an image, which not each job makes, are none of the cases'.
func (c badCall) try(t *testing.T, wrong func(w http.ResponseWriter, r *http.Request), heal func(), times int) {
	t.Helper()
	f, address := newFaultyDocker(t)
	h := newHost(t, fmt.Sprintf("host = %q\nstart_timeout = \"8s\"\nstop_timeout = \"1s\"\n", address))
	h.succeeded(h.run(h.newJob(busybox, "true"))) // what Go the image has is known from now on
	h.wrap = []string{"env", "GGE_FAULT_CALL_TIMEOUT=8s"}
	pattern, n := regexp.MustCompile(c.call), 0
	f.set(func(w http.ResponseWriter, r *http.Request, _ http.Handler) bool {
		if !pattern.MatchString(callOf(r)) {
			return false
		}
		f.mu.Lock()
		n++
		bad := times == 0 || n <= times
		f.mu.Unlock()
		if bad {
			wrong(w, r)
		}
		return bad
	})
	script := c.script
	if script == "" {
		script = succeeds
	}
	began := time.Now()
	j := h.newJob(busybox, script)
	r := h.run(j)
	took := time.Since(began)
	f.set(nil)
	heal()
	verdict := h.verdict(j)
	faulttest.Progress(t, "%s: %s %s, %s, %d attempts, %.0f s", c.call, r.State, r.FailureReason, verdict, prepared(r), took.Seconds())
	if verdict != c.verdict || prepared(r) != c.attempts {
		t.Errorf("it ended as %s after %d attempts, want %s after %d\n%s", verdict, prepared(r), c.verdict, c.attempts, r.Log)
	}
	h.told(r, verdict, map[bool]int{true: 3}[c.script != ""])
	h.says(r, c.says)
	if took > 3*time.Minute {
		t.Errorf("it took %s", took)
	}
	if strings.Count(r.Log, started) > 1 {
		t.Errorf("the script ran twice:\n%s", r.Log)
	}
	h.succeeded(h.run(h.newJob(busybox, "true")))
	for _, left := range h.left() {
		t.Errorf("after the next job: %s", left)
	}
}

// told checks that GitLab was told what our own verdict means.
func (h *host) told(r result, verdict string, code int) {
	h.t.Helper()
	switch strings.Fields(verdict)[0] {
	case "success":
		h.succeeded(r)
	case "script_failed", "job_invalid":
		h.failed(r, "script_failure", code)
	case "system_failed":
		h.failed(r, "runner_system_failure", 0)
	}
}

func TestFaultASlowDaemonCostsTimeAndNothingElse(t *testing.T) {
	t.Parallel()
	f, address := newFaultyDocker(t)
	h := newHost(t, fmt.Sprintf("host = %q\n", address))
	f.set(func(http.ResponseWriter, *http.Request, http.Handler) bool {
		time.Sleep(2 * time.Second)
		return false
	})
	j := h.newJob(busybox, "echo started", "wget -q -O - http://api:8080/ >/dev/null", "echo finished").afterScript("echo after-started").
		with("services", []job{{"name": serviceImage, "alias": "api"}})
	r := h.run(j)
	f.set(nil)
	h.succeeded(r)
	h.prints(r, "finished", "after-started")
	if verdict := h.verdict(j); verdict != "success" || prepared(r) != 1 {
		t.Errorf("it ended as %s after %d attempts", verdict, prepared(r))
	}
	faulttest.Progress(t, "%.0f s", r.Seconds)
}
