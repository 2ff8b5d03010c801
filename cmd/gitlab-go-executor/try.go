package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"github.com/spf13/cobra"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/executor/docker"
	"gitlab.com/gitlab-go-executor/gitlab-go-executor/executor/settings"
	"gitlab.com/gitlab-go-executor/gitlab-go-executor/executor/try"
)

const tryHelp = `Run a job of a repository on this host as GitLab Runner would, without GitLab.

REPO is the folder of a git repository (default: the current one) or a URL. What its HEAD, or --ref, has committed is
built; nothing in the folder is changed. The job comes from .gitlab-ci.yml, or from --image and --script.

The jobs' logs go to standard error. The time of each stage goes to standard output; with --json, one object goes there
instead. The exit status is 0 if every run succeeded.`

const tryExamples = `  gitlab-go-executor try                                  # the only job of the repository here
  gitlab-go-executor try ~/src/app --job test --runs 2    # how much faster is the second time?
  gitlab-go-executor try https://gitlab.com/group/app.git --image golang:1.26 --script 'go test ./...'`

// newTryCommand is try. configPath is the persistent flag --config.
func newTryCommand(configPath *string) *cobra.Command {
	o := &try.Options{Getenv: os.Getenv}
	cmd := &cobra.Command{
		Use:     "try [REPO]",
		Short:   "Run a job of a repository without GitLab",
		Long:    tryHelp,
		Example: tryExamples,
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.Repo = "."
			if len(args) > 0 {
				o.Repo = args[0]
			}
			o.Stdout, o.Stderr = cmd.OutOrStdout(), cmd.ErrOrStderr()
			return runTry(cmd, o, *configPath)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&o.Ref, "ref", "HEAD", "branch, tag or commit to build")
	flags.StringVar(&o.Job, "job", "", "job of .gitlab-ci.yml; not needed if there is one only")
	flags.StringVar(&o.Image, "image", "", "image to use instead of the job's")
	flags.StringArrayVar(&o.Script, "script", nil, "command to run instead of a job of .gitlab-ci.yml; repeat it for more")
	flags.StringArrayVar(&o.Variables, "variable", nil, "KEY=VALUE for the job; repeat it for more")
	flags.BoolVar(&o.Unprotected, "unprotected", false, "run as a job of an unprotected branch or tag")
	flags.IntVar(&o.Runs, "runs", 1, "how many times to run the job, as separate jobs one after the other")
	flags.BoolVar(&o.FreshHost, "fresh-host", false, "drop what the host has of the caches before each run but the first, and keep the store")
	flags.StringVar(&o.StateDir, "state-dir", "", "folder for checkouts and caches, kept for further tries (default one that is removed)")
	flags.StringVar(&o.CAFile, "ca-file", "", "CA certificates for the job, in PEM format (default the file that SSL_CERT_FILE names)")
	flags.DurationVar(&o.Timeout, "timeout", time.Hour, "time limit of each run")
	flags.BoolVar(&o.JSON, "json", false, "print one JSON object alone on standard output")
	return cmd
}

// runTry completes the options with what is around the package try: settings, Docker, signals and this program itself.
func runTry(cmd *cobra.Command, o *try.Options, configPath string) error {
	if os.Geteuid() != 0 {
		return errors.New("try has to run as root, as GitLab Runner does with this executor: run it with sudo")
	}
	if !cmd.Flag("ca-file").Changed {
		o.CAFile = os.Getenv("SSL_CERT_FILE")
	}
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("this program cannot find itself to run the stages: %w", err)
	}
	o.Program = []string{self}
	if o.Settings, o.Configured, err = trySettings(configPath, cmd.Flag("config").Changed); err != nil {
		return err
	}
	o.Pull = func(ctx context.Context, image string, progress io.Writer) error {
		client, err := docker.Connect(ctx, o.Settings.Docker.Host)
		if err != nil {
			return err
		}
		defer client.Close()
		return client.EnsureImage(ctx, image, progress)
	}
	ctx, kill, stop := try.Interruptible(cmd.Context(), o.Stderr)
	defer stop()
	o.Kill = kill
	return try.Run(ctx, o)
}

// trySettings reads the settings; without a file where one need not be, they are the defaults. The second result says
// whether there was a file.
func trySettings(path string, asked bool) (*settings.Settings, bool, error) {
	if _, err := os.Stat(path); !asked && errors.Is(err, fs.ErrNotExist) {
		s := settings.Default()
		s.Log.Level = "warning" // nobody asked for an operator log, and it would be among the job's own
		return s, false, nil
	}
	s, err := settings.Load(path)
	return s, true, err
}
