//go:build faults

package e2e

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"syscall"
	"time"
)

// stormJob is a job of a storm: what it is, how it ends and when.
type stormJob struct {
	job       job
	kind, way string
	moment    moment
	recorded  bool    // it had a record when it was killed with its Runner
	result    *result // nil if it was killed
}

func (j stormJob) String() string {
	return fmt.Sprintf("job %s (%s, %s %s)", fmtID(j.job), j.kind, j.way, j.moment)
}

// stormKinds are the kinds of jobs. Each takes some seconds.
var stormKinds = []struct {
	name string
	make func(s *storm) job
}{
	{"plain", func(s *storm) job { return s.newJob(busybox, "echo started; sleep 3; echo end") }},
	{"with a service", func(s *storm) job {
		return s.newJob(busybox, "echo started; sleep 2").with("services", []job{{"name": redisImage}}) // which has a volume
	}},
	{"Go", func(s *storm) job {
		return withoutC(s.goJob(append([]string{"echo started", newPackage}, stormScript...)...))
	}},
	{"with after_script", func(s *storm) job {
		return s.newJob(busybox, "echo started; sleep 1").afterScript("echo after; sleep 1")
	}},
	{"deaf", func(s *storm) job {
		return s.newJob(jobImage, `trap "" TERM; (trap "" TERM; sleep 207) & echo started; for n in 1 2 3 4 5 6 7 8 9 10 11 12; do sleep 0.25; done`)
	}},
	{"with processes of its own", func(s *storm) job {
		return s.newJob(busybox, "sleep 208 & (sleep 208 &); nohup sleep 208 >/dev/null 2>&1 &", "echo started; sleep 2")
	}},
	{"with artifacts", func(s *storm) job {
		artifacts := []job{{"name": "report", "paths": []string{"report"}, "when": "always", "artifact_type": "archive", "artifact_format": "zip"}}
		return s.newJob(busybox, "head -c 3000000 /dev/urandom >report; echo started; sleep 2").with("artifacts", artifacts)
	}},
}

// stormScript is without go vet, which Go compiles first.
var stormScript = []string{"go build ./...", "go test ./sum"}

// newPackage has each job compile something that no other has.
const newPackage = `mkdir n$CI_JOB_ID && echo "package n; import _ \"example.com/app/sum\"; const N = $CI_JOB_ID" >n$CI_JOB_ID/n.go`

// stormWays are how jobs end, as often as they stand here.
var stormWays = []string{"canceled", "canceled", "aborted", "aborted", "timeout", "timeout", "stopped", "killed", "killed", "by itself"}

var stormSignals = map[string]syscall.Signal{"canceled": syscall.SIGUSR1, "aborted": syscall.SIGUSR2, "stopped": syscall.SIGTERM}

// stormLines are moments in a job's log.
var stormLines = []string{
	`Preparing the "custom" executor`, "Using docker image", "Getting source from Git repository", `Executing "step_script"`, "O started\n",
	"Running after script", "Uploading artifacts", "Cleaning up",
}

// draw makes a job.
func (s *storm) draw(chance *rand.Rand) stormJob {
	kind := stormKinds[chance.IntN(len(stormKinds))]
	j := stormJob{job: kind.make(s), kind: kind.name, way: stormWays[chance.IntN(len(stormWays))]}
	after, line := time.Duration(chance.IntN(8000))*time.Millisecond, stormLines[chance.IntN(len(stormLines))]
	switch {
	case j.way == "by itself":
	case j.way == "timeout":
		j.moment.after = after.Truncate(time.Second) + time.Second
		j.job = j.job.timeout(int(j.moment.after.Seconds()))
	case chance.IntN(2) == 0:
		j.moment.after = after
	default:
		j.moment.line = line
	}
	return j
}

// moment is one in a job's life: so long after its start, or when its log shows a text.
type moment struct {
	after time.Duration
	line  string
}

func (m moment) String() string {
	if m.line != "" {
		return fmt.Sprintf("at %q", m.line)
	}
	return "after " + m.after.String()
}

// await waits for the moment, or the job's end.
func (m moment) await(r *running) {
	began := time.Now()
	for ; !strings.Contains(r.log.String(), "\nRESULT "); time.Sleep(20 * time.Millisecond) {
		if m.line == "" && time.Since(began) >= m.after || m.line != "" && strings.Contains(r.log.String(), m.line) {
			return
		}
	}
}
