// Command gitlab-go-executor is a custom executor for GitLab Runner that runs each job in Docker containers of its own, and
// the tools around it.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/executor/runner"
	"gitlab.com/gitlab-go-executor/gitlab-go-executor/executor/try"
)

// version is set by the Makefile.
var version = unversioned

const unversioned = "dev"

// defaultConfig is where the settings are when --config does not say.
const defaultConfig = "/etc/gitlab-go-executor/config.toml"

func main() { os.Exit(run()) }

// run is main with an exit code. The Runner's stages bring codes of their own (exitError).
func run() int {
	err := newRootCommand().ExecuteContext(context.Background())
	var exit *exitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &exit):
		return exit.code
	case errors.Is(err, try.ErrJobFailed):
		return 1
	}
	fmt.Fprintf(os.Stderr, "gitlab-go-executor: %v\n", err)
	// A mistake in the arguments is the administrator's, so Runner must not take it for the job's.
	return runner.ReadEnv(os.Environ()).SystemFailure
}

// exitError ends the process with a code, after everything has been said.
type exitError struct{ code int }

func (e *exitError) Error() string { return fmt.Sprintf("exit code %d", e.code) }

const groupStages = "stages"

func newRootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:           "gitlab-go-executor",
		Short:         "GitLab Runner custom executor for Go jobs in Docker",
		Version:       version,
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	config := root.PersistentFlags().String("config", defaultConfig, "settings file")
	root.AddGroup(&cobra.Group{ID: groupStages, Title: "Stages of a job, called by GitLab Runner:"})
	root.AddCommand(newStageCommands(config)...)
	_ = root.MarkPersistentFlagFilename("config", "toml") // it fails only for a flag that is not there
	root.AddCommand(newTryCommand(config), newPruneCommand(config), newServeCommand(config), newStatsCommand(config), newDoctorCommand(config), newImportCommand(config),
		newVersionCommand(), newManCommand(), newInsideCommand())
	return root
}
