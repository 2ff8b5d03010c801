package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
)

func TestABumpedDependencyIsExplained(t *testing.T) {
	t.Parallel()
	g := newGoHost(t, "").warm()
	g.change(map[string]string{
		"greet/greet.go":      "package greet\n\nimport \"example.com/alpha\"\n\nfunc Hello() string { return \"hello \" + alpha.Version }\n",
		"greet/greet_test.go": "package greet_test\n\nimport (\n\t\"testing\"\n\n\t\"example.com/app/greet\"\n)\n\nfunc TestHello(t *testing.T) {\n\tt.Log(greet.Hello())\n}\n",
		"cmd/hi/main.go":      "package main\n\nimport \"example.com/app/greet\"\n\nfunc main() { println(greet.Hello()) }\n",
		"cmd/sum/main.go":     "package main\n\nimport \"example.com/app/sum\"\n\nfunc main() { println(sum.Of(1, 2)) }\n",
	})
	first, second, third := g.goJob(buildAndTest...), g.goJob(buildAndTest...), g.goJob(buildAndTest...)
	r, _ := g.ran(first)
	if row := g.agrees(first, r); row.number("modules_hit_store") != 3 || row.number("modules_hit_host") != 0 || row.number("modules_missed") != 0 {
		t.Errorf("from the store: %s", row.figures())
	}
	r, _ = g.ran(second)
	if row := g.agrees(second, r); row.number("modules_hit_host") != 3 || row.number("modules_hit_store") != 0 || row.number("build_new") != 0 || row.number("tests_cached") != 2 {
		t.Errorf("from this host: %s", row.figures())
	}
	g.proxy.fetched()

	g.replace("go.mod", "alpha v1.0.0", "alpha v1.1.0")
	third["git_info"].(job)["sha"] = g.sha
	r, _ = g.ran(third)
	row := g.agrees(third, r)
	if fetched := g.proxy.fetched(); row.number("modules_missed") != len(fetched) || row.number("modules_hit_host") != 2 || row.number("modules_wanted") != 3 || row.number("tests_cached") != 1 {
		t.Errorf("bumped: %s; the proxy was asked for %v", row.figures(), fetched)
	}
	var explained struct {
		Against  string `json:"changed_against"`
		Changed  []struct{ Path, Had, Want string }
		Compiled []struct {
			Module   string
			Packages []string
		}
	}
	if err := json.Unmarshal([]byte(g.askLedger("explain", "--json", fmtID(third))), &explained); err != nil {
		t.Fatal(err)
	}
	if explained.Against != "base_graph" || fmt.Sprint(explained.Changed) != "[{example.com/alpha v1.0.0 v1.1.0}]" {
		t.Errorf("what changed: %+v", explained)
	}
	var compiled []string
	for _, of := range explained.Compiled {
		compiled = append(compiled, of.Packages...)
	}
	slices.Sort(compiled)
	if want := g.compiledFor("example.com/alpha"); !slices.Equal(compiled, want) || len(want) < 5 || row.number("build_new") < len(want) {
		t.Errorf("compiled were %q\nand go list says %q", compiled, want)
	}
	text := g.askLedger("explain", fmtID(third))
	for _, want := range []string{
		"Caches: nearest", "The base is what job " + fmtID(first) + " saved", "example.com/alpha v1.0.0 -> v1.1.0\n\n", "of example.com/alpha@v1.1.0, which the base did not hold:\n      example.com/alpha\n", "/builds/group/project/cmd/hi\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("it does not say %q:\n%s", want, text)
		}
	}
	if strings.Contains(text, "beta") || strings.Contains(text, "app/sum") {
		t.Errorf("it names what has not changed:\n%s", text)
	}

	var totals struct{ Total ledgerRow }
	if err := json.Unmarshal([]byte(g.askLedger("--json")), &totals); err != nil {
		t.Fatal(err)
	}
	for column, want := range map[string]int{"jobs": 3, "modules_wanted": 9, "modules_hit_host": 5, "modules_hit_store": 3, "modules_missed": 1, "tests_ok": 6, "tests_cached": 4} {
		if got := totals.Total.number(column); got != want {
			t.Errorf("%s of all jobs is %d, want %d", column, got, want)
		}
	}
}

func TestTheLedgerHasEachJobOnceHoweverItEnds(t *testing.T) {
	t.Parallel()
	h := newHost(t, "stop_timeout = \"1s\"\nallowed_images = [\"local/**\"]\nallowed_services = [\"**\"]")
	sleeps := []string{"echo started; sleep 200"}
	jobs := map[string]job{
		"fine": h.newJob(busybox, "true"), "invalid": h.newJob("registry.example.com/nope:1", "true"), "failed": h.newJob(busybox, "exit 3"),
		"canceled": h.newJob(busybox, sleeps...), "lost": h.newJob(busybox, sleeps...), "late": h.newJob(busybox, sleeps...).timeout(15),
	}
	runs := map[string]*running{}
	h.failed(h.run(jobs["invalid"]), "script_failure", 1) // makes the ledger
	for _, name := range []string{"fine", "failed", "canceled", "lost", "late"} {
		runs[name] = h.start(jobs[name])
	}
	runs["lost"].waitFor(started)
	if _, errs, err := h.statsCommand("explain", fmtID(jobs["lost"])); err == nil || !strings.Contains(errs, "is still running, since") {
		t.Errorf("of a job that is running: %v\n%s", err, errs)
	}
	runs["lost"].signal(syscall.SIGKILL)
	_ = runs["lost"].cmd.Wait()
	runs["canceled"].waitFor(started)
	runs["canceled"].signal(syscall.SIGUSR1)
	for _, name := range []string{"fine", "failed", "canceled", "late"} {
		runs[name].wait()
	}
	jobs["last"] = h.newJob(busybox, "true") // its prepare reaps the one whose Runner died
	h.succeeded(h.run(jobs["last"]))
	h.eventually("the stage that nobody waits for has noticed", func() bool {
		return !slices.ContainsFunc(h.left(), func(what string) bool { return strings.HasPrefix(what, "process") })
	}, runs["lost"].log)

	rows := h.rows()
	for name, want := range map[string]string{
		"fine": "success   no_go", "last": "success   no_go", "invalid": "job_invalid image_not_allowed prepare ", "failed": "script_failed exit_code build_script no_go",
		"canceled": "canceled signal build_script no_go", "late": "timed_out job_timeout", "lost": "lost runner_gone  no_go",
	} {
		r := rows[fmtID(jobs[name])]
		got := strings.Join([]string{r.word("outcome"), r.word("reason"), r.word("failed_stage"), r.word("cache_reason")}, " ")
		if got != want && (name != "late" || !strings.HasPrefix(got, want)) { // on a slow host that may be late in any stage
			t.Errorf("%s: the ledger says %q, want %q", name, got, want)
		}
		who := strings.Join([]string{r.word("instance"), r.word("project"), r.word("name"), r.word("pipeline"), r.word("ref_type"), r.word("ref"), r.word("tier")}, " ")
		if want := h.instance + " 42 test 1 branch main protected"; who != want {
			t.Errorf("%s: the ledger says %q, want %q", name, who, want)
		}
		ended := name == "fine" || name == "last" || name == "failed" || name == "canceled" // in a script
		if r.seconds("seconds") <= 0 || r["layers"] != nil || ended && (r.seconds("script_seconds") <= 0 || r.word("image") != busybox) {
			t.Errorf("%s: the ledger says %v", name, r)
		}
		if !strings.Contains(h.askLedger("explain", fmtID(jobs[name])), "Job "+fmtID(jobs[name])+" \"test\" of") {
			t.Errorf("%s: it is not explained", name)
		}
	}
	if len(rows) != len(jobs) {
		t.Errorf("the ledger has %d rows of %d jobs", len(rows), len(jobs))
	}
	if out := h.askLedger("--by", "outcome"); !regexp.MustCompile(`(?m)^success +2 +0 .*\n(.*\n)+total +7 +5 `).MatchString(out) {
		t.Errorf("%s", out)
	}
}

func TestAJobThatIsPreparedAgainIsOneRow(t *testing.T) {
	t.Parallel()
	socket := filepath.Join(t.TempDir(), "docker.sock")
	h := newHost(t, "host = \"unix://"+socket+"\"\n")
	j := h.newJob(busybox, "true")
	r := h.start(j)
	r.waitFor("Will be retried")
	if first := h.rows()[fmtID(j)]; first.word("outcome") != "system_failed" || first.word("reason") != "docker_gone" {
		t.Errorf("after the first attempt: %v", first)
	}
	if err := os.Symlink("/var/run/docker.sock", socket); err != nil { // Docker is there again
		t.Fatal(err)
	}
	h.succeeded(r.wait())
	if rows := h.rows(); len(rows) != 1 || rows[fmtID(j)].word("outcome") != "success" || rows[fmtID(j)].word("reason") != "" {
		t.Errorf("the ledger has %v", rows)
	}
}

func TestAJobThatWantsNoCachesSaysSoInTheLedger(t *testing.T) {
	t.Parallel()
	g := newGoHost(t, "").warm()
	off, bypassed, on := g.goJob("true").variable("GO_EXECUTOR_CACHE", "off"), g.goJob("true").variable("GOCACHE", "/tmp/mine"), g.goJob("true")
	for _, j := range []job{off, bypassed, on} {
		g.ran(j)
	}
	rows := g.rows()
	for _, c := range []struct {
		job    job
		reason string
		says   string
	}{{off, "off", "want no caches"}, {bypassed, "bypassed", "was left alone"}} {
		r := rows[fmtID(c.job)]
		if r.word("cache_reason") != c.reason || r["layers"] != nil || r["modules_wanted"] != nil || r["build_new"] != nil || r["saved_bytes"] != nil {
			t.Errorf("%s: %v", c.reason, r)
		}
		if text := g.askLedger("explain", fmtID(c.job)); !strings.Contains(text, c.says) {
			t.Errorf("%s:\n%s", c.reason, text)
		}
	}
	var totals struct{ Total ledgerRow }
	if err := json.Unmarshal([]byte(g.askLedger("--json")), &totals); err != nil {
		t.Fatal(err)
	}
	if totals.Total.number("jobs") != 3 || totals.Total.number("cached") != 1 || totals.Total.number("restored") != 1 || totals.Total.number("cold") != 0 {
		t.Errorf("%v", totals.Total)
	}
}

func TestOnlyRootReadsTheLedger(t *testing.T) {
	t.Parallel()
	h := newHost(t, "")
	h.succeeded(h.run(h.newJob(busybox, "true")))
	dir, err := os.MkdirTemp("", "e2e-anybody-") //nolint:usetesting // t.TempDir is root's alone
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	program, err := os.ReadFile(executorBin)
	if err != nil {
		t.Fatal(err)
	}
	config, err := os.ReadFile(filepath.Join(h.dir, "settings.toml"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range []struct {
		name    string
		content []byte
		mode    os.FileMode
	}{{"executor", program, 0o755}, {"open.toml", config, 0o644}, {"closed.toml", config, 0o600}} {
		if err := os.WriteFile(filepath.Join(dir, file.name), file.content, file.mode); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, config := range []string{"open.toml", "closed.toml"} {
		cmd := exec.CommandContext(t.Context(), filepath.Join(dir, "executor"), "--config", filepath.Join(dir, config), "stats")
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
		if out, err := cmd.CombinedOutput(); err == nil || !strings.Contains(string(out), "only root may read the ledger") || !strings.Contains(string(out), "sudo") || strings.Count(string(out), "\n") != 1 {
			t.Errorf("with %s: %v\n%s", config, err, out)
		}
	}
}
