package try

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/executor/settings"
)

// Options say what to run. The fields that are flags of the command have its defaults where noted; no other is filled in.
type Options struct {
	Repo        string   // folder or URL of a git repository
	Ref         string   // branch, tag or commit; "HEAD" is what is checked out
	Job         string   // of .gitlab-ci.yml; not needed if there is one only
	Image       string   // instead of the job's
	Script      []string // instead of .gitlab-ci.yml
	Variables   []string // KEY=VALUE
	Unprotected bool     // the ref is no protected one
	Runs        int      // one after the other, at least 1
	FreshHost   bool     // before each run but the first, all that the host has of the caches goes; the store keeps its own
	StateDir    string   // kept between tries; empty means one for this try alone
	CAFile      string   // CA certificates for the job; empty means none
	Timeout     time.Duration
	JSON        bool

	// Settings are the administrator's; Configured says that they come from a file. If they do not, the job's image is
	// the helper image too, so that no other one has to be pulled.
	Settings   *settings.Settings
	Configured bool
	// Program is the stage commands' program with the arguments that stand before the stage's name. Run appends
	// --config with settings of its own.
	Program []string
	// Pull brings an image to this host if it is not there.
	Pull func(ctx context.Context, image string, progress io.Writer) error

	Getenv func(string) string
	Stdout io.Writer       // the report
	Stderr io.Writer       // progress, and the jobs' logs
	Kill   <-chan struct{} // kills the stage that the end of the context has not ended; see Interruptible
}

// ErrJobFailed says that the stages did what they should and a job did not succeed. The report has told it already.
var ErrJobFailed = errors.New("the job did not succeed")

// Run tries the job and prints the report. It is ErrJobFailed if any run ended other than with success, another error if
// nothing could be tried. Nothing is left on the host but what is in StateDir.
func Run(ctx context.Context, o *Options) (err error) {
	if err := o.check(); err != nil {
		return err
	}
	folder, err := os.MkdirTemp("", "gitlab-go-executor-try-")
	if err != nil {
		return fmt.Errorf("there is no place for the files of a try (TMPDIR names another one): %w", err)
	}
	defer func() {
		left := removeFolder(folder)
		if err == nil {
			err = left
		} else if left != nil { // the first error decides about the exit status, and not every one is printed
			fmt.Fprintln(o.Stderr, "note:", left)
		}
	}()
	if folder, err = filepath.EvalSymlinks(folder); err != nil { // as the kernel names what is mounted below
		return err
	}
	if strings.Contains(folder, ":") {
		return fmt.Errorf("TMPDIR is %s: name a folder without a colon, for Docker cannot mount from this one", os.TempDir())
	}
	p, err := o.plan(ctx, folder)
	if err != nil {
		return err
	}
	config, err := o.prepareHost(ctx, p, folder)
	if err != nil {
		return err
	}
	report := newReport(o.runs(ctx, p, folder, config))
	if len(report.Runs) == 0 {
		return fmt.Errorf("nothing was run: %w", context.Cause(ctx))
	}
	if err := report.print(o.Stdout, o.Stderr, o.JSON); err != nil {
		return err
	}
	if report.failed() {
		return ErrJobFailed
	}
	return nil
}

// check finds what is wrong with the options themselves, all at once.
func (o *Options) check() error {
	var problems []error
	if o.Runs < 1 {
		problems = append(problems, fmt.Errorf("--runs is %d, want 1 or more", o.Runs))
	}
	if o.Timeout < time.Second {
		problems = append(problems, fmt.Errorf("--timeout is %s, want a second or more, such as 30m", o.Timeout))
	}
	_, err := parseVariables(o.Variables)
	return errors.Join(append(problems, err)...)
}

// plan copies the repository and reads the job.
func (o *Options) plan(ctx context.Context, folder string) (*plan, error) {
	source, err := copySource(ctx, o.Repo, o.Ref, filepath.Join(folder, "repo.git"))
	if err != nil {
		return nil, err
	}
	if err := readable(source.bare); err != nil {
		return nil, err
	}
	spec, err := readJob(func() ([]byte, error) { return source.jobFile(ctx) }, o)
	if err != nil {
		return nil, err
	}
	given, err := parseVariables(o.Variables)
	if err != nil {
		return nil, err
	}
	p := &plan{
		source: source, spec: spec, host: fromHost(hostGoEnv(ctx, o.Getenv), o.Getenv), given: given,
		protected: !o.Unprotected, timeout: o.Timeout,
	}
	if o.CAFile != "" {
		if err := copyCA(o.CAFile, filepath.Join(folder, "ca.pem")); err != nil {
			return nil, err
		}
		p.host.set("SSL_CERT_FILE", caInJob)
	}
	fmt.Fprintf(o.Stderr, "job %s of %s, %s %s at %s\n", spec.Name, source.project, source.refType, source.ref, source.sha[:8])
	if source.dirty {
		fmt.Fprintln(o.Stderr, "note: uncommitted changes are not part of the run")
	}
	if len(spec.Ignored) > 0 {
		fmt.Fprintf(o.Stderr, "note: what %s say of this job has no effect here\n", strings.Join(spec.Ignored, ", "))
	}
	err = p.check(o.Settings.Docker.Image)
	return p, err
}

// prepareHost writes the settings of the stage commands, whose file it returns, and gets the images ready, so that no
// run is slower than another for the sake of a registry.
func (o *Options) prepareHost(ctx context.Context, p *plan, folder string) (string, error) {
	state := filepath.Join(folder, "state")
	if o.StateDir != "" {
		var err error
		if state, err = filepath.Abs(o.StateDir); err != nil {
			return "", err
		}
	}
	if err := os.MkdirAll(state, 0o700); err != nil {
		return "", fmt.Errorf("--state-dir cannot be made: %w", err)
	}
	volumes := []string{p.source.bare + ":" + bareInJob + ":ro"}
	if o.CAFile != "" {
		volumes = append(volumes, filepath.Join(folder, "ca.pem")+":"+caInJob+":ro")
	}
	helper := ""
	if !o.Configured {
		helper = p.payload(1).Image.Name
	}
	s := stageSettings(o.Settings, state, helper, volumes...)
	s.Log = settings.Log{Level: "info", Format: settings.FormatJSON, File: operatorLog(folder)}
	config := filepath.Join(folder, "settings.toml")
	if err := s.Write(config); err != nil {
		return "", err
	}
	idle := *s
	idle.LayerIdle = settings.Duration{Duration: time.Nanosecond}
	if err := idle.Write(idleSettings(config)); err != nil {
		return "", err
	}
	for _, image := range p.images(s) {
		if err := o.Pull(ctx, image, o.Stderr); err != nil && ctx.Err() == nil {
			// The job may have a login that we do not know of here. If not, prepare says what is wrong.
			fmt.Fprintf(o.Stderr, "note: the image %s could not be got ready before the first run: %v\n", image, err)
		}
	}
	return config, nil
}

// runs runs the job as often as asked for, until a signal comes.
func (o *Options) runs(ctx context.Context, p *plan, folder, config string) []Result {
	var runs []Result
	id := int64(0)
	for n := 1; n <= o.Runs && ctx.Err() == nil; n++ {
		id = max(id+1, time.Now().UnixMilli()) // also another than those of tries before this one
		j := &job{
			plan: p, id: id, title: fmt.Sprintf("run %d of %d", n, o.Runs), folder: folder, progress: o.Stderr,
			program: append(append([]string{}, o.Program...), "--config", config), kill: o.Kill, retry: prepareRetry,
		}
		if n > 1 && o.FreshHost {
			o.prune(ctx, config, folder, "--unused")
		}
		runs = append(runs, j.run(ctx))
	}
	if o.StateDir != "" { // what is mounted there would be in the way of whoever removes the folder
		o.prune(context.WithoutCancel(ctx), idleSettings(config), folder)
	}
	return runs
}

// prune tidies up the host between and after the runs.
func (o *Options) prune(ctx context.Context, config, folder string, flags ...string) {
	ctx, cancel := context.WithTimeout(ctx, pruneLimit)
	defer cancel()
	p := process{
		args: slices.Concat(o.Program, []string{"--config", config, "prune"}, flags), dir: folder, env: os.Environ(), stdout: io.Discard, stderr: o.Stderr,
	}
	if code, err := p.run(ctx, o.Kill); err != nil || code != 0 {
		fmt.Fprintf(o.Stderr, "note: prune ended with exit code %d %v\n", code, err)
	}
}

const pruneLimit = 5 * time.Minute

// idleSettings is the file beside the stage commands' settings in which no layer stays mounted that no job uses.
func idleSettings(config string) string { return config + ".idle" }
