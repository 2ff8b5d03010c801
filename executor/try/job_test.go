package try

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/executor/outcome"
	"gitlab.com/gitlab-go-executor/gitlab-go-executor/executor/runner"
	"gitlab.com/gitlab-go-executor/gitlab-go-executor/executor/try/ci"
)

// fakeStages stands in for the stage commands: it notes each call and its environment in its own folder, then does what
// the test has written to the file behave there, with the stage's name in $stage.
const fakeStages = `
here=$(dirname "$0"); shift 2
stage=$1; [ "$stage" != run ] || stage=$3
echo "$stage" >> "$here/calls"
env > "$here/env.$stage"
cp "$JOB_RESPONSE_FILE" "$here/payload"
echo "log of $stage" >&2
[ "$stage" != run ] || cp "$2" "$here/script"
[ "$stage" != config ] || echo '{"builds_dir": "/builds", "job_env": {"FROM_CONFIG": "seen"}}'
. "$here/behave"
exit 0
`

// fake is such a program.
type fake struct {
	t   *testing.T
	dir string
}

func newFake(t *testing.T, behave string) fake {
	t.Helper()
	f := fake{t, t.TempDir()}
	write(t, f.file("stages"), fakeStages)
	write(t, f.file("behave"), behave)
	return f
}

func (f fake) file(name string) string { return filepath.Join(f.dir, name) }

func (f fake) calls() string {
	data, _ := os.ReadFile(f.file("calls"))
	return strings.Join(strings.Fields(string(data)), " ")
}

// env is one variable of a stage's environment.
func (f fake) env(stage, name string) string {
	for line := range strings.Lines(read(f.t, f.file("env."+stage))) {
		if value, ok := strings.CutPrefix(line, name+"="); ok {
			return strings.TrimSuffix(value, "\n")
		}
	}
	return "(unset)"
}

// job is a run of a plan with the fake.
func (f fake) job(p *plan, log *bytes.Buffer) *job {
	return &job{
		plan: p, id: 42, title: "run 1 of 1", program: []string{"sh", f.file("stages"), "--config", "x"},
		folder: f.t.TempDir(), progress: log, kill: make(chan struct{}), retry: time.Millisecond,
	}
}

func TestAJobsLifeIsThatWhichRunnerGivesIt(t *testing.T) {
	t.Parallel()
	const whole = "config prepare prepare_script get_sources build_script after_script cleanup_file_variables cleanup"
	code := func(n int) *int { return &n }
	cases := map[string]struct {
		behave  string
		calls   string
		outcome outcome.Outcome
		code    *int
	}{
		"all is well":                        {"", whole, outcome.Success, code(0)},
		"the script fails":                   {`[ $stage != build_script ] || { echo 42 > $BUILD_EXIT_CODE_FILE; exit 1; }`, whole, outcome.ScriptFailed, code(42)},
		"the script fails and tells nobody":  {`[ $stage != build_script ] || exit 1`, whole, outcome.ScriptFailed, code(1)},
		"a code that is no number":           {`[ $stage != build_script ] || { echo x > $BUILD_EXIT_CODE_FILE; exit 1; }`, whole, outcome.SystemFailed, nil},
		"a code that is stale after success": {`echo 42 > $BUILD_EXIT_CODE_FILE`, whole, outcome.Success, code(0)},
		"after_script fails":                 {`[ $stage != after_script ] || exit 1`, whole, outcome.Success, code(0)},
		"cleanup fails":                      {`[ $stage != cleanup ] || exit 2`, whole, outcome.Success, code(0)},
		"the host fails in the script":       {`[ $stage != build_script ] || exit 2`, whole, outcome.SystemFailed, nil},
		"the stage command is killed":        {`[ $stage != build_script ] || kill -9 $$`, whole, outcome.SystemFailed, nil},
		"get_sources fails: no script": {
			`[ $stage != get_sources ] || exit 1`, "config prepare prepare_script get_sources cleanup_file_variables cleanup", outcome.ScriptFailed, code(1),
		},
		"prepare_script fails: nothing more": {
			`[ $stage != prepare_script ] || exit 2`, "config prepare prepare_script cleanup", outcome.SystemFailed, nil,
		},
		"the job's definition is wrong: once is enough": {
			`[ $stage != prepare ] || exit 1`, "config prepare cleanup", outcome.JobInvalid, code(1),
		},
		"the host cannot prepare: three times, each cleaned up": {
			`[ $stage != prepare ] || exit 2`, "config prepare cleanup config prepare cleanup config prepare cleanup", outcome.SystemFailed, nil,
		},
		"the second attempt succeeds": {
			`[ $stage != prepare ] || [ -e $here/second ] || { touch $here/second; exit 2; }`, "config prepare cleanup " + whole, outcome.Success, code(0),
		},
		"config prints rubbish": {
			`[ $stage != config ] || echo rubbish`, "config cleanup config cleanup config cleanup", outcome.SystemFailed, nil,
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFake(t, c.behave)
			var log bytes.Buffer
			j := f.job(testPlan(&ci.Job{Name: "test", Script: []string{"x"}, AfterScript: []string{"y"}}), &log)
			got := j.run(context.Background())
			if f.calls() != c.calls {
				t.Errorf("called %s\nwant   %s", f.calls(), c.calls)
			}
			if got.Outcome != c.outcome || (got.ExitCode == nil) != (c.code == nil) || (c.code != nil && *got.ExitCode != *c.code) {
				t.Errorf("ended with %s, %v; want %s, %v\n%s", got.Outcome, got.ExitCode, c.outcome, c.code, log.String())
			}
			for _, stage := range strings.Fields(c.calls) {
				if _, ok := got.Stages[stage]; !ok {
					t.Errorf("no time for %s", stage)
				}
			}
			if left, _ := os.ReadDir(j.folder); len(left) > 0 {
				t.Errorf("left behind: %v", left)
			}
		})
	}
}

func TestTheStagesGetWhatRunnerGivesThem(t *testing.T) {
	t.Parallel()
	f := newFake(t, `[ $stage != build_script ] || exit 1`)
	p := testPlan(&ci.Job{
		Name: "test", Stage: "build", Image: runner.Image{Name: "golang:$GO"}, Script: []string{"go test"}, AfterScript: []string{"y"},
		Services:  []runner.Image{{Name: "postgres:$PG", Alias: "db, $CI_PROJECT_NAME"}},
		Variables: []runner.Variable{{Key: "GO", Value: "1.26", Public: true}, {Key: "PG", Value: "16", Public: true}, {Key: "BIN", Value: "$CI_PROJECT_DIR/bin", Public: true}},
	})
	p.given.set("GO", "1.27", "CASH", "$GO")
	var log bytes.Buffer
	f.job(p, &log).run(context.Background())

	for _, c := range []struct{ stage, name, want string }{
		{"config", "BUILD_FAILURE_EXIT_CODE", "1"},
		{"config", "SYSTEM_FAILURE_EXIT_CODE", "2"},
		{"config", "CUSTOM_ENV_CI_JOB_ID", "42"},
		{"config", "CUSTOM_ENV_RUNNER_TEMP_PROJECT_DIR", ".tmp"}, // Runner does not know it there
		{"config", "FROM_CONFIG", "(unset)"},
		{"prepare", "FROM_CONFIG", "seen"},
		{"prepare", "CUSTOM_ENV_RUNNER_TEMP_PROJECT_DIR", "/builds/group/app.tmp"},
		{"prepare", "CUSTOM_ENV_CI_PROJECT_DIR", "/builds/group/app"},
		{"prepare", "CUSTOM_ENV_BIN", "/builds/group/app/bin"},
		{"prepare", "CUSTOM_ENV_GO", "1.27"},
		{"prepare", "CUSTOM_ENV_CASH", "$GO"},
		{"prepare", "CUSTOM_ENV_CI_COMMIT_BRANCH", "main"},
		{"prepare", "CUSTOM_ENV_CI_COMMIT_TAG", "(unset)"},
		{"prepare", "CUSTOM_ENV_CI_COMMIT_REF_PROTECTED", "true"},
		{"prepare", "CUSTOM_ENV_CI_JOB_STATUS", "running"},
		{"prepare", "CUSTOM_ENV_CI_JOB_SERVICES", `[{"name":"postgres:16","alias":"db","entrypoint":null,"command":null}]`},
		{"after_script", "CUSTOM_ENV_CI_JOB_STATUS", "failed"},
		{"cleanup", "CUSTOM_ENV_CI_JOB_STATUS", "failed"},
	} {
		if got := f.env(c.stage, c.name); got != c.want {
			t.Errorf("%s: %s is %q, want %q", c.stage, c.name, got, c.want)
		}
	}
	if f.env("prepare", "PWD") != f.env("prepare", "TMPDIR") {
		t.Error("the stages do not run in TMPDIR")
	}
	payload, err := runner.ReadPayload(f.file("payload"))
	if err != nil {
		t.Fatal(err)
	}
	if payload.ID != 42 || payload.Image.Name != "golang:1.27" || payload.Services[0].Alias != "db, app" || payload.Identity().Tier != runner.ProtectedTier {
		t.Errorf("the payload is %+v", payload)
	}
	if i := slices.IndexFunc(payload.Variables, func(v runner.Variable) bool { return v.Key == "BIN" }); payload.Variables[i].Value != "$CI_PROJECT_DIR/bin" {
		t.Errorf("the payload has variables expanded: %+v", payload.Variables[i])
	}
	if secrets := payload.SecretValues(); len(secrets) > 1 { // the token
		t.Errorf("secrets: %q", secrets)
	}
}

// runAndInterrupt starts a job whose script never ends by itself, and interrupts it when it runs.
func runAndInterrupt(t *testing.T, f fake, twice bool) (Result, time.Duration) {
	t.Helper()
	var log bytes.Buffer
	j := f.job(testPlan(&ci.Job{Name: "test", Script: []string{"x"}, AfterScript: []string{"y"}}), &log)
	kill := make(chan struct{})
	j.kill = kill
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	done := make(chan Result, 1)
	go func() { done <- j.run(ctx) }()
	waitFor(t, f.file("started"))
	start := time.Now()
	cancel(errInterrupted)
	if twice {
		close(kill)
	}
	select {
	case r := <-done:
		return r, time.Since(start)
	case <-time.After(30 * time.Second):
		t.Fatal("the job goes on")
		return Result{}, 0
	}
}

func waitFor(t *testing.T, file string) {
	t.Helper()
	for range 1000 {
		if _, err := os.Stat(file); err == nil {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("%s never came", file)
}

func TestASignalStopsTheStageAndCleansUp(t *testing.T) {
	t.Parallel()
	const calls = "config prepare prepare_script get_sources build_script cleanup"
	cases := map[string]struct {
		behave string
		twice  bool
	}{
		// The sleep belongs to the group: it must be gone too.
		"the stage obeys": {`[ $stage != build_script ] || { trap 'echo asked > $here/asked; exit 2' TERM; sleep 300 & echo $! > $here/child; touch $here/started; wait; }`, false},
		"the stage is deaf, and a second signal comes": {
			`[ $stage != build_script ] || { trap '' TERM; touch $here/started; while :; do sleep 0.1; done; }`, true,
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFake(t, c.behave)
			r, took := runAndInterrupt(t, f, c.twice)
			if r.Outcome != outcome.Canceled || r.ExitCode != nil {
				t.Errorf("ended with %s, %v", r.Outcome, r.ExitCode)
			}
			if f.calls() != calls {
				t.Errorf("called %s\nwant   %s", f.calls(), calls)
			}
			if took > 20*time.Second {
				t.Errorf("took %s", took)
			}
			if f.env("cleanup", "CUSTOM_ENV_CI_JOB_STATUS") != "canceled" {
				t.Error("cleanup was not told")
			}
			if c.twice {
				return
			}
			if read(t, f.file("asked")) != "asked\n" {
				t.Error("the stage was not asked to stop")
			}
			stat, err := os.ReadFile("/proc/" + strings.TrimSpace(read(t, f.file("child"))) + "/stat")
			if err == nil && !strings.Contains(string(stat), ") Z ") { // dead, and not yet collected by its new parent
				t.Errorf("a child of the stage goes on: %s", stat)
			}
		})
	}
}

func TestAJobOutOfTimeIsStopped(t *testing.T) {
	t.Parallel()
	f := newFake(t, `[ $stage != build_script ] || { trap 'exit 2' TERM; sleep 300 & wait; }`)
	p := testPlan(&ci.Job{Name: "test", Script: []string{"x"}})
	p.timeout = 2 * time.Second
	var log bytes.Buffer
	r := f.job(p, &log).run(context.Background())
	if r.Outcome != outcome.TimedOut || !strings.HasSuffix(f.calls(), "build_script cleanup") {
		t.Errorf("ended with %s after %s", r.Outcome, f.calls())
	}
}

func TestAStageThatLeavesSomethingRunningIsNotWaitedForForever(t *testing.T) {
	t.Parallel()
	f := newFake(t, `[ $stage != prepare ] || sleep 40 &`)
	var log bytes.Buffer
	start := time.Now()
	r := f.job(testPlan(&ci.Job{Name: "test", Script: []string{"x"}}), &log).run(context.Background())
	if r.Outcome != outcome.Success || time.Since(start) > 3*drainAfter {
		t.Errorf("ended with %s after %s", r.Outcome, time.Since(start))
	}
	data, _ := json.Marshal(r)
	if !strings.Contains(string(data), `"outcome":"success"`) {
		t.Errorf("%s", data)
	}
}
