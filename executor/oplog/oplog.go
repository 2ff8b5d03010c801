// Package oplog is the operator log: what the executor tells those who run it, as opposed to the job log, which it
// tells those who use it.
//
// GitLab Runner sends the standard output and error of the stages config, prepare and run to the job log
// (executors/custom/custom.go), where operator lines have no place: they name hosts, paths and other people's jobs.
// Only cleanup's standard error goes to GitLab Runner's own log. So, unless the settings name a file, the early stages
// queue their lines in the job's temporary folder, and cleanup emits them.
package oplog

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/sirupsen/logrus"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/executor/settings"
)

// The fields of a line, where they are known.
const (
	FieldJob     = "job"
	FieldProject = "project"
	FieldStage   = "stage"
	FieldOutcome = "outcome"
	FieldReason  = "reason"
)

// Mode says where lines go as long as the settings name no file.
type Mode int

const (
	// Direct writes to standard error: for commands that people and service managers start.
	Direct Mode = iota
	// Queue leaves the lines to cleanup: for config, prepare and run.
	Queue
	// Flush writes to standard error, the queued lines first: for cleanup.
	Flush
)

// Options is what New needs besides the settings.
type Options struct {
	Mode Mode
	// TempDir is the folder that GitLab Runner makes for each attempt of a job and names in TMPDIR. Queue and Flush
	// need it. A folder that others can write to, such as /tmp, is refused: they could lead our lines astray.
	TempDir string
	// Stderr is standard error; nil means os.Stderr.
	Stderr io.Writer
}

// New returns the operator log. Close it at the end: in mode Flush that emits what a run stage that outlived its time
// has queued meanwhile, and in every mode it returns the first error of a write, as no write may say so on standard
// error.
func New(cfg settings.Log, opts Options) (*logrus.Logger, io.Closer, error) {
	level, err := logrus.ParseLevel(cfg.Level)
	if err != nil {
		return nil, nil, fmt.Errorf("log.level = %q: %w", cfg.Level, err)
	}
	format, err := formatter(cfg.Format)
	if err != nil {
		return nil, nil, err
	}
	if opts.Mode != Direct {
		if err := private(opts.TempDir); err != nil {
			return nil, nil, fmt.Errorf("TMPDIR = %q cannot hold the operator log: %w; GitLab Runner and `try` set it to a folder of the job's own", opts.TempDir, err)
		}
	}
	if opts.Stderr == nil {
		opts.Stderr = os.Stderr
	}
	out, err := open(cfg, opts)
	if err != nil {
		return nil, nil, err
	}
	log := logrus.New()
	log.SetOutput(out)
	log.SetLevel(level)
	log.SetFormatter(format)
	log.AddHook(Redact(nil)) // which also makes every field fit for both formats
	return log, out, nil
}

// open returns where the lines go.
func open(cfg settings.Log, opts Options) (*sink, error) {
	queue := filepath.Join(opts.TempDir, queueName)
	out := &sink{to: opts.Stderr}
	switch {
	case cfg.File != "":
		file := appender{path: cfg.File, mode: 0o640}
		if err := file.try(); err != nil {
			return nil, fmt.Errorf("log.file = %q: cannot append to it: %w; create its folder, or name another file", cfg.File, err)
		}
		out.to = file
	case opts.Mode == Queue:
		file := appender{path: queue, mode: 0o600}
		if err := file.try(); err != nil {
			return nil, fmt.Errorf("cannot queue the operator log: %w", err)
		}
		out.to = file
	}
	if opts.Mode == Flush {
		// Also with a file, which may have been set since the job began.
		out.queue = &drain{path: queue}
		out.emitQueue()
	}
	return out, nil
}

// private says why a folder is not one of the job's own.
func private(folder string) error {
	if !filepath.IsAbs(folder) {
		return errors.New("not an absolute path")
	}
	info, err := os.Stat(folder)
	if err != nil {
		return err
	}
	if !info.IsDir() || info.Mode().Perm()&0o022 != 0 {
		return fmt.Errorf("not a folder that only its owner can write to (%v)", info.Mode())
	}
	return nil
}

// formatter returns the form of a line. Colours and shortened times are for terminals, a log is read by programs.
func formatter(format string) (logrus.Formatter, error) {
	switch format {
	case settings.FormatText:
		return &logrus.TextFormatter{DisableColors: true, FullTimestamp: true, TimestampFormat: time.RFC3339}, nil
	case settings.FormatJSON:
		return &logrus.JSONFormatter{TimestampFormat: time.RFC3339, DisableHTMLEscape: true}, nil
	default:
		return nil, fmt.Errorf("log.format = %q: allowed are %s, %s", format, settings.FormatText, settings.FormatJSON)
	}
}
