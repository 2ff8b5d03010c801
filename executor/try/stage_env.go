package try

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path"
	"strconv"
	"time"

	"gitlab.com/gitlab-org/gitlab-runner/executors/custom/api"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/executor/runner"
)

// environment is that of a stage command, in Runner's order: its own, the contract's, what config has asked for, the
// job's variables (executors/custom/command/command.go; executors/custom/custom.go, prepareCommand).
func (a *attempt) environment() []string {
	env := append(os.Environ(),
		"TMPDIR="+a.dir,
		api.JobResponseFileVariable+"="+a.payload,
		api.BuildCodeFileVariable+"="+a.exitFile,
		api.BuildFailureExitCodeVariable+"="+strconv.Itoa(buildFailure),
		api.SystemFailureExitCodeVariable+"="+strconv.Itoa(systemFailure),
	)
	for _, name := range sorted(a.jobEnv) {
		env = append(env, name+"="+a.jobEnv[name])
	}
	values := a.variables(a.id, a.projectDir).withStatus(a.status)
	values["RUNNER_TEMP_PROJECT_DIR"] = a.projectDir + ".tmp" // Runner's own word comes after the job's
	if a.projectDir == "" {
		values["CI_BUILDS_DIR"] = "" // Runner does not know either in config
	}
	values["CI_JOB_SERVICES"] = a.services()
	for _, name := range sorted(values) {
		env = append(env, "CUSTOM_ENV_"+name+"="+values[name])
	}
	return env
}

// withStatus expands variables and adds how the job stands.
func (vs variables) withStatus(status string) map[string]string {
	values := vs.expanded()
	values["CI_JOB_STATUS"] = status
	return values
}

// services are the job's services in the form of CI_JOB_SERVICES (executors/custom/custom.go, jobService).
func (a *attempt) services() string {
	type service struct {
		Name       string   `json:"name"`
		Alias      string   `json:"alias"`
		Entrypoint []string `json:"entrypoint"`
		Command    []string `json:"command"`
	}
	var all []service
	for _, s := range a.plan.payload(a.id).Services {
		alias := ""
		if names := s.Aliases(); len(names) > 0 {
			alias = names[0]
		}
		all = append(all, service{s.Name, alias, s.Entrypoint, s.Command})
	}
	if len(all) == 0 {
		return ""
	}
	text, _ := json.Marshal(all) // of texts alone
	return string(text)
}

// configure takes over what config printed.
func (a *attempt) configure(stdout []byte) error {
	var config api.ConfigExecOutput
	if len(bytes.TrimSpace(stdout)) > 0 { // Runner allows for silence
		if err := json.Unmarshal(stdout, &config); err != nil {
			return fmt.Errorf("what config printed on standard output is not its JSON: %w", err)
		}
	}
	if config.BuildsDir == nil || !path.IsAbs(*config.BuildsDir) {
		return errors.New("config did not name a builds_dir")
	}
	a.projectDir = a.plan.projectDir(*config.BuildsDir)
	if config.JobEnv != nil {
		a.jobEnv = *config.JobEnv
	}
	return nil
}

// told reads BUILD_EXIT_CODE_FILE. Where a stage wrote none, its code counts as that of a build failure.
func (a *attempt) told() string {
	text, err := os.ReadFile(a.exitFile)
	if err != nil {
		return strconv.Itoa(buildFailure)
	}
	return string(text)
}

// writeJSON writes a payload. It is for its owner only: a real one holds the job's token.
func writeJSON(file string, payload *runner.Payload) error {
	text, err := json.Marshal(payload)
	if err != nil {
		return err
	}
	return os.WriteFile(file, text, 0o600)
}

// limitedBuffer keeps the beginning of what a command prints, and takes the rest without keeping it.
type limitedBuffer struct{ kept []byte }

// Write implements io.Writer.
func (b *limitedBuffer) Write(p []byte) (int, error) {
	const limit = 1 << 20
	b.kept = append(b.kept, p[:min(len(p), limit-len(b.kept))]...)
	return len(p), nil
}

// seconds since start, to the millisecond.
func seconds(start time.Time) float64 {
	return float64(time.Since(start).Milliseconds()) / 1000
}
