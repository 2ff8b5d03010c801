package e2e

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestAuthorsSteerTheCaches(t *testing.T) {
	t.Parallel()
	g := newGoHost(t, "").warm()

	r, f := g.ran(g.goJob(`echo "GOCACHE is <$GOCACHE>"`).variable("GO_EXECUTOR_CACHE", "off"))
	if f.Reason != "off" || f.New != -1 {
		t.Errorf("off: %s", f)
	}
	g.prints(r, "GOCACHE is <>")

	_, f = g.ran(g.goJob("go list -deps ./...").variable("GO_EXECUTOR_CACHE", "modules"))
	if f.HitHost+f.HitStore != 3 || f.New != -1 {
		t.Errorf("modules: %s", f)
	}

	g.change(map[string]string{"sum/ro.go": "package sum\n\nconst RO = 1\n"})
	if _, f = g.ran(g.goJob("go build ./...").variable("GO_EXECUTOR_CACHE", "read-only")); f.Hit == 0 || f.New == 0 || f.Saved != 0 || f.SaveReason != "read_only" {
		t.Errorf("read-only: %s, save %s", f, f.SaveReason)
	}
	if _, f = g.ran(g.goJob("go build ./...")); f.New == 0 {
		t.Errorf("a read-only job saved something: %s", f)
	}

	_, f = g.ran(g.goJob("go build ./sum").variable("GO_EXECUTOR_CACHE", "refresh"))
	if f.Reason != "refreshed" || f.Hit != 0 || f.New == 0 {
		t.Errorf("refresh: %s", f)
	}
	if _, f = g.ran(g.goJob("true")); f.Available == 0 || f.Available > 200 {
		t.Errorf("after a refresh: %s", f)
	}
	if _, f = g.ran(g.goJob("go build ./...")); f.New == 0 {
		t.Errorf("what was there before a refresh is still used: %s", f)
	}

	r, f = g.ran(g.goJob("true").variable("GO_EXECUTOR_CACHE", "perhaps"))
	if f.Reason != "off" {
		t.Errorf("an unknown word: %s", f)
	}
	g.says(r, `GO_EXECUTOR_CACHE is "perhaps"; known are on, off, modules, read-only and refresh`)
}

func TestAJobWithCachesOfItsOwnIsLeftAlone(t *testing.T) {
	t.Parallel()
	g := newGoHost(t, "")
	r, f := g.ran(g.goJob("go build ./...", "go env GOCACHE GOMODCACHE").variable("GOCACHE", "/tmp/mine"))
	if f.Reason != "bypassed" {
		t.Errorf("%s", f)
	}
	g.prints(r, "/tmp/mine", "/go/pkg/mod")
	g.says(r, "since the job sets GOCACHE or GOMODCACHE itself (bypassed)")
}

func TestOtherProjectsAndUnprotectedRefsSeeOnlyWhatTheyMay(t *testing.T) {
	t.Parallel()
	g := newGoHost(t, "").warm()
	on := func(j job, ref string, protected bool) job {
		info := j["git_info"].(job)
		info["ref"], info["protected"] = ref, protected
		return j
	}

	_, f := g.ran(on(g.goJob("go build ./..."), "feature", false))
	if f.Reason != "exact" || f.New != 0 || f.Missed != 0 {
		t.Errorf("an unprotected ref does not read the protected tier: %s", f)
	}
	g.change(map[string]string{"sum/feature.go": "package sum\n\nconst Feature = 1\n"})
	g.ran(on(g.goJob("go build ./..."), "feature", false))
	if _, f = g.ran(on(g.goJob("go build ./..."), "feature", false)); f.New != 0 {
		t.Errorf("an unprotected ref does not read its own: %s", f)
	}
	if _, f = g.ran(on(g.goJob("go build ./..."), "other", false)); f.New == 0 {
		t.Errorf("an unprotected ref reads another one's: %s", f)
	}
	if _, f = g.ran(g.goJob("go build ./...")); f.New == 0 {
		t.Errorf("the protected tier reads an unprotected ref's: %s", f)
	}
	stranger := g.goJob("go build ./sum")
	stranger["job_info"].(job)["project_id"] = 43
	if _, f = g.ran(stranger); f.Reason != "first_run" || f.Hit != 0 || f.HitHost != 0 {
		t.Errorf("another project reads this one's: %s", f)
	}
}

func TestAJobThatTimesOutColdLeavesAWarmerNextJob(t *testing.T) {
	t.Parallel()
	g := newGoHost(t, `stop_timeout = "1s"`)
	r := g.run(g.goJob("go build ./sum", "sleep 300").timeout(30))
	g.failed(r, "job_execution_timeout", 0)
	if _, f := g.ran(g.goJob("go build ./sum")); f.New != 0 || f.Missed != 0 || f.Hit == 0 {
		t.Errorf("%s", f)
	}
}

func TestARunnerThatIsKilledLeavesAWarmerNextJob(t *testing.T) {
	t.Parallel()
	g := newGoHost(t, `stop_timeout = "1s"`)
	killed := g.goJob("go build ./sum", "echo started; sleep 300")
	r := g.start(killed)
	r.waitFor(started)
	r.signal(syscall.SIGKILL)
	_ = r.cmd.Wait()
	if _, f := g.ran(g.goJob("go build ./sum")); f.New != 0 || f.Missed != 0 || f.Hit == 0 {
		t.Errorf("%s", f)
	}
	if row := g.rows()[fmtID(killed)]; row.word("outcome") != "lost" || row.number("saved_bytes") <= 0 || row.number("modules_missed") != 2 || row.number("build_new") <= 0 {
		t.Errorf("the killed job's row: %v", row)
	}
	g.eventually("the stage that nobody waits for has noticed", func() bool { return len(g.stagePIDs()) == 0 }, r.log)
}

func TestADamagedStoreCostsWarmthAndIsRepaired(t *testing.T) {
	t.Parallel()
	g := newGoHost(t, "")
	g.ran(g.goJob("go build ./sum"))
	layers := func(dir string) []string {
		found, err := filepath.Glob(filepath.Join(g.StateDir, dir))
		if err != nil || len(found) == 0 {
			t.Fatalf("no layers in %s: %v", dir, err)
		}
		return found
	}
	g.prune()
	for _, file := range layers("store/v1/*/*/protected/layers/*") {
		if err := os.Truncate(file, 2000); err != nil {
			t.Fatal(err)
		}
	}
	r, f := g.ran(g.goJob("go build ./sum"))
	if f.Hit != 0 || f.New == 0 {
		t.Errorf("truncated: %s", f)
	}
	g.says(r, "WARNING: layer")
	if r, f = g.ran(g.goJob("go build ./sum")); f.New != 0 || f.Missed != 0 {
		t.Errorf("the job after: %s", f)
	}
	g.neverSays(r, "WARNING: layer")

	g.prune()
	for _, file := range layers("store/v1/*/*/protected/layers/*") {
		if err := os.Remove(file); err != nil {
			t.Fatal(err)
		}
	}
	if _, f = g.ran(g.goJob("go build ./sum")); f.Hit != 0 || f.New == 0 {
		t.Errorf("missing: %s", f)
	}
	if _, f = g.ran(g.goJob("go build ./sum")); f.New != 0 {
		t.Errorf("the job after: %s", f)
	}
}

func TestWithoutAStoreJobsRunCold(t *testing.T) {
	t.Parallel()
	blocked := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(blocked, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	g := newGoHost(t, "[cache.directory]\npath = \""+blocked+"\"\n")
	j := g.goJob("go build ./sum")
	g.succeeded(g.run(j))
	if f := g.figures(j); f.Saved > 0 || f.SaveReason == "" {
		t.Errorf("%s, save %s", f, f.SaveReason)
	}
}

func TestThePlainCopyDriverWorksToo(t *testing.T) {
	t.Parallel()
	g := newGoHost(t, "[cache]\ndriver = \"copy\"\n").warm()
	g.change(map[string]string{"sum/more.go": "package sum\n\nconst More = 1\n"})
	_, first := g.ran(g.goJob(buildAndTest...))
	_, f := g.ran(g.goJob(buildAndTest...))
	if first.Wanted != -1 || first.New == 0 || f.Hit != -1 || f.New != 0 || f.Missed != 0 || f.Cached != 1 || f.Available != first.Available+first.New || g.adds(f) {
		t.Errorf("%s after %s", f, first)
	}
}

func TestModulesAreCompleteWithoutANetwork(t *testing.T) {
	t.Parallel()
	g := newGoHost(t, "").warm()
	offline := func() job {
		return g.newJob(jobImage, "go mod download", "go mod verify", "go mod graph", "go build ./...").variable("GOPROXY", "off")
	}
	g.ran(g.goJob("go mod download", "go mod graph", "go build ./..."))
	if _, f := g.ran(offline()); f.Wanted != 3 || f.Missed != 0 {
		t.Errorf("%s", f)
	}
}

// Many projects keep their GOPATH in the checkout, so that GitLab's cache: can reach it.
func TestAGOPATHOfTheProjectsOwnIsNoBypass(t *testing.T) {
	t.Parallel()
	g := newGoHost(t, "").warm()
	own := func() job { return g.goJob("go build ./...").variable("GOPATH", "/builds/group/project/.go") }
	g.ran(own())
	if _, f := g.ran(own()); f.Reason != "exact" || f.HitHost != 3 || f.New != 0 {
		t.Errorf("%s", f)
	}
}

// A job may write what it likes into .git/config of a checkout that is kept. Host git would run it as root.
func TestWhatACheckoutsConfigNamesNeverRunsOnTheHost(t *testing.T) {
	t.Parallel()
	g := newGoHost(t, "")
	proof := filepath.Join(t.TempDir(), "proof")
	var script []string
	for _, key := range []string{"core.fsmonitor", "core.sshCommand", "core.hooksPath", "core.pager", "diff.external", "filter.x.clean", "filter.x.smudge"} {
		script = append(script, "git config "+key+" 'touch "+proof+"; false'")
	}
	g.ran(g.goJob(script...))
	g.change(map[string]string{".gitattributes": "* filter=x\n"})
	g.ran(g.goJob("true"))
	g.ran(g.goJob("true"))
	if _, err := os.Stat(proof); err == nil {
		t.Error("a command of the checkout's config ran on the host")
	}
}

// make compares times: an output from elsewhere must never look newer than the sources that have changed since.
func TestMakeNeverShipsAStaleBinary(t *testing.T) {
	t.Parallel()
	g := newGoHost(t, "")
	g.change(map[string]string{".gitignore": "app\n", "Makefile": "app: main.go version.txt\n\tcp version.txt app\n", "version.txt": "v1\n"})
	first := g.goJob("make app", "cat app").with("artifacts", []job{{"name": "app", "paths": []string{"app"}, "artifact_type": "archive", "artifact_format": "zip"}})
	r, _ := g.ran(first)
	g.prints(r, "v1")
	g.change(map[string]string{"version.txt": "v2\n"})
	r, _ = g.ran(g.goJob("cat app", "make app", "cat app").with("dependencies", []job{{
		"id": first["id"], "token": "job-token-secret", "name": "test", "artifacts_file": job{"filename": "artifacts.zip", "size": 1},
	}}))
	g.prints(r, "v1", "v2")
	g.says(r, "stable file times below testdata only")

	r, f := g.ran(g.goJob("stat -c %Y main.go").variable("GO_EXECUTOR_FILE_TIMES", "off"))
	if strings.Contains(r.Log, "below testdata only") || f.Reason == "" {
		t.Errorf("file times off: %s\n%s", f, r.Log)
	}
}

// Where the Docker daemon lives in another mount namespace, a container would get an empty folder for its caches.
func TestMountsThatDockerDoesNotSeeAreNotUsed(t *testing.T) {
	t.Parallel()
	g := newGoHost(t, "")
	g.wrap = []string{"unshare", "--mount", "--propagation", "slave"}
	r, f := g.ran(g.goJob("go version", "ls /go-executor || echo no-caches"))
	if f.Reason != "unsupported_host" {
		t.Errorf("%s", f)
	}
	g.prints(r, "no-caches")
	g.says(r, "have to share a mount namespace")
}

// Whatever the moment at which everything of a job is killed, the next one is right and nothing is left.
func TestAKilledJobNeverLeavesTornCaches(t *testing.T) {
	t.Parallel()
	g := newGoHost(t, `stop_timeout = "1s"`).warm()
	for n := range 6 {
		g.change(map[string]string{"sum/n.go": "package sum\n\nconst N = " + str(n) + "\n"})
		r := g.start(g.goJob("go build ./..."))
		r.waitFor("Checking out")
		time.Sleep(time.Duration(n) * 400 * time.Millisecond)
		r.signal(syscall.SIGKILL)
		for _, pid := range g.stagePIDs() {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
		_ = r.cmd.Wait()
		r2, f := g.ran(g.goJob("go build ./...", "go vet ./...", "go run ."))
		if f.Missed != 0 {
			t.Errorf("after a kill at %d ms: %s", n*400, f)
		}
		g.neverSays(r2, "WARNING: Go caches", "WARNING: layer")
	}
	g.prune()
	for _, what := range g.left() {
		t.Errorf("left after prune: %s", what)
	}
}

// stagePIDs are the executor's processes of this host.
func (h *host) stagePIDs() []int {
	var pids []int
	files, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, file := range files {
		if line, _ := os.ReadFile(file); bytes.Contains(line, []byte(h.dir)) && bytes.HasPrefix(line, []byte(executorBin)) {
			if pid, err := strconv.Atoi(filepath.Base(filepath.Dir(file))); err == nil {
				pids = append(pids, pid)
			}
		}
	}
	return pids
}
