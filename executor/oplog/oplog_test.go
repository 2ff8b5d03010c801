package oplog

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/sirupsen/logrus"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/executor/settings"
)

// start starts a log that the test expects to work, and returns it with what closes it.
func start(t *testing.T, cfg settings.Log, opts Options) (*logrus.Logger, io.Closer) {
	t.Helper()
	log, closer, err := New(cfg, opts)
	if err != nil {
		t.Fatal(err)
	}
	return log, closer
}

// finish closes a log.
func finish(t *testing.T, closer io.Closer) {
	t.Helper()
	if err := closer.Close(); err != nil {
		t.Fatal(err)
	}
}

// tempDir returns a folder as GitLab Runner makes it.
func tempDir(t *testing.T) string {
	t.Helper()
	folder := filepath.Join(t.TempDir(), "custom-executor1")
	if err := os.Mkdir(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	return folder
}

// read returns the lines of a file.
func read(t *testing.T, path string) []string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimSuffix(string(data), "\n"), "\n")
}

func text() settings.Log { return settings.Default().Log }

func TestTheStagesOfAJobTellTheOperatorAtCleanup(t *testing.T) {
	t.Parallel()
	folder := tempDir(t)
	queue := filepath.Join(folder, queueName)
	var jobLog, runnerLog bytes.Buffer
	for _, stage := range []string{"config", "prepare", "run"} {
		log, closer := start(t, text(), Options{Mode: Queue, TempDir: folder, Stderr: &jobLog})
		log.WithFields(logrus.Fields{FieldJob: "17", FieldStage: stage}).Info("begins")
		finish(t, closer)
	}
	if info, err := os.Stat(queue); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the queue is for its owner only: %v, %v", info, err)
	}
	log, closer := start(t, text(), Options{Mode: Flush, TempDir: folder, Stderr: &runnerLog})
	log.WithFields(logrus.Fields{FieldJob: "17", FieldStage: "cleanup", FieldOutcome: "script_failed"}).Warn("over")
	finish(t, closer)

	if jobLog.Len() > 0 {
		t.Errorf("in the job log: %s", jobLog.String())
	}
	lines := strings.Split(strings.TrimSpace(runnerLog.String()), "\n")
	want := []string{"stage=config", "stage=prepare", "stage=run", "outcome=script_failed stage=cleanup"}
	if len(lines) != len(want) {
		t.Fatalf("got %d lines, want %d:\n%s", len(lines), len(want), runnerLog.String())
	}
	for i := range want {
		if !strings.HasSuffix(lines[i], want[i]) || !strings.Contains(lines[i], "job=17") {
			t.Errorf("got %s, want …%s", lines[i], want[i])
		}
	}
	if _, err := os.Stat(queue); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the queue is still there: %v", err)
	}
}

func TestARunStageThatOutlivesTheStartOfCleanupIsHeard(t *testing.T) {
	t.Parallel()
	folder := tempDir(t)
	var runnerLog bytes.Buffer
	run, runCloser := start(t, text(), Options{Mode: Queue, TempDir: folder})
	run.Info("canceled")
	cleanup, closer := start(t, text(), Options{Mode: Flush, TempDir: folder, Stderr: &runnerLog})
	cleanup.Info("removing")
	run.Info("containers are gone")
	finish(t, runCloser)
	finish(t, closer)
	var order []string
	for line := range strings.Lines(runnerLog.String()) {
		_, message, _ := strings.Cut(strings.TrimSpace(line), "msg=")
		order = append(order, message)
	}
	if got, want := strings.Join(order, " "), `canceled removing "containers are gone"`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestCleanupOfAJobThatNeverBegan(t *testing.T) {
	t.Parallel()
	var runnerLog bytes.Buffer
	_, closer := start(t, text(), Options{Mode: Flush, TempDir: tempDir(t), Stderr: &runnerLog})
	finish(t, closer)
	if runnerLog.Len() > 0 {
		t.Errorf("nothing happened, yet the log says %s", runnerLog.String())
	}
}

func TestALineThatAKilledStageLeftUnfinishedStaysALineOfItsOwn(t *testing.T) {
	t.Parallel()
	folder := tempDir(t)
	if err := os.WriteFile(filepath.Join(folder, queueName), []byte("time=1 msg=a\ntime=2 ms"), 0o600); err != nil {
		t.Fatal(err)
	}
	var runnerLog bytes.Buffer
	log, closer := start(t, text(), Options{Mode: Flush, TempDir: folder, Stderr: &runnerLog})
	log.Info("next")
	finish(t, closer)
	if got := runnerLog.String(); !strings.HasPrefix(got, "time=1 msg=a\ntime=2 ms\ntime=") || strings.Count(got, "\n") != 3 {
		t.Errorf("got %q", got)
	}
}

func TestACommandForPeopleWritesToStandardError(t *testing.T) {
	t.Parallel()
	var stderr bytes.Buffer
	log, closer := start(t, text(), Options{Stderr: &stderr})
	log.Debug("not at this level")
	log.Info("serving")
	finish(t, closer)
	if got := stderr.String(); !strings.HasSuffix(got, " level=info msg=serving\n") || strings.Count(got, "\n") != 1 {
		t.Errorf("got %q", got)
	}
}

func TestAFileTakesTheLinesOfEveryStage(t *testing.T) {
	t.Parallel()
	folder := tempDir(t)
	var stderr bytes.Buffer
	if err := os.WriteFile(filepath.Join(folder, queueName), []byte("queued before the file was set\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg := text()
	cfg.File = filepath.Join(t.TempDir(), "executor.log")
	for _, mode := range []Mode{Direct, Queue, Flush} {
		log, closer := start(t, cfg, Options{Mode: mode, TempDir: folder, Stderr: &stderr})
		log.Info("here")
		finish(t, closer)
	}
	if lines := read(t, cfg.File); len(lines) != 4 || lines[2] != "queued before the file was set" {
		t.Errorf("got %q", lines)
	}
	if stderr.Len() > 0 {
		t.Errorf("also on standard error: %s", stderr.String())
	}
	if info, err := os.Stat(cfg.File); err != nil || info.Mode().Perm()&^0o640 != 0 {
		t.Errorf("got mode %v, %v, want at most 0640", info.Mode(), err)
	}
}

func TestTheFileMayBeRotatedUnderARunningCommand(t *testing.T) {
	t.Parallel()
	cfg := text()
	cfg.File = filepath.Join(t.TempDir(), "executor.log")
	log, closer := start(t, cfg, Options{})
	log.Info("old")
	if err := os.Rename(cfg.File, cfg.File+".1"); err != nil {
		t.Fatal(err)
	}
	log.Info("new")
	finish(t, closer)
	if lines := read(t, cfg.File); len(lines) != 1 || !strings.HasSuffix(lines[0], "msg=new") {
		t.Errorf("got %q", lines)
	}
}

func TestLinesOfSeveralJobsAtATimeStayWhole(t *testing.T) {
	t.Parallel()
	const jobs, lines = 8, 100
	cfg := text()
	cfg.Format = settings.FormatJSON
	cfg.File = filepath.Join(t.TempDir(), "executor.log")
	var group sync.WaitGroup
	for range jobs {
		group.Go(func() {
			log, closer := start(t, cfg, Options{}) // each opens the file for itself, as processes do
			for range lines {
				log.WithField(FieldReason, strings.Repeat("long ", 200)).Info("line")
			}
			finish(t, closer)
		})
	}
	group.Wait()
	got := read(t, cfg.File)
	if len(got) != jobs*lines {
		t.Errorf("got %d lines, want %d", len(got), jobs*lines)
	}
	for _, line := range got {
		if !json.Valid([]byte(line)) {
			t.Fatalf("torn: %s", line)
		}
	}
}

func TestWhatALogCannotBe(t *testing.T) {
	t.Parallel()
	shared := tempDir(t)
	if err := os.Chmod(shared, 0o777|os.ModeSticky); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "no", "such", "folder", "executor.log")
	for name, test := range map[string]struct {
		cfg  settings.Log
		opts Options
		want string
	}{
		"a level of nobody's":      {settings.Log{Level: "loud", Format: "text"}, Options{}, `log.level = "loud"`},
		"a format of nobody's":     {settings.Log{Level: "info", Format: "xml"}, Options{}, `log.format = "xml": allowed are text, json`},
		"a file without a folder":  {settings.Log{Level: "info", Format: "text", File: file}, Options{}, "create its folder, or name another file"},
		"a stage started by hand":  {text(), Options{Mode: Queue}, `TMPDIR = "" cannot hold the operator log: not an absolute path`},
		"a folder that others use": {text(), Options{Mode: Queue, TempDir: shared}, "not a folder that only its owner can write to"},
		"a folder that is gone":    {text(), Options{Mode: Flush, TempDir: filepath.Join(shared, "gone")}, "no such file"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, _, err := New(test.cfg, test.opts); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want …%s…", err, test.want)
			}
		})
	}
}

func TestAWriteThatFailsIsToldAtTheEndAndNotInTheJobLog(t *testing.T) {
	t.Parallel()
	folder := tempDir(t)
	log, closer := start(t, text(), Options{Mode: Queue, TempDir: folder})
	if err := os.RemoveAll(folder); err != nil {
		t.Fatal(err)
	}
	log.Info("into the void")
	if err := closer.Close(); !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), "the operator log is incomplete") {
		t.Errorf("got %v", err)
	}
}
