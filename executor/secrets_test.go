package executor

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/stats"
	"gitlab.com/gitlab-go-executor/gitlab-go-executor/executor/docker"
	"gitlab.com/gitlab-go-executor/gitlab-go-executor/executor/outcome"
)

// secretHost is a host whose settings hold secrets, and a job of it whose image's name has one. It gives what the Runner tells the stages.
func secretHost(t *testing.T) (call Call, log func() string) {
	t.Helper()
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	config := file("config.toml", "state_dir = \""+dir+"/state\"\n[cache]\nsigning_key = \"signing-key-signing-key-signing-key\"\n[stats]\n"+
		"push_gateway = \"http://pusher:push-secret@example.com\"\n[stats.traces]\nheaders = { Authorization = \"Bearer header-secret\" }\n[log]\nfile = \""+dir+"/log\"\n")
	payload, err := json.Marshal(map[string]any{
		"id": 1, "token": "job-secret", "job_info": map[string]any{"project_id": 42}, "git_info": map[string]any{"ref": "main", "repo_url": "https://gitlab.example.com/a/b.git"},
		"variables": []map[string]any{{"key": "MASKED", "value": "masked-secret", "masked": true}, {"key": "GO", "value": "1.26-bookworm"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	call = Call{
		ConfigPath: config, Stdout: &bytes.Buffer{}, Stderr: &bytes.Buffer{},
		Environ: []string{"TMPDIR=" + dir, "JOB_RESPONSE_FILE=" + file("job.json", string(payload)), "BUILD_EXIT_CODE_FILE=" + dir + "/code"},
	}
	return call, func() string {
		text, err := os.ReadFile(filepath.Join(dir, "log"))
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
}

// told is what a server may say that repeats what it was sent: the password by itself, and as the header has it.
const told = "no: push-secret cHVzaGVyOnB1c2gtc2VjcmV0 header-secret signing-key-signing-key-signing-key"

func masksAll(t *testing.T, log string) {
	t.Helper()
	if !strings.Contains(log, "no: [MASKED] [MASKED] [MASKED] [MASKED]") {
		t.Errorf("the operator log says\n%s", log)
	}
}

func TestTheOperatorLogMasksTheSettingsSecrets(t *testing.T) {
	t.Parallel()
	call, log := secretHost(t)
	j, done, err := openHost(t.Context(), call, "serve", false)
	if err != nil {
		t.Fatal(err)
	}
	j.log.WithError(errors.New(told)).Warn("not all traces were sent")
	done()
	masksAll(t, log())

	call, log = secretHost(t)
	runStage(call, stagePrepare, func(*job) error { return outcome.System(outcome.Bug, "%w", errors.New(told)) })
	masksAll(t, log())
}

func TestTheLedgerHasNothingThatTheJobLogMasks(t *testing.T) {
	t.Parallel()
	call, _ := secretHost(t)
	code := runStage(call, stagePrepare, func(j *job) error {
		dir := filepath.Join(t.TempDir(), "job")
		made, err := createStore(dir, Record{})
		if err != nil {
			return err
		}
		made.masked = j.masked
		err = made.update(func(r *Record) {
			r.Image = docker.Image{Ref: "registry.example.com/masked-secret/golang:1.26-bookworm"}
			r.Row.Image = r.Image.Ref
			r.Row.Detail.Problems = []string{"masked-secret is gone"}
		})
		if err != nil {
			return err
		}
		read, err := openStore(dir)
		if err != nil {
			return err
		}
		row := read.get().Row
		want := stats.Job{Image: "registry.example.com/[MASKED]/golang:1.26-bookworm", Detail: stats.Detail{Problems: []string{"[MASKED] is gone"}}}
		if row.Image != want.Image || row.Detail.Problems[0] != want.Detail.Problems[0] {
			t.Errorf("the row has %q and %q", row.Image, row.Detail.Problems)
		}
		if image := read.get().Image.Ref; image != "registry.example.com/masked-secret/golang:1.26-bookworm" {
			t.Errorf("the job itself would have %s", image)
		}
		return nil
	})
	if code != 0 {
		t.Error(code)
	}
}
