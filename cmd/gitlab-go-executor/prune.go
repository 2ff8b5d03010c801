package main

import (
	"os"

	"github.com/spf13/cobra"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/executor"
)

// newPruneCommand is prune. configPath is the persistent flag --config.
func newPruneCommand(configPath *string) *cobra.Command {
	var unused bool
	cmd := &cobra.Command{
		Use:   "prune",
		Short: "Remove what killed jobs left on this host, and layers beyond its limits",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return executor.Prune(cmd.Context(), executor.Call{ConfigPath: *configPath, Version: version, Stdout: os.Stdout, Stderr: os.Stderr}, unused)
		},
	}
	cmd.Flags().BoolVar(&unused, "unused", false, "also unmount and delete every layer that no job uses; the store keeps its own")
	return cmd
}
