package runner

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"gitlab.com/gitlab-org/gitlab-runner/executors/custom/api"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/executor/outcome"
)

// Exit codes that Runner uses when it does not say which (executors/custom/command/command.go). The environment's win:
// Runner's documentation reserves the right to change them.
const (
	defaultBuildFailure  = 1
	defaultSystemFailure = 2
)

// customPrefix is what Runner puts before the name of each job variable (custom.go, defaultCommandOutputs).
const customPrefix = "CUSTOM_ENV_"

// Env is the environment that Runner gives to each of the four stages.
type Env struct {
	PayloadFile   string            // JOB_RESPONSE_FILE
	ExitCodeFile  string            // BUILD_EXIT_CODE_FILE; empty before Runner 17.9
	BuildFailure  int               // exit code for the user's fault
	SystemFailure int               // exit code for ours
	TempDir       string            // Runner's folder for this attempt of the job; it outlives every stage but cleanup
	Variables     map[string]string // job variables, expanded. The job can forge every one: never decide policy on them
}

// ReadEnv takes the environment apart, in the form of os.Environ. It never fails: exit codes that are missing, or no
// numbers, are Runner's documented defaults, for without them an error could not even be reported.
func ReadEnv(environ []string) Env {
	e := Env{BuildFailure: defaultBuildFailure, SystemFailure: defaultSystemFailure, Variables: map[string]string{}}
	for _, kv := range environ {
		key, value, _ := strings.Cut(kv, "=")
		switch key {
		case api.JobResponseFileVariable:
			e.PayloadFile = value
		case api.BuildCodeFileVariable:
			e.ExitCodeFile = value
		case api.BuildFailureExitCodeVariable:
			e.BuildFailure = exitCode(value, defaultBuildFailure)
		case api.SystemFailureExitCodeVariable:
			e.SystemFailure = exitCode(value, defaultSystemFailure)
		case "TMPDIR":
			e.TempDir = value
		default:
			if name, ok := strings.CutPrefix(key, customPrefix); ok {
				e.Variables[name] = value
			}
		}
	}
	return e
}

func exitCode(value string, otherwise int) int {
	if n, err := strconv.Atoi(value); err == nil && n > 0 && n < 256 {
		return n
	}
	return otherwise
}

// Payload reads the job that Runner is working on.
func (e Env) Payload() (*Payload, error) {
	if e.PayloadFile == "" {
		return nil, outcome.System(outcome.RunnerTooOld,
			"%s is not set: these commands are called by a GitLab Runner, 16.6 or newer (run `gitlab-runner --version`; "+
				"to try a job without one, use `gitlab-go-executor try`)", api.JobResponseFileVariable)
	}
	return ReadPayload(e.PayloadFile)
}

// ProjectDir is the folder of the checkout inside the containers. Runner appends RUNNER_TEMP_PROJECT_DIR after the job's
// own variables (common/build.go, GetAllVariables), so, other than CI_PROJECT_DIR, the job cannot forge it. It is
// empty in the config stage, where Runner does not know the folder yet.
func (e Env) ProjectDir() string {
	dir := strings.TrimSuffix(e.Variables["RUNNER_TEMP_PROJECT_DIR"], ".tmp")
	if !filepath.IsAbs(dir) {
		return ""
	}
	return filepath.Clean(dir)
}

// Expand replaces $NAME and ${NAME} by the job's variables, as the docker executor does in what Runner leaves unexpanded
// (executors/docker, ImageDockerOptions.Expand). What the job says may depend on what the job says.
func (e Env) Expand(text string) string { return Expand(text, e.Variables) }

// Expand replaces $NAME and ${NAME}, and $$ by one dollar (common/spec/variables.go, ExpandValue).
func Expand(text string, variables map[string]string) string {
	return os.Expand(text, func(name string) string {
		if name == "$" {
			return name
		}
		return variables[name]
	})
}

// FileVariableDir is where Runner's scripts keep the contents of file variables, inside the containers.
func (e Env) FileVariableDir() string {
	if dir := e.ProjectDir(); dir != "" {
		return dir + ".tmp"
	}
	return ""
}

// ExitWith is the code to exit with after f. For a user's fault it first writes the script's own code to
// BUILD_EXIT_CODE_FILE, every time: Runner never clears that file between stages, so a stale code would be taken for the
// next stage's (command.go, setBuildExitCode).
func (e Env) ExitWith(f outcome.Failure) (int, error) {
	code, result := 0, 0
	switch {
	case f.Outcome == outcome.Success:
	case f.UsersFault():
		code, result = max(f.Code, 1), e.BuildFailure
	default:
		code, result = e.BuildFailure, e.SystemFailure
	}
	if e.ExitCodeFile == "" {
		return result, nil
	}
	if err := os.WriteFile(e.ExitCodeFile, fmt.Appendf(nil, "%d\n", code), 0o600); err != nil {
		return result, fmt.Errorf("the job's exit code %d cannot be told to the Runner: %w", code, err)
	}
	return result, nil
}
