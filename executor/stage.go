package executor

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/sirupsen/logrus"

	cachestore "gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/store"
	"gitlab.com/gitlab-go-executor/gitlab-go-executor/executor/oplog"
	"gitlab.com/gitlab-go-executor/gitlab-go-executor/executor/outcome"
	"gitlab.com/gitlab-go-executor/gitlab-go-executor/executor/runner"
	"gitlab.com/gitlab-go-executor/gitlab-go-executor/executor/settings"
)

// Call is one call of Runner: everything that a stage takes from outside.
type Call struct {
	ConfigPath     string
	Version        string
	Environ        []string         // as of os.Environ
	Signals        <-chan os.Signal // with which Runner stops a stage, held back from the start of the process (Signals)
	Stdout, Stderr io.Writer        // the job log, except in cleanup, whose output goes to Runner's own
}

// Names of Runner's four stages in the operator log.
const (
	stageConfig  = "config"
	stagePrepare = "prepare"
	stageCleanup = "cleanup"
)

// runStage does one stage and gives the code to exit with: it tells the user, the operator and Runner how it ended.
func runStage(call Call, stage string, do func(*job) error) int {
	began := time.Now()
	env := runner.ReadEnv(call.Environ)
	s, err := settings.Load(call.ConfigPath)
	if err != nil {
		s, err = settings.Default(), outcome.System(outcome.SettingsInvalid, "%w", err)
	}
	logger, closer := openLog(s.Log, stage, env.TempDir, call.Stderr)
	defer func() { _ = closer.Close() }()
	logger.AddHook(oplog.Redact(hostSecrets(s)))
	j := &job{
		call: call, env: env, settings: s, tree: tree(filepath.Clean(s.StateDir)), started: began,
		log: logger.WithField(oplog.FieldStage, stage),
	}
	j.caches = j.openCaches(context.Background())
	if err == nil {
		err = j.open()
	}
	if err == nil {
		err = do(j)
	}
	return j.report(stage, outcome.Of(err))
}

// openLog opens the operator log. That it cannot be written must not fail a job: the user of cleanup's standard error, which is
// the Runner's log, is told.
func openLog(cfg settings.Log, stage, tempDir string, stderr io.Writer) (*logrus.Logger, io.Closer) {
	mode := oplog.Queue
	if stage == stageCleanup {
		mode = oplog.Flush
	}
	logger, closer, err := oplog.New(cfg, oplog.Options{Mode: mode, TempDir: tempDir, Stderr: stderr})
	if err == nil {
		return logger, closer
	}
	if stage == stageCleanup {
		fmt.Fprintf(stderr, "gitlab-go-executor: %v\n", err)
	}
	logger = logrus.New()
	logger.SetOutput(io.Discard)
	return logger, io.NopCloser(nil)
}

// hostSecrets are the secrets of the host, as opposed to a job's: those of the settings and of proxies. A server that refuses something may repeat
// what it was sent.
func hostSecrets(s *settings.Settings) []string {
	all := slices.Clone(cachestore.ProxySecrets())
	for _, secret := range s.Secrets() {
		all = append(all, secret.Values...)
	}
	return all
}

// open reads the job from the payload.
func (j *job) open() error {
	payload, err := j.env.Payload()
	if err != nil {
		return err
	}
	j.payload, j.id = payload, payload.Identity()
	var fetched []string
	for name := range payload.Secrets {
		fetched = append(fetched, j.env.Variables[name])
	}
	j.log.Logger.AddHook(oplog.Redact(append(payload.SecretValues(), fetched...)))
	j.masked = oplog.Redact(append(payload.MaskedValues(), fetched...))
	j.log = j.log.WithFields(logrus.Fields{oplog.FieldJob: j.id.Job, oplog.FieldProject: j.id.Project})
	return nil
}

// report tells how the stage ended. A script's own exit code needs no words of ours in the job log.
func (j *job) report(stage string, f outcome.Failure) int {
	line := j.log.WithFields(logrus.Fields{
		oplog.FieldOutcome: f.Outcome, oplog.FieldReason: f.Reason, "seconds": time.Since(j.started).Round(time.Millisecond).Seconds(),
	})
	switch {
	case f.Outcome == outcome.Success:
		line.Debug("stage ended")
	case f.Reason == outcome.ExitCode:
		line.WithError(f.Err).Info("stage ended")
	default:
		line.WithError(f.Err).Warn("stage failed")
		j.sayError(stage, f)
	}
	code, err := j.env.ExitWith(f)
	if err != nil {
		line.WithError(err).Warn("exit code not told")
		fmt.Fprintf(j.call.Stderr, "WARNING: %v\n", err)
	}
	return code
}

// sayError shows a failure in the job log as Runner shows its own, each line marked. In cleanup standard error is Runner's
// log, where the operator's line is already.
func (j *job) sayError(stage string, f outcome.Failure) {
	if stage == stageCleanup {
		return
	}
	for line := range strings.Lines(f.Err.Error()) {
		fmt.Fprintf(j.call.Stderr, "\x1b[31;1mERROR: %s\x1b[0;m\n", strings.TrimRight(line, "\n"))
	}
}
