//go:build faults

package e2e

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/faulttest"
)

// phase is what a daemon that goes then costs a job.
type phase int

const (
	inPrepare  phase = iota // the Runner prepares anew, three times
	inStages                // the job fails, and that is not its author's fault
	scriptDone              // the script has succeeded: so has the job
)

// Where in a job's life its daemon goes: at a call of the executor's, or when the job log shows something.
var moments = []struct {
	name  string
	phase phase
	some  bool // stands for others
	at    dockerCall
	log   string
}{
	{name: "as prepare begins", phase: inPrepare, at: dockerCall{1, `^HEAD /_ping`}},
	{name: "before the network", phase: inPrepare, at: dockerCall{1, `^POST /networks/create`}},
	{name: "between network and helper container", phase: inPrepare, some: true, at: dockerCall{1, `^POST /containers/create\?name=.*-helper$`}},
	{name: "as a container of prepare starts", phase: inPrepare, at: dockerCall{1, `^POST /containers/[0-9a-f]+/start$`}},
	{name: "while a service starts", phase: inPrepare, log: "Waiting for services to be up"},
	{name: "as get_sources begins", phase: inStages, at: dockerCall{3, `^HEAD /_ping`}},
	{name: "while sources are fetched", phase: inStages, some: true, at: dockerCall{3, `^POST /exec/[0-9a-f]+/start$`}},
	{name: "before the script's stage", phase: inStages, at: dockerCall{4, `^HEAD /_ping`}},
	{name: "before the build container", phase: inStages, at: dockerCall{4, `^POST /containers/create\?name=.*-build$`}},
	{name: "as the build container starts", phase: inStages, at: dockerCall{4, `^POST /containers/[0-9a-f]+/start$`}},
	{name: "in the script", phase: inStages, some: true, log: started},
	{name: "in after_script", phase: scriptDone, log: "O after-started\n"},
	{name: "before the harvest", phase: scriptDone, some: true, at: dockerCall{6, `^GET /containers/[0-9a-f]+/json$`}},
	{name: "as cleanup begins", phase: scriptDone, at: dockerCall{7, `^HEAD /_ping`}},
	{name: "as cleanup removes", phase: scriptDone, some: true, at: dockerCall{7, `^DELETE /containers/`}},
}

// departure is how it goes. Without back, it is there again only when the job has ended.
type departure struct {
	name   string
	some   bool // only at moments that stand for others
	leave  func(d *daemon)
	back   time.Duration
	frozen bool
}

var departures = []departure{
	{name: "stopped", some: true, leave: (*daemon).stop},
	{name: "killed", leave: (*daemon).kill},
	{name: "crashed", some: true, leave: (*daemon).crash},
	{name: "restarted", leave: (*daemon).stop, back: 100 * time.Millisecond},
	{name: "killed and restarted", some: true, leave: (*daemon).kill, back: 2 * time.Second},
	{name: "frozen for a while", leave: (*daemon).freeze, back: 5 * time.Second, frozen: true},
	{name: "frozen", some: true, leave: (*daemon).freeze, frozen: true},
}

func TestFaultADaemonGoesInAnyStage(t *testing.T) {
	t.Parallel()
	type pair struct{ moment, departure int }
	var cases []pair
	for m := range moments {
		for d := range departures {
			if departures[d].some && !moments[m].some {
				continue
			}
			cases = append(cases, pair{m, d})
		}
	}
	picked := faulttest.Pick(t, cases)
	for n, c := range picked {
		name := moments[c.moment].name + ", " + departures[c.departure].name
		t.Run(fmt.Sprintf("%d_%d", c.moment, c.departure), func(t *testing.T) { // in paths of sockets, which have to be short
			t.Parallel()
			faulttest.Progress(t, "%d of %d: %s", n+1, len(picked), name)
			goesAt(t, c.moment, departures[c.departure])
		})
	}
}

// goesAt has the daemon go, and looks at what becomes of the job and of the next one.
func goesAt(t *testing.T, at int, how departure) {
	t.Helper()
	m, d := moments[at], newDaemon(t)
	leave := func() {
		how.leave(d)
		if how.back > 0 {
			time.AfterFunc(how.back, d.mend)
		}
	}
	socket, went := d.socket(), func() bool { return true }
	if m.log == "" {
		hooked := newHook(t, d, m.at, !how.frozen, leave)
		socket, went = hooked.socket, hooked.fired.Load
	}
	h := d.newHost("stop_timeout = \"2s\"\nstart_timeout = \"15s\"\nwait_for_services_timeout = 8\n", socket)
	h.patience = 10 * time.Minute
	limit := 200
	if how.frozen && how.back == 0 {
		h.wrap = []string{"env", "GGE_FAULT_CALL_TIMEOUT=10s"}
		if m.log != "" { // nobody but the Runner's clock ends a script
			limit = 60
		}
	}
	j := h.newJob(goBusybox, "echo started; sleep 6; echo finished").afterScript("echo after-started; sleep 4").timeout(limit)
	if strings.Contains(m.name, "service") {
		j.with("services", []job{{"name": serviceImage, "variables": []job{variable("HEALTHCHECK_TCP_PORT", "9")}}})
	}
	began := time.Now()
	r := h.start(j)
	if m.log != "" {
		r.waitFor(m.log)
		leave()
	}
	res := r.wait()
	took := time.Since(began)
	d.mend()
	if !went() {
		t.Fatalf("the job never came to %s:\n%s", m.name, res.Log)
	}
	judge(h, m.phase, how, j, res, took)
	next := h.run(h.newJob(busybox, "echo next"))
	h.succeeded(next)
	h.says(next, "Running on runner-project-42-concurrent-0...")
	for _, left := range h.left() {
		t.Errorf("after the next job: %s", left)
	}
}

// judge knows what is promised of a job whose daemon went.
func judge(h *host, p phase, how departure, j job, res result, took time.Duration) {
	h.t.Helper()
	verdict := h.verdict(j)
	h.t.Logf("%s %s: %v, %d attempts, %.0f s", res.State, res.FailureReason, verdict, prepared(res), took.Seconds())
	lost, most := []string{"system_failed docker_gone", "system_failed container_lost"}, 2*time.Minute
	switch {
	case how.frozen && how.back == 0 && verdict == "timed_out job_timeout": // the script ran until the job's time was up
		if res.FailureReason != "job_execution_timeout" {
			h.t.Errorf("GitLab was told %s %s\n%s", res.State, res.FailureReason, res.Log)
		}
		most = 3 * time.Minute
	case p == scriptDone, how.frozen && how.back > 0:
		h.succeeded(res)
		h.prints(res, "finished")
		if verdict != "success" {
			h.t.Errorf("it ended as %s", verdict)
		}
	case p == inPrepare && how.back > 0:
		h.succeeded(res)
		h.prints(res, "finished")
		if n := prepared(res); n < 2 {
			h.t.Errorf("prepared %d times", n)
		}
	default:
		h.failed(res, "runner_system_failure", 0)
		if how.frozen {
			lost = append(lost, "system_failed deadline")
		}
		if !slices.Contains(lost, verdict) {
			h.t.Errorf("it ended as %s\n%s", verdict, res.Log)
		}
		if n := prepared(res); p == inPrepare && n != 3 || p == inStages && n != 1 {
			h.t.Errorf("prepared %d times\n%s", n, res.Log)
		}
		if !ofDocker.MatchString(res.Log) {
			h.t.Errorf("the job log does not tell of Docker:\n%s", res.Log)
		}
	}
	if how.frozen {
		most += time.Minute
	}
	if took > most {
		h.t.Errorf("it took %s\n%s", took, res.Log)
	}
	if strings.Count(res.Log, started) > 1 {
		h.t.Errorf("the script ran twice:\n%s", res.Log)
	}
}

// ofDocker is how failures name the daemon.
var ofDocker = regexp.MustCompile(`is the daemon running\?|Docker was stopped or restarted|Is the docker daemon running\?|EOF|helper container was stopped|waited [0-9ms]+ for`)
