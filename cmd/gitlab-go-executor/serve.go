package main

import (
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/executor"
)

// newServeCommand is serve. configPath is the persistent flag --config.
func newServeCommand(configPath *string) *cobra.Command {
	return &cobra.Command{
		Use:   "serve",
		Short: "Send what jobs have saved to the store, keep this host tidy and answer for metrics, until a signal comes",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			return executor.Serve(ctx, executor.Call{ConfigPath: *configPath, Version: version, Stdout: os.Stdout, Stderr: os.Stderr})
		},
	}
}
