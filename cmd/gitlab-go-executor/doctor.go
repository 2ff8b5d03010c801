package main

import (
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/spf13/cobra"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/executor/doctor"
)

const doctorHelp = `Check this host: the settings, the state directory, the kernel and its tools, Docker, the store, GitLab Runner and its config.toml, serve.
Each line says what is so; below one that is not as it should be is what remedies it. What cannot be checked before something else is right says so.

It ends with 1 if something is wrong, and with 0 if there are warnings at most. Run it as root, as GitLab Runner runs this program. What it
writes to the state directory, Docker and the store it takes away again; folders that are not there yet, such as the state directory, are made.`

const doctorExamples = `  sudo gitlab-go-executor doctor
  sudo gitlab-go-executor doctor --config /etc/gitlab-go-executor/runner-2.toml --json`

// newDoctorCommand is doctor. configPath is the persistent flag --config.
func newDoctorCommand(configPath *string) *cobra.Command {
	var runnerConfig string
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "doctor",
		Short:   "Check this host, and say what remedies what is wrong",
		Long:    doctorHelp,
		Example: doctorExamples,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			program, err := os.Executable()
			if err != nil {
				return fmt.Errorf("this program cannot find itself: %w", err)
			}
			config, err := filepath.Abs(*configPath) // as the Runner has to name it
			if err != nil {
				return err
			}
			ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			found := doctor.Run(ctx, doctor.Options{Config: config, DefaultConfig: defaultConfig, RunnerConfig: runnerConfig, Program: program, Version: version})
			show := doctor.Print
			if asJSON {
				show = doctor.PrintJSON
			}
			if err := show(cmd.OutOrStdout(), found); err != nil {
				return err
			}
			if faults, _ := doctor.Count(found); faults > 0 {
				return &exitError{1}
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&runnerConfig, "runner-config", "/etc/gitlab-runner/config.toml", "GitLab Runner's config.toml")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	return cmd
}
