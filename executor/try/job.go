package try

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/executor/outcome"
)

// Runner's numbers (common/consts.go).
const (
	prepareAttempts = 3
	prepareRetry    = 3 * time.Second
	afterLimit      = 5 * time.Minute
)

// cleanupLimit bounds cleanup, which goes on when everything else is stopped.
const cleanupLimit = 10 * time.Minute

// job is one run of the plan.
type job struct {
	*plan
	id       int64
	title    string    // for the headers
	program  []string  // the stage commands' program, with the arguments that stand before the stage
	folder   string    // of the host, for the folders of attempts
	progress io.Writer // headers and the job's log
	kill     <-chan struct{}
	retry    time.Duration // between two attempts

	ends     []ended // of the last attempt
	seconds  map[string]float64
	sources  time.Time // get_sources has ended
	toScript firstLine
}

// run goes through the life of a job (common/build.go, Run): prepare until that succeeds, the stages, and after each
// attempt cleanup, whatever happened.
func (j *job) run(ctx context.Context) Result {
	start := time.Now()
	j.seconds = map[string]float64{}
	ctx, cancel := context.WithTimeoutCause(ctx, j.timeout, outcome.ErrTimedOut)
	defer cancel()
	var stopped error
	for n := 1; ; n++ {
		j.ends = nil
		a, err := j.attempt()
		if err != nil {
			j.fail(stagePrepare, err)
			break
		}
		last := a.prepare(ctx)
		if last.code == 0 {
			a.stages(ctx)
		}
		stopped = context.Cause(ctx)
		a.cleanup(ctx)
		if stopped != nil || !again(last) || n == prepareAttempts {
			break
		}
		j.say("preparing failed, trying again in %s", j.retry)
		select {
		case <-time.After(j.retry):
		case <-ctx.Done():
		}
		if stopped = context.Cause(ctx); stopped != nil {
			break
		}
	}
	result, code := verdict(j.ends, stopped)
	return Result{JobID: j.id, TotalSeconds: seconds(start), Stages: j.seconds, ExitCode: code, Outcome: result, Caches: j.caches()}
}

// caches reads what the stages told of the job's caches, and passes on what they warned of.
func (j *job) caches() Caches {
	lines, err := readLog(j.folder, j.id)
	if err != nil {
		j.say("%v", err)
	}
	for _, l := range lines {
		if l.Level == "warning" || l.Level == "error" {
			j.say("%s: %s %s", l.Level, l.Message, l.Error)
		}
	}
	c := caches(lines)
	if !j.sources.IsZero() && !j.toScript.seen.IsZero() {
		c.ToScriptSeconds = new(float64(j.toScript.seen.Sub(j.sources).Milliseconds()) / 1000)
	}
	return c
}

func (j *job) say(format string, args ...any) {
	fmt.Fprintf(j.progress, "\x1b[0;36m=== %s: %s\x1b[0;m\n", j.title, fmt.Sprintf(format, args...))
}

// fail records that a stage could not even be called.
func (j *job) fail(stage string, err error) {
	j.say("%s: %v", stage, err)
	j.ends = append(j.ends, ended{stage: stage, code: systemFailure})
}

// attempt is one attempt at the job, with files of its own: Runner makes a new executor for each.
type attempt struct {
	*job
	dir        string // TMPDIR and working folder of the stage commands
	payload    string
	exitFile   string
	projectDir string            // empty until config has told where builds are
	jobEnv     map[string]string // from config
	status     string            // CI_JOB_STATUS
}

func (j *job) attempt() (*attempt, error) {
	dir, err := os.MkdirTemp(j.folder, "custom-executor")
	if err != nil {
		return nil, err
	}
	a := &attempt{job: j, dir: dir, payload: filepath.Join(dir, "response.json"), exitFile: filepath.Join(dir, "build_exit_code"), status: "running"}
	return a, writeJSON(a.payload, j.plan.payload(j.id))
}

// prepare calls config and prepare, and tells how the last of them that was called ended.
func (a *attempt) prepare(ctx context.Context) ended {
	var stdout limitedBuffer
	last := a.call(ctx, stageConfig, &stdout, nil)
	if last.code == 0 {
		if err := a.configure(stdout.kept); err != nil {
			a.fail(stageConfig, err)
			return a.ends[len(a.ends)-1]
		}
		last = a.call(ctx, stagePrepare, a.progress, nil)
	}
	return last
}

// stages calls run for each stage of the job. What a failure leaves out is Runner's choice (common/build.go,
// executeScript): no stage at all after prepare_script, no script after get_sources.
func (a *attempt) stages(ctx context.Context) {
	skip := false
	for _, stage := range a.plan.stages() {
		if ctx.Err() != nil {
			return
		}
		if skip && stage != stageCleanFiles {
			continue
		}
		e := a.stage(ctx, stage)
		switch {
		case stage == stageScript:
			a.status = status(e, context.Cause(ctx))
		case e.code != 0 && stage == stagePrepareFiles:
			return
		case e.code != 0:
			skip = true
		}
	}
}

// stage writes the script of one stage and calls run with it.
func (a *attempt) stage(ctx context.Context, stage string) ended {
	if stage == stageAfter {
		limited, cancel := context.WithTimeout(ctx, afterLimit)
		defer cancel()
		ctx = limited
	}
	file, err := a.writeScript(stage)
	if err != nil {
		a.fail(stage, err)
		return a.ends[len(a.ends)-1]
	}
	out := a.progress
	if stage == stageScript {
		out = io.MultiWriter(watcher(a.toScript.look), a.progress)
	}
	e := a.call(ctx, "run", out, []string{file, stage})
	if stage == stageSources {
		a.sources = time.Now()
	}
	return e
}

// watcher sees what is written.
type watcher func(p []byte)

// Write implements io.Writer.
func (w watcher) Write(p []byte) (int, error) {
	w(p)
	return len(p), nil
}

// writeScript puts the script where Runner does (executors/custom/custom.go, Run).
func (a *attempt) writeScript(stage string) (string, error) {
	text, err := a.stageText(stage, a.projectDir, a.variables(a.id, a.projectDir).withStatus(a.status))
	if err != nil {
		return "", err
	}
	dir, err := os.MkdirTemp(a.dir, "script")
	if err != nil {
		return "", err
	}
	file := filepath.Join(dir, "script")
	return file, os.WriteFile(file, []byte(text), 0o700)
}

// cleanup calls cleanup, which nothing stops but its limit, and removes the attempt's files.
func (a *attempt) cleanup(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupLimit)
	defer cancel()
	a.call(ctx, stageCleanup, a.progress, nil)
	if err := os.RemoveAll(a.dir); err != nil {
		a.say("the files of this attempt could not be removed: %v", err)
	}
}

// call calls one stage command and records its end and its time.
func (a *attempt) call(ctx context.Context, command string, stdout io.Writer, args []string) ended {
	stage := command
	if len(args) > 0 {
		stage = args[len(args)-1]
	}
	a.say("%s", stage)
	start := time.Now()
	p := process{
		args: append(append(append([]string{}, a.program...), command), args...),
		dir:  a.dir, env: a.environment(), stdout: stdout, stderr: a.progress,
	}
	code, err := p.run(ctx, a.kill)
	a.seconds[stage] += seconds(start)
	if err != nil {
		a.say("%s could not be started: %v", stage, err)
	} else if code != 0 {
		a.say("%s ended with exit code %d", stage, code)
	}
	e := ended{stage: stage, code: code, told: a.told()}
	a.ends = append(a.ends, e)
	return e
}
