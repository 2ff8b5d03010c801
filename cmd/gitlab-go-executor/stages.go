package main

import (
	"os"

	"github.com/spf13/cobra"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/executor"
	"gitlab.com/gitlab-go-executor/gitlab-go-executor/executor/runner"
)

// newStageCommands are the four commands that GitLab Runner calls (its config.toml: [runners.custom]).
func newStageCommands(config *string) []*cobra.Command {
	command := func(use, short string, args cobra.PositionalArgs, do func(executor.Call, []string) int) *cobra.Command {
		return &cobra.Command{
			Use: use, Short: short, Args: args, GroupID: groupStages,
			RunE: func(_ *cobra.Command, args []string) error {
				signals := executor.Signals()
				code := do(executor.Call{
					ConfigPath: *config, Version: version, Environ: os.Environ(), Signals: signals, Stdout: os.Stdout, Stderr: os.Stderr,
				}, args)
				return &exitError{code}
			},
		}
	}
	return []*cobra.Command{
		command("config", "Tell the Runner the paths inside the containers", cobra.NoArgs, func(c executor.Call, _ []string) int { return executor.Config(c) }),
		command("prepare", "Prepare a job's containers", cobra.NoArgs, func(c executor.Call, _ []string) int { return executor.Prepare(c) }),
		command("run SCRIPT STAGE", "Run one script of a job", cobra.ExactArgs(2), func(c executor.Call, args []string) int {
			return executor.Run(c, args[0], runner.Stage(args[1]))
		}),
		command("cleanup", "Remove what is left of a job", cobra.NoArgs, func(c executor.Call, _ []string) int { return executor.Cleanup(c) }),
	}
}
