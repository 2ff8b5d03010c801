//go:build faults

package e2e

import (
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/crash"
	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/faulttest"
)

// Wherever a process of ours is killed, alone or with its Runner: the next job is right, serve and prune work, nothing is left, and the ledger has the
// killed job once, as it ended.
func TestFaultACrashAtAnyPointIsMendedByWhoeverComesNext(t *testing.T) {
	t.Parallel()
	cases := faulttest.Pick(t, crashCases(t))
	var done atomic.Int64
	for _, c := range cases {
		t.Run(c.String(), func(t *testing.T) {
			t.Parallel()
			newCrashed(t, c).isMended(faulttest.Rand(t))
			if n := done.Add(1); n%10 == 0 {
				faulttest.Progress(t, "%d of %d crashes", n, len(cases))
			}
		})
	}
}

// crashed is a host one of whose processes is to crash.
type crashed struct {
	*goHost
	crashCase
	order string // the file with the order
	want  map[string]string
}

func newCrashed(t *testing.T, c crashCase) *crashed {
	t.Helper()
	const settings = `stop_timeout = "1s"`
	h := &crashed{crashCase: c, order: filepath.Join(t.TempDir(), "order"), want: map[string]string{}}
	if h.story == aJob {
		h.goHost = &goHost{host: newHost(t, settings)}
	} else {
		h.goHost = newGoHost(t, settings).seeded(&crashSeed, "crash", func(j job) job { return withoutC(j).with("steps", []job{script("go build ./sum")}) })
		h.change(map[string]string{"sum/n.go": "package sum\n\nconst N = 7\n"})
	}
	h.live()
	if !crash.CarriedOut(h.order) {
		t.Fatalf("%s is not reached %d times", h.point, h.nth)
	}
	return h
}

// live works until the crash, and notes what the ledger has to say of the jobs.
func (h *crashed) live() {
	h.t.Helper()
	switch h.story {
	case aJob:
		h.crashes(h.newJob(busybox, "echo done").with("services", []job{{"name": serviceImage}}))
	case aGoJob:
		h.crashes(h.compiles())
	case theNext:
		h.loses()
		h.crashes(h.compiles())
	case serving:
		h.loses()
		h.commandCrashes("serve")
	case isPruning:
		h.loses()
		h.commandCrashes("prune", "--unused")
	}
}

// crashSeed is of hosts that have compiled one package and what it imports, none of it Go's own, which would take most of the time.
var crashSeed seed

func script(lines ...string) job {
	return job{"name": "script", "script": lines, "timeout": 300, "when": "on_success"}
}

func (h *crashed) compiles(then ...string) job {
	return withoutC(h.goJob(append([]string{"go build ./sum"}, then...)...))
}

// give writes the order, and has the processes that are started then know of it.
func (h *crashed) give() (variable string) {
	h.t.Helper()
	variable, err := crash.Order{Point: h.point, Nth: h.nth, Parent: h.runner}.Give(h.order)
	if err != nil {
		h.t.Fatal(err)
	}
	return variable
}

// crashes runs the job that is to crash.
func (h *crashed) crashes(j job) {
	h.t.Helper()
	before := h.wrap
	h.wrap = append([]string{"env", h.give()}, before...)
	r := h.start(j)
	h.wrap = before
	if h.runner {
		_ = r.cmd.Wait()
		dockerCompletes()
		h.want[fmtID(j)] = "lost"
		if slices.Contains(decided[h.story], h.point) {
			h.want[fmtID(j)] = "success"
		}
		if slices.Contains(unrecorded[h.story], h.point) {
			h.want[fmtID(j)] = ""
		}
		return
	}
	res := r.wait()
	switch {
	case res.State == "success":
		h.want[fmtID(j)] = "success"
	case res.FailureReason == "runner_system_failure":
		h.want[fmtID(j)] = "system_failed"
	default:
		h.t.Fatalf("the Runner ends with %s %q, exit code %d\n%s", res.State, res.FailureReason, res.ExitCode, res.Log)
	}
}

// loses has a job whose Runner is killed when it has compiled.
func (h *crashed) loses() {
	h.t.Helper()
	j := h.compiles("echo started; sleep 205")
	r := h.start(j)
	r.waitFor(started)
	r.killAll()
	h.want[fmtID(j)] = "lost"
}

func (h *crashed) commandCrashes(args ...string) {
	h.t.Helper()
	cmd := exec.CommandContext(h.t.Context(), executorBin, append([]string{"--config", filepath.Join(h.dir, "settings.toml")}, args...)...)
	cmd.Env = append(os.Environ(), h.give())
	_ = cmd.Run()
}

// isMended goes on in an order that was drawn.
func (h *crashed) isMended(r *rand.Rand) {
	h.t.Helper()
	next := []struct {
		name string
		do   func()
	}{{"a job", h.nextJob}, {"serve", h.serves}, {"prune", h.prune}}
	r.Shuffle(len(next), func(i, j int) { next[i], next[j] = next[j], next[i] })
	for _, step := range next {
		step.do()
		for _, left := range h.left() {
			h.t.Errorf("%s leaves %s", step.name, left)
		}
		if h.t.Failed() {
			h.t.Fatalf("that was %s of %v\n%s", step.name, next, h.operatorLog())
		}
	}
	h.checkLedger()
}

// nextJob is of the same project, and right: it has what was there before the crash, and no other's slot.
func (h *crashed) nextJob() {
	h.t.Helper()
	if h.story == aJob {
		res := h.run(h.newJob(busybox, "echo next"))
		h.succeeded(res)
		h.prints(res, "next", "Running on runner-project-42-concurrent-0...")
		return
	}
	res, f := h.ran(h.compiles())
	h.prints(res, "Running on runner-project-42-concurrent-0...")
	h.neverSays(res, "WARNING: Go caches", "WARNING: layer")
	if f.Missed != 0 || f.New > 1 || f.Reason == "first_run" { // the one package that has changed
		h.t.Errorf("the next job: %s", f)
	}
}

// serves runs serve until it has tidied up.
func (h *crashed) serves() {
	h.t.Helper()
	began := func() int {
		log, _ := os.ReadFile(h.OperatorLog()) // which it may have to make
		return strings.Count(string(log), `"serving"`)
	}
	before := began()
	stop := h.serve()
	h.eventually("serve begins", func() bool { return began() > before }, nil)
	h.eventually("serve has tidied up", func() bool {
		return len(h.found("jobs/*/*")) == 0 && len(h.found("jobs/*/.[dn]*")) == 0 && len(h.found("salvage/[^.]*")) == 0
	}, nil)
	stop()
}

func (h *host) found(pattern string) []string {
	files, _ := filepath.Glob(filepath.Join(h.StateDir, pattern))
	return files
}

func (h *crashed) checkLedger() {
	h.t.Helper()
	rows := h.rows()
	for id, want := range h.want {
		row := rows[id]
		if got := row.word("outcome"); got != want {
			h.t.Errorf("job %s is %q in the ledger, want %q: %v", id, got, want, row)
		}
	}
}
