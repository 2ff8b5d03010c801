package runner

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/executor/outcome"
)

func TestExitCodesComeFromTheEnvironment(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "exit_code")
	env := ReadEnv([]string{"BUILD_FAILURE_EXIT_CODE=11", "SYSTEM_FAILURE_EXIT_CODE=12", "BUILD_EXIT_CODE_FILE=" + file})
	steps := []struct {
		name string
		err  error
		exit int
		told string
	}{
		{"a script ends with 42", outcome.Script(42, outcome.ExitCode), 11, "42\n"},
		{"then a stage succeeds: the 42 must not stay", nil, 0, "0\n"},
		{"a mistake in the job", outcome.Job(outcome.ImageNotAllowed, "x"), 11, "1\n"},
		{"Docker is gone", outcome.System(outcome.DockerGone, "x"), 12, "11\n"},
		{"canceled", outcome.ErrStopped, 12, "11\n"},
	}
	for _, s := range steps {
		exit, err := env.ExitWith(outcome.Of(s.err))
		told, _ := os.ReadFile(file)
		if exit != s.exit || err != nil || string(told) != s.told {
			t.Errorf("%s: exit %d (%v), file %q; want exit %d, file %q", s.name, exit, err, told, s.exit, s.told)
		}
	}
}

func TestExitCodesOfAnOldOrStrangeRunner(t *testing.T) {
	t.Parallel()
	env := ReadEnv([]string{"BUILD_FAILURE_EXIT_CODE=many", "SYSTEM_FAILURE_EXIT_CODE=0"})
	if exit, err := env.ExitWith(outcome.Of(outcome.Script(42, outcome.ExitCode))); exit != 1 || err != nil {
		t.Errorf("user's fault: exit %d, %v; want 1 and no file to write", exit, err)
	}
	if exit, _ := env.ExitWith(outcome.Of(errors.New("?"))); exit != 2 {
		t.Errorf("our fault: exit %d, want 2", exit)
	}
}

func TestARunnerWithoutPayloadGetsOneClearSentence(t *testing.T) {
	t.Parallel()
	_, err := ReadEnv([]string{"PATH=/bin"}).Payload()
	f := outcome.Of(err)
	if f.Outcome != outcome.SystemFailed || f.Reason != outcome.RunnerTooOld || !strings.Contains(err.Error(), "16.6 or newer") || strings.Contains(err.Error(), "\n") {
		t.Errorf("got %s/%s: %v", f.Outcome, f.Reason, err)
	}
}

func TestTheProjectDirectoryCannotBeForged(t *testing.T) {
	t.Parallel()
	cases := map[string]struct{ temp, want string }{
		"as Runner says":                {"/builds/group/project.tmp", "/builds/group/project"},
		"not known in the config stage": {".tmp", ""},
		"absent":                        {"", ""},
	}
	for name, c := range cases {
		env := ReadEnv([]string{"CUSTOM_ENV_CI_PROJECT_DIR=/etc", "CUSTOM_ENV_RUNNER_TEMP_PROJECT_DIR=" + c.temp})
		if got := env.ProjectDir(); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

func TestJobVariablesKeepTheirEqualSigns(t *testing.T) {
	t.Parallel()
	env := ReadEnv([]string{"CUSTOM_ENV_GOFLAGS=-ldflags=-X=main.a=b", "CUSTOM_ENV_EMPTY="})
	if env.Variables["GOFLAGS"] != "-ldflags=-X=main.a=b" {
		t.Errorf("GOFLAGS is %q", env.Variables["GOFLAGS"])
	}
	if v, ok := env.Variables["EMPTY"]; !ok || v != "" {
		t.Error("an empty variable got lost")
	}
}
