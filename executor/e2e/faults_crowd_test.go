//go:build faults

package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/faulttest"
)

// What a host may cost with a crowd of jobs on it. Beside what it maps of the program, a stage holds little: layers and objects are streamed.
const (
	crowdJobs     = 30
	crowdLeast    = 6 // in a share
	crowdRounds   = 3
	mostOfAStage  = 160 << 20 // bytes of memory
	mostOfAJob    = 80 << 20  // on average, while all are there
	mostFiles     = 64        // open in one stage
	mostMountsJob = 2         // the overlay, and a job's own view of it
)

// withPackages adds packages to the project, each of which has all others' imports.
func (g *goHost) withPackages(n int) *goHost {
	g.t.Helper()
	files := map[string]string{}
	for i := range n {
		files[fmt.Sprintf("p%02d/p.go", i)] = fmt.Sprintf("package p\n\nimport \"example.com/app/sum\"\n\nfunc P() int { return sum.Of(1, %d) }\n", i)
	}
	g.change(files)
	return g
}

// packageJob is the job of one package.
func (g *goHost) packageJob(n int, before ...string) job {
	j := withoutC(g.goJob(append(before, fmt.Sprintf("go build ./sum ./p%02d", n))...)).timeout(1800)
	j["job_info"].(job)["name"] = fmt.Sprintf("package %d", n) // each has its own say in what stays
	return j
}

// compiledBy names what a job with caches has compiled.
func (g *goHost) compiledBy(j job) (packages []string) {
	g.t.Helper()
	var explained struct {
		Compiled []struct{ Packages []string }
	}
	if err := json.Unmarshal([]byte(g.askLedger("explain", "--json", fmtID(j))), &explained); err != nil {
		g.t.Fatal(err)
	}
	for _, of := range explained.Compiled {
		packages = append(packages, of.Packages...)
	}
	return packages
}

// findsAll runs a job that wants what all have built: nothing is left to be compiled but the program, into which Go writes the commit.
func (g *goHost) findsAll() {
	g.t.Helper()
	j := withoutC(g.goJob("go build ./...", "go run ."))
	r, f := g.ran(j)
	g.says(r, "v1.0.0 5\n")
	compiled := slices.DeleteFunc(g.compiledBy(j), func(name string) bool { return name == "/builds/group/project" })
	if f.Reason != "exact" || f.Missed != 0 || len(compiled) > 0 {
		g.t.Errorf("a job that wants what all have built: %s; compiled %q", f, compiled)
	}
}

func TestFaultACrowdOnOneHostLosesNothingAndStaysInItsBounds(t *testing.T) {
	t.Parallel()
	n := max(crowdLeast, faulttest.Times(t, crowdJobs))
	address := freeAddress(t)
	// Docker has addresses for some 30 networks, and other tests want some.
	g := newGoHost(t, fmt.Sprintf("network_mode = \"bridge\"\n[stats]\nlisten_address = %q\n", address)).withPackages(n * crowdRounds)
	g.patience = 30 * time.Minute                                        // jobs wait for each other
	g.ran(withoutC(g.goJob("go build ./sum", "go run .")).timeout(1800)) // it compiles the standard library
	defer g.serve()()
	var serve []served
	for round := range crowdRounds {
		began := time.Now()
		sample := g.sampleProcesses()
		results := g.crowd(n, round)
		peak := sample.end()
		g.eachHasASlot(results)
		serve = append(serve, g.servedAfter(address, 1+n*(round+1)))
		faulttest.Progress(t, "round %d: %d jobs at once took %s; %s; %s", round+1, n, time.Since(began).Round(time.Second), peak, serve[round])
		peak.within(t, n)
	}
	first, last := serve[0], serve[crowdRounds-1]
	if last.goroutines > first.goroutines+5 || last.files > first.files+5 || last.memory > first.memory*3/2+16<<20 {
		t.Errorf("serve grows: after the first round %s, after the last %s", first, last)
	}

	g.findsAll()
	rows := g.rows()
	for id, row := range rows {
		if row.word("outcome") != "success" {
			t.Errorf("job %s is in the ledger as %s %s", id, row.word("outcome"), row.word("reason"))
		}
	}
	if len(rows) != n*crowdRounds+2 {
		t.Errorf("the ledger has %d rows of %d jobs", len(rows), n*crowdRounds+2)
	}
	if waited := regexp.MustCompile(`(?m)^.*(waited \d|wait for the lock).*$`).FindAllString(g.operatorLog(), -1); len(waited) > 0 {
		t.Errorf("somebody waited for a lock in vain:\n%s", strings.Join(waited, "\n"))
	}
}

// crowd runs jobs that begin to build only when all of them are there.
func (g *goHost) crowd(n, round int) []result {
	g.t.Helper()
	here := fmt.Sprintf("/cache/round-%d-", round)
	barrier := fmt.Sprintf("touch %s$CI_JOB_ID; until [ $(ls %s* | wc -l) -ge %d ]; do sleep 1; done", here, here, n)
	results := make([]result, n)
	var group sync.WaitGroup
	for i := range n {
		j := g.packageJob(round*n+i, barrier)
		group.Go(func() {
			results[i] = g.run(j)
			if results[i].State != "success" {
				g.t.Errorf("job %s: %s %s\n%s", fmtID(j), results[i].FailureReason, results[i].Error, results[i].Log)
			}
		})
	}
	group.Wait()
	return results
}

var slotOf = regexp.MustCompile(`Running on runner-project-42-concurrent-(\d+)\.\.\.`)

// eachHasASlot checks that no two jobs that were there at the same time had one checkout.
func (g *goHost) eachHasASlot(results []result) {
	g.t.Helper()
	var slots, want []int
	for i, r := range results {
		slot := -1
		if found := slotOf.FindStringSubmatch(r.Log); found != nil {
			slot, _ = strconv.Atoi(found[1])
		}
		slots, want = append(slots, slot), append(want, i)
	}
	if slices.Sort(slots); !slices.Equal(slots, want) {
		g.t.Errorf("the jobs had slots %v", slots)
	}
}

// served is what serve holds.
type served struct{ goroutines, files, memory int }

func (s served) String() string {
	return fmt.Sprintf("serve has %d goroutines, %d open files, %d MB", s.goroutines, s.files, s.memory>>20)
}

// servedAfter asks serve when it has counted that many jobs and has had time to tidy up.
func (h *host) servedAfter(address string, jobs int) served {
	h.t.Helper()
	var text string
	number := func(metric string) int {
		found := regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(metric) + ` (\S+)$`).FindStringSubmatch(text)
		if found == nil {
			return -1
		}
		n, _ := strconv.ParseFloat(found[1], 64)
		return int(n)
	}
	h.eventually("serve has counted all jobs", func() bool {
		text = fetch(h.t, "http://"+address+"/metrics")
		return number(`gitlab_go_executor_jobs_total{outcome="success",reason="",tier="protected"}`) == jobs
	}, nil)
	var least served
	for range 5 { // a round of serve's may just be under way
		time.Sleep(2 * time.Second)
		text = fetch(h.t, "http://"+address+"/metrics")
		now := served{number("go_goroutines"), number("process_open_fds"), number("process_resident_memory_bytes")}
		if least == (served{}) || now.goroutines < least.goroutines {
			least = now
		}
	}
	if least.goroutines <= 0 || least.files <= 0 || least.memory <= 0 {
		h.t.Errorf("/metrics does not tell what serve holds: %s", least)
	}
	return least
}

// peak is the most that processes of ours, but serve, held at any time that was looked at.
type peak struct {
	processes, memory, largest, files, loops, mounts int
}

func (p peak) String() string {
	return fmt.Sprintf("at most %d stages at once with %d MB, one with %d MB, one with %d open files; %d loop devices, %d mounts",
		p.processes, p.memory>>20, p.largest>>20, p.files, p.loops, p.mounts)
}

func (p peak) within(t *testing.T, jobs int) {
	t.Helper()
	if p.largest > mostOfAStage || p.memory > jobs*mostOfAJob || p.files > mostFiles || p.mounts > p.loops+jobs*mostMountsJob || p.processes == 0 {
		t.Errorf("out of bounds: %s", p)
	}
}

// sampler looks at a host again and again.
type sampler struct {
	h       *host
	stop    chan struct{}
	stopped chan peak
}

func (h *host) sampleProcesses() *sampler {
	s := &sampler{h: h, stop: make(chan struct{}), stopped: make(chan peak, 1)}
	go func() {
		var most peak
		for {
			select {
			case <-s.stop:
				s.stopped <- most
				return
			case <-time.After(200 * time.Millisecond):
				most = most.or(h.sample())
			}
		}
	}()
	return s
}

func (s *sampler) end() peak {
	close(s.stop)
	return <-s.stopped
}

func (p peak) or(q peak) peak {
	return peak{
		max(p.processes, q.processes), max(p.memory, q.memory), max(p.largest, q.largest), max(p.files, q.files), max(p.loops, q.loops), max(p.mounts, q.mounts),
	}
}

func (h *host) sample() peak {
	now := peak{loops: len(h.loops())}
	mounts, _ := os.ReadFile("/proc/self/mountinfo")
	now.mounts = strings.Count(string(mounts), " "+h.StateDir+"/")
	lines, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, file := range lines {
		line, _ := os.ReadFile(file) // it may have ended
		if text := string(line); !strings.HasPrefix(text, executorBin) || !strings.Contains(text, h.dir) || strings.HasSuffix(text, "\x00serve\x00") {
			continue
		}
		statm, _ := os.ReadFile(filepath.Join(filepath.Dir(file), "statm"))
		fields := strings.Fields(string(statm)) // proc(5): the second is what is resident, in pages
		if len(fields) < 2 {
			continue
		}
		pages, _ := strconv.Atoi(fields[1])
		files, _ := os.ReadDir(filepath.Join(filepath.Dir(file), "fd"))
		now = peak{
			now.processes + 1, now.memory + pages*os.Getpagesize(), max(now.largest, pages*os.Getpagesize()), max(now.files, len(files)), now.loops, now.mounts,
		}
	}
	return now
}
