package e2e

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/docker/docker/client"
)

// host is a runner host: a GitLab Runner's config.toml, our settings, a state directory of its own.
type host struct {
	t        *testing.T
	gitlab   *gitlab
	sha      string
	dir      string
	StateDir string
	instance string         // as in labels: the GitLab's host+port
	pruned   bool           // no layer may be mounted any more
	wrap     []string       // a command that starts the Runner
	environ  []string       // of the Runner and serve; nil: that of the tests
	runner   string         // of a Runner with the docker executor: its token, as in labels
	patience time.Duration  // with a job; 0: that of the tests
	docker   *client.Client // where its jobs run; nil: the machine's
}

// nextJob numbers jobs over all tests, so that a job's label is its own.
var nextJob atomic.Int64

// newHost makes a runner host. settings is added to the [docker] section; it may go on with a [log] section of its own.
func newHost(t *testing.T, settings string) *host {
	t.Helper()
	g := newGitLab(t)
	sha := g.repository(t, "group/project", map[string]string{"README.md": "hello\n", ".gitignore": "ignored\n"})
	return hostOf(t, g, sha, settings)
}

// hostOf makes a runner host of a GitLab that has a project.
func hostOf(t *testing.T, g *gitlab, sha, settings string) *host {
	t.Helper()
	h := &host{t: t, gitlab: g, sha: sha, dir: t.TempDir(), instance: strings.ReplaceAll(strings.TrimPrefix(g.URL, "http://"), ":", "+")}
	h.StateDir = filepath.Join(h.dir, "state")
	h.shareImages()
	base := "pull_policy = [\"never\"]\n"
	if strings.Contains(settings, "pull_policy") {
		base = ""
	}
	if !strings.Contains(settings, "helper_image") {
		base += "helper_image = \"" + helperImage + "\"\n"
	}
	if !strings.Contains(settings, "[log]") {
		settings += fmt.Sprintf("\n[log]\nlevel = \"debug\"\nformat = \"json\"\nfile = %q\n", h.OperatorLog())
	}
	if !strings.Contains(settings, "[stats]") {
		settings += "\n[stats]\nlisten_address = \"\"\n" // several hosts are one machine
	}
	h.write("settings.toml", fmt.Sprintf("state_dir = %q\n[docker]\n%s%s", h.StateDir, base, settings))
	h.write("config.toml", h.runnerConfig())
	t.Cleanup(h.checkNothingLeft)
	return h
}

// shareImages has all hosts know what Go an image has once one of them has looked: that takes a container.
func (h *host) shareImages() {
	h.t.Helper()
	if err := errors.Join(os.Mkdir(h.StateDir, 0o700), os.Symlink(seeds.images(), filepath.Join(h.StateDir, "images"))); err != nil {
		h.t.Fatal(err)
	}
}

func (h *host) OperatorLog() string { return filepath.Join(h.dir, "operator.log") }

func (h *host) write(name, content string) {
	h.t.Helper()
	if err := os.WriteFile(filepath.Join(h.dir, name), []byte(content), 0o600); err != nil {
		h.t.Fatal(err)
	}
}

// configure adds lines to the only [[runners]] of the Runner's config.toml, and sections below it.
func (h *host) configure(lines, sections string) {
	h.t.Helper()
	config, err := os.ReadFile(filepath.Join(h.dir, "config.toml"))
	if err != nil {
		h.t.Fatal(err)
	}
	h.write("config.toml", strings.Replace(string(config), "[[runners]]\n", "[[runners]]\n"+lines, 1)+sections)
}

// runnerConfig is the stanza of docs/administrator.md.
func (h *host) runnerConfig() string {
	stage := func(name string) string {
		return fmt.Sprintf("%s_exec = %q\n%s_args = [\"--config\", %q, %q]\n", name, executorBin, name, filepath.Join(h.dir, "settings.toml"), name)
	}
	return fmt.Sprintf(`[[runners]]
name = "test"
url = %q
token = "runner-token"
executor = "custom"
safe_directory_checkout = true
[runners.custom_build_dir]
enabled = true
[runners.custom]
%s%s%s%sgraceful_kill_timeout = 60
force_kill_timeout = 10
`, h.gitlab.URL, stage("config"), stage("prepare"), stage("run"), stage("cleanup"))
}

// job is a job's payload, as GitLab would send it.
type job map[string]any

// newJob is a job with a script, one line an element.
func (h *host) newJob(image string, script ...string) job {
	id := nextJob.Add(1)
	url := strings.Replace(h.gitlab.URL, "http://", "http://gitlab-ci-token:job-token-secret@", 1) + "/group/project.git"
	return job{
		"id": id, "token": "job-token-secret", "allow_git_fetch": true,
		"job_info": job{"name": "test", "stage": "test", "project_id": 42, "project_name": "project", "pipeline_id": 1},
		"git_info": job{
			"repo_url": url, "ref": "main", "sha": h.sha, "before_sha": strings.Repeat("0", 40), "ref_type": "branch",
			"refspecs": []string{"+refs/heads/main:refs/remotes/origin/main"}, "depth": 20, "protected": true,
		},
		"runner_info": job{"timeout": 300},
		"variables": []job{
			variable("CI", "true"), variable("GIT_STRATEGY", "fetch"), variable("CI_SERVER_URL", h.gitlab.URL), variable("GIT_DEPTH", "20"),
			variable("CI_PROJECT_PATH", "group/project"), variable("CI_COMMIT_SHA", h.sha), variable("CI_JOB_ID", fmt.Sprint(id)),
		},
		"steps": []job{{"name": "script", "script": script, "timeout": 300, "when": "on_success"}},
		"image": job{"name": image},
		"features": job{"trace_sections": false, "failure_reasons": []string{
			"unknown_failure", "script_failure", "runner_system_failure", "job_execution_timeout", "job_canceled", "runner_unsupported",
		}},
	}
}

func variable(key, value string) job { return job{"key": key, "value": value, "public": true} }

func (j job) with(key string, value any) job {
	j[key] = value
	return j
}

func (j job) variable(key, value string) job {
	return j.with("variables", append(j["variables"].([]job), variable(key, value)))
}

func (j job) afterScript(script ...string) job {
	return j.with("steps", append(j["steps"].([]job), job{"name": "after_script", "script": script, "timeout": 300, "when": "always", "allow_failure": true}))
}

func (j job) timeout(seconds int) job { return j.with("runner_info", job{"timeout": seconds}) }

// result is what GitLab would be told, and the job log.
type result struct {
	State         string `json:"state"`
	FailureReason string `json:"failure_reason"`
	ExitCode      int    `json:"exit_code"`
	Seconds       float64
	Error         string `json:"error"`
	Log           string
}

// running is a job that the Runner is working on.
type running struct {
	h    *host
	cmd  *exec.Cmd
	log  *syncBuffer
	errs *syncBuffer
}

// start hands a job to the Runner.
func (h *host) start(j job) *running {
	h.t.Helper()
	data, err := json.Marshal(j)
	if err != nil {
		h.t.Fatal(err)
	}
	name := fmt.Sprintf("job-%v.json", j["id"])
	h.write(name, string(data))
	r := &running{h: h, log: &syncBuffer{}, errs: &syncBuffer{}}
	line := append(slices.Clone(h.wrap), runnerJob, filepath.Join(h.dir, "config.toml"), filepath.Join(h.dir, name))
	r.cmd = exec.Command(line[0], line[1:]...)
	r.cmd.Stdout, r.cmd.Stderr, r.cmd.Env = r.log, r.errs, h.environ
	r.cmd.Dir = h.dir
	if err := r.cmd.Start(); err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { _ = r.cmd.Process.Kill() })
	return r
}

var resultLine = regexp.MustCompile(`(?m)^RESULT (.*)$`)

// wait gives the job's result once the Runner has ended it.
func (r *running) wait() result {
	r.h.t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = r.cmd.Wait() // the result says more
	}()
	select {
	case <-done:
	case <-time.After(cmp.Or(r.h.patience, 4*time.Minute)):
		r.h.t.Fatalf("the job did not end; its log so far:\n%s", r.log)
	}
	var res result
	found := resultLine.FindStringSubmatch(r.log.String())
	if found == nil {
		r.h.t.Fatalf("the Runner gave no result:\n%s\n%s", r.log, r.errs)
	}
	if err := json.Unmarshal([]byte(found[1]), &res); err != nil {
		r.h.t.Fatal(err)
	}
	res.Log = r.log.String()
	return res
}

// started is how a line "started" of a job's output, not of its script's echo, looks in the job log.
const started = "O started\n"

// waitFor waits until the job log shows a text.
func (r *running) waitFor(text string) {
	r.h.t.Helper()
	r.h.eventually("the job log shows "+text, func() bool { return strings.Contains(r.log.String(), text) }, r.log)
}

func (r *running) signal(s syscall.Signal) {
	r.h.t.Helper()
	if err := r.cmd.Process.Signal(s); err != nil {
		r.h.t.Fatal(err)
	}
}

func (h *host) run(j job) result {
	h.t.Helper()
	return h.start(j).wait()
}

func (h *host) eventually(what string, ok func() bool, show fmt.Stringer) {
	h.t.Helper()
	for deadline := time.Now().Add(90 * time.Second); !ok(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			h.t.Fatalf("waited 90 s until %s\n%s", what, show)
		}
	}
}

// succeeded and failed check a result and show the job log when it is another one.
func (h *host) succeeded(r result) {
	h.t.Helper()
	if r.State != "success" {
		h.t.Fatalf("the job failed: %s, exit code %d, %s\n%s", r.FailureReason, r.ExitCode, r.Error, r.Log)
	}
}

func (h *host) failed(r result, reason string, code int) {
	h.t.Helper()
	if r.State != "failed" || r.FailureReason != reason || r.ExitCode != code {
		h.t.Fatalf("the job ended with %s %q, exit code %d; want failed %q, exit code %d\n%s", r.State, r.FailureReason, r.ExitCode, reason, code, r.Log)
	}
}

func (h *host) says(r result, texts ...string) {
	h.t.Helper()
	for _, text := range texts {
		if !strings.Contains(r.Log, text) {
			h.t.Errorf("the job log does not say %q:\n%s", text, r.Log)
		}
	}
}

// prints checks whole lines of a script's output, which the script's own text, echoed in the job log, cannot be taken for.
func (h *host) prints(r result, lines ...string) {
	h.t.Helper()
	for _, line := range lines {
		h.says(r, "O "+line+"\n")
	}
}

func (h *host) neverSays(r result, texts ...string) {
	h.t.Helper()
	for _, text := range texts {
		if strings.Contains(r.Log, text) {
			h.t.Errorf("the job log says %q:\n%s", text, r.Log)
		}
	}
}

// fmtID is a job's id as in labels.
func fmtID(j job) string { return fmt.Sprint(j["id"]) }

// syncBuffer is a buffer that is written to and read at the same time.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

var _ io.Writer = (*syncBuffer)(nil)

// stateLabel is the label that names a state directory (executor/paths.go).
func stateLabel(t *testing.T, dir string) string {
	t.Helper()
	id, err := os.ReadFile(filepath.Join(dir, "id"))
	if err != nil {
		t.Fatal(err)
	}
	return string(id)
}
