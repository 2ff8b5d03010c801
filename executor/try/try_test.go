package try

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/executor/outcome"
	"gitlab.com/gitlab-go-executor/gitlab-go-executor/executor/settings"
)

// options are those of a try with the fake.
func (f fake) options(repo string) (o *Options, stdout, stderr *bytes.Buffer, pulled *[]string) {
	stdout, stderr, pulled = &bytes.Buffer{}, &bytes.Buffer{}, &[]string{}
	return &Options{
		Repo: repo, Ref: "HEAD", Runs: 1, Timeout: time.Minute, Settings: settings.Default(),
		Program: []string{"sh", f.file("stages")}, Getenv: func(string) string { return "" },
		Pull: func(_ context.Context, image string, _ io.Writer) error {
			*pulled = append(*pulled, image)
			return nil
		},
		Stdout: stdout, Stderr: stderr, Kill: make(chan struct{}),
	}, stdout, stderr, pulled
}

// The one test of this file that is not parallel: it looks for what is left in the folder for temporary files.
func TestATryTellsTheTimeOfEachStageAndLeavesNothing(t *testing.T) {
	temp := t.TempDir()
	t.Setenv("TMPDIR", temp)
	ca := filepath.Join(t.TempDir(), "a:b.pem")
	write(t, ca, "-----BEGIN CERTIFICATE-----\n")
	repo := newRepo(t, map[string]string{".gitlab-ci.yml": "test:\n  image: golang:1.26\n  services: [redis]\n  tags: [x]\n  script: [go test]\n"})
	write(t, filepath.Join(repo, "dirty"), "x")
	// The settings go before the fake shifts them away.
	f := newFake(t, `[ $stage != prepare ] || cp "$JOB_RESPONSE_FILE" "$here/payload.$CUSTOM_ENV_CI_JOB_ID"`)
	write(t, f.file("stages"), strings.Replace(fakeStages, "shift 2", `cp "$2" "$here/settings"; shift 2`, 1))
	o, stdout, stderr, pulled := f.options(repo)
	o.Runs, o.JSON, o.CAFile = 2, true, ca

	if err := Run(context.Background(), o); err != nil {
		t.Fatal(err, stderr)
	}
	var report struct {
		Runs []struct {
			TotalSeconds float64            `json:"total_seconds"`
			Stages       map[string]float64 `json:"stages"`
			ExitCode     *int               `json:"exit_code"`
			Outcome      string             `json:"outcome"`
		} `json:"runs"`
		Speedup *float64 `json:"speedup"`
	}
	if err := json.Unmarshal(stdout.Bytes(), &report); err != nil {
		t.Fatalf("%v in %s", err, stdout)
	}
	if len(report.Runs) != 2 || report.Speedup == nil || report.Runs[1].Outcome != "success" || *report.Runs[1].ExitCode != 0 || report.Runs[0].TotalSeconds <= 0 {
		t.Errorf("the report is %s", stdout)
	}
	if payloads, _ := filepath.Glob(f.file("payload.*")); len(payloads) != 2 {
		t.Errorf("%d different jobs, want 2", len(payloads))
	}
	if got := strings.Join(*pulled, " "); got != "golang:1.26 redis" {
		t.Errorf("pulled %s", got)
	}
	for _, want := range []string{"uncommitted changes are not part of the run", "what tags say of this job", "=== run 2 of 2: get_sources", "log of build_script", "overhead"} {
		if !strings.Contains(stderr.String(), want) {
			t.Errorf("the progress lacks %q:\n%s", want, stderr)
		}
	}
	if got := f.env("prepare", "CUSTOM_ENV_SSL_CERT_FILE"); got != "/try/ca.pem" {
		t.Errorf("SSL_CERT_FILE is %s", got)
	}
	s, err := settings.Load(f.file("settings"))
	if err != nil {
		t.Fatal(err)
	}
	if s.Docker.HelperImage != "golang:1.26" || !strings.HasSuffix(s.Docker.Volumes[0], "/repo.git:/try/repo.git:ro") ||
		!strings.HasSuffix(s.Docker.Volumes[1], "/ca.pem:/try/ca.pem:ro") || s.StateDir == settings.Default().StateDir {
		t.Errorf("the stages' settings are %+v", s)
	}
	if left, _ := os.ReadDir(temp); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestAJobThatFailsFailsTheTry(t *testing.T) {
	t.Parallel()
	f := newFake(t, `[ $stage != build_script ] || { echo 7 > $BUILD_EXIT_CODE_FILE; exit 1; }`)
	o, stdout, _, _ := f.options(newRepo(t, map[string]string{"a": "b"}))
	o.Image, o.Script, o.StateDir = "golang:1.26", []string{"go vet", "go test"}, filepath.Join(t.TempDir(), "state")
	if err := Run(context.Background(), o); !errors.Is(err, ErrJobFailed) {
		t.Errorf("the error is %v", err)
	}
	for _, want := range []string{"build_script", "script_failed", "7", "total"} {
		if !strings.Contains(stdout.String(), want) {
			t.Errorf("the table lacks %q:\n%s", want, stdout)
		}
	}
	if _, err := os.Stat(o.StateDir); err != nil {
		t.Error("the state that was to be kept is gone")
	}
}

func TestASignalEndsTheTryAndSkipsWhatRunsAreLeft(t *testing.T) {
	t.Parallel()
	f := newFake(t, `[ $stage != build_script ] || { trap 'exit 2' TERM; touch $here/started; sleep 300 & wait; }`)
	o, stdout, stderr, _ := f.options(newRepo(t, map[string]string{"a": "b"}))
	o.Image, o.Script, o.Runs, o.JSON = "golang:1.26", []string{"x"}, 3, true
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	done := make(chan error, 1)
	go func() { done <- Run(ctx, o) }()
	waitFor(t, f.file("started"))
	cancel(errInterrupted)
	if err := <-done; !errors.Is(err, ErrJobFailed) {
		t.Errorf("the error is %v", err)
	}
	var report Report
	if err := json.Unmarshal(stdout.Bytes(), &report); err != nil || len(report.Runs) != 1 || report.Runs[0].Outcome != outcome.Canceled {
		t.Errorf("the report is %s\n%s", stdout, stderr)
	}
}

func TestASignalBeforeTheFirstRun(t *testing.T) {
	t.Parallel()
	f := newFake(t, "")
	o, _, _, _ := f.options(newRepo(t, map[string]string{"a": "b"}))
	o.Image, o.Script = "golang:1.26", []string{"x"}
	ctx, cancel := context.WithCancelCause(context.Background())
	o.Pull = func(ctx context.Context, _ string, _ io.Writer) error { cancel(errInterrupted); return ctx.Err() }
	if err := Run(ctx, o); err == nil || !strings.Contains(err.Error(), "nothing was run: interrupted by a signal") || f.calls() != "" {
		t.Errorf("the error is %v after %q", err, f.calls())
	}
}

func TestAnImageThatCannotBePulledIsLeftToPrepareToExplain(t *testing.T) {
	t.Parallel()
	f := newFake(t, `[ $stage != prepare ] || { echo "docker: no such image" >&2; exit 1; }`)
	o, stdout, stderr, _ := f.options(newRepo(t, map[string]string{"a": "b"}))
	o.Image, o.Script = "nothing:here", []string{"x"}
	o.Pull = func(context.Context, string, io.Writer) error { return errors.New("no such image") }
	err := Run(context.Background(), o)
	if !errors.Is(err, ErrJobFailed) || !strings.Contains(stdout.String(), "job_invalid") || !strings.Contains(stderr.String(), "note: the image nothing:here could not be got ready") {
		t.Errorf("%v\n%s%s", err, stdout, stderr)
	}
}

func TestWhatCannotBeTriedIsSaidBeforeAnyRun(t *testing.T) {
	t.Parallel()
	bare := map[string]string{"a": "b"}
	two := map[string]string{".gitlab-ci.yml": "a: {script: x}\nb: {script: x, image: y}\n"}
	cases := map[string]struct {
		files  map[string]string
		change func(*Options)
		want   []string
	}{
		"no .gitlab-ci.yml":        {bare, func(*Options) {}, []string{"there is no .gitlab-ci.yml at commit", "of try/app", "--image IMAGE"}},
		"several jobs":             {two, func(*Options) {}, []string{"name one with --job", "a, b"}},
		"no such job":              {two, func(o *Options) { o.Job = "c" }, []string{"--job c", "a, b"}},
		"no image":                 {two, func(o *Options) { o.Job = "a" }, []string{"the job a names no image", "--image"}},
		"a script without image":   {bare, func(o *Options) { o.Script = []string{"x"} }, []string{"names no image", "--image"}},
		"a script and a job":       {two, func(o *Options) { o.Script, o.Job = []string{"x"}, "a" }, []string{"--job and --script exclude each other"}},
		"bad numbers, all at once": {bare, func(o *Options) { o.Runs, o.Timeout, o.Variables = 0, 0, []string{"A"} }, []string{"--runs is 0", "--timeout is 0s", `--variable "A"`}},
		"a CA file that is none":   {two, func(o *Options) { o.Job, o.CAFile = "b", "/dev/null" }, []string{"/dev/null (SSL_CERT_FILE or --ca-file) holds no certificate"}},
		"a CA file that is not":    {two, func(o *Options) { o.Job, o.CAFile = "b", "/nowhere.pem" }, []string{"SSL_CERT_FILE or --ca-file", "cannot be read"}},
		"no place for the state":   {two, func(o *Options) { o.Job, o.StateDir = "b", "/dev/null/x" }, []string{"--state-dir cannot be made"}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFake(t, "")
			o, _, _, _ := f.options(newRepo(t, c.files))
			c.change(o)
			err := Run(context.Background(), o)
			if err == nil || errors.Is(err, ErrJobFailed) || f.calls() != "" {
				t.Fatalf("the error is %v after %q", err, f.calls())
			}
			for _, want := range c.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("the error lacks %q: %v", want, err)
				}
			}
		})
	}
}
