package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// tryRepo is a project as somebody has it on disk.
func tryRepo(t *testing.T, files map[string]string) string {
	t.Helper()
	g := &gitlab{dir: t.TempDir()}
	g.repository(t, "app", files)
	return filepath.Join(g.dir, "app.git")
}

// try runs the command and gives its standard output, standard error and exit status.
func try(t *testing.T, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, executorBin, append([]string{"try"}, args...)...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	_ = cmd.Run()
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

const ciFile = `
image: nothing/else:1
variables: {GREETING: hello}
test:
  before_script: ['echo "$GREETING from before"']
  script:
    - cat README.md
    - test -n "$CI_COMMIT_SHA"
  after_script: ['echo after=$CI_JOB_STATUS']
bad:
  script: [exit 7]
`

func TestTryRunsAJobOfTheRepositoryTwice(t *testing.T) {
	t.Parallel()
	repo := tryRepo(t, map[string]string{".gitlab-ci.yml": ciFile, "README.md": "the readme\n"})
	out, log, code := try(t, repo, "--job", "test", "--image", jobImage, "--runs", "2", "--json")
	if code != 0 {
		t.Fatalf("exit status %d\n%s", code, log)
	}
	var got struct {
		Runs []struct {
			TotalSeconds float64            `json:"total_seconds"`
			Stages       map[string]float64 `json:"stages"`
			ExitCode     int                `json:"exit_code"`
			Outcome      string             `json:"outcome"`
		} `json:"runs"`
		Speedup float64 `json:"speedup"`
	}
	if err := json.Unmarshal([]byte(out), &got); err != nil {
		t.Fatalf("standard output is not one JSON object: %v\n%s", err, out)
	}
	if len(got.Runs) != 2 || got.Speedup <= 0 {
		t.Fatalf("got %+v", got)
	}
	for _, run := range got.Runs {
		sum := 0.0
		for _, stage := range []string{"config", "prepare", "prepare_script", "get_sources", "build_script", "after_script", "cleanup_file_variables", "cleanup"} {
			if run.Stages[stage] <= 0 {
				t.Errorf("stage %s took %v s", stage, run.Stages[stage])
			}
			sum += run.Stages[stage]
		}
		if run.Outcome != "success" || run.ExitCode != 0 || sum > run.TotalSeconds+0.1 {
			t.Errorf("got %+v", run)
		}
	}
	for _, want := range []string{"hello from before", "the readme", "after=success"} {
		if strings.Count(log, want) < 2 {
			t.Errorf("the progress does not show %q twice:\n%s", want, log)
		}
	}
}

func TestTryFailsWithTheJob(t *testing.T) {
	t.Parallel()
	repo := tryRepo(t, map[string]string{".gitlab-ci.yml": ciFile})
	out, log, code := try(t, repo, "--job", "bad", "--image", jobImage, "--json")
	if code == 0 || !strings.Contains(out, `"exit_code":7`) || !strings.Contains(out, `"outcome":"script_failed"`) {
		t.Errorf("exit status %d, %s\n%s", code, out, log)
	}
}

func TestTrySaysWhatIsWrongWithItsInput(t *testing.T) {
	t.Parallel()
	repo := tryRepo(t, map[string]string{".gitlab-ci.yml": ciFile + "other:\n  extends: test\n  script: [true]\n"})
	empty := tryRepo(t, map[string]string{"a": "b"})
	for name, c := range map[string]struct {
		args []string
		says []string
	}{
		"no repository":        {[]string{t.TempDir(), "--job", "test"}, []string{"git repository"}},
		"no such folder":       {[]string{"/no/such/folder"}, []string{"/no/such/folder"}},
		"a job that is absent": {[]string{repo, "--job", "tset"}, []string{"tset", "test", "bad"}},
		"an unsupported word":  {[]string{repo, "--job", "other"}, []string{"extends"}},
		"no .gitlab-ci.yml":    {[]string{empty}, []string{".gitlab-ci.yml", "--image"}},
		"no settings":          {[]string{repo, "--job", "bad", "--config", "/no/such/config.toml"}, []string{"/no/such/config.toml"}},
	} {
		out, log, code := try(t, c.args...)
		for _, want := range c.says {
			if code == 0 || out != "" || !strings.Contains(log, want) {
				t.Errorf("%s: exit status %d, want one that says %q:\n%s%s", name, code, want, out, log)
			}
		}
	}
}

func TestATryThatIsInterruptedLeavesNothing(t *testing.T) {
	t.Parallel()
	repo := tryRepo(t, map[string]string{"a": "b"})
	state := filepath.Join(t.TempDir(), "state")
	cmd := exec.Command(executorBin, "try", repo, "--image", jobImage, "--script", "echo started", "--script", "sleep 204", "--state-dir", state)
	log := &syncBuffer{}
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	h := &host{t: t, StateDir: state, dir: state, instance: "localhost"}
	h.eventually("the script has started", func() bool { return strings.Contains(log.String(), "\nstarted\n") }, log)
	_ = cmd.Process.Signal(syscall.SIGINT)
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = cmd.Wait() // its exit code is looked at
	}()
	select {
	case <-done:
	case <-time.After(time.Minute):
		_ = cmd.Process.Kill()
		t.Fatalf("try did not end:\n%s", log)
	}
	if cmd.ProcessState.ExitCode() == 0 {
		t.Error("an interrupted try succeeded")
	}
	records, _ := filepath.Glob(filepath.Join(state, "jobs", "*", "*"))
	if len(records) > 0 {
		t.Errorf("left behind: %v", records)
	}
	out, err := exec.Command("docker", "ps", "-aq", "--filter", "label=gitlab-go-executor.state="+stateLabel(t, state)).Output()
	if err != nil || len(bytes.TrimSpace(out)) > 0 {
		t.Errorf("left behind: containers %s (%v)", out, err)
	}
}
