package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/docker/go-units"
	"github.com/spf13/cobra"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache"
	"gitlab.com/gitlab-go-executor/gitlab-go-executor/executor"
)

// newPruneCommand is prune. configPath is the persistent flag --config.
func newPruneCommand(configPath *string) *cobra.Command {
	var what executor.Pruning
	var ofStore cache.PruneOptions
	var store bool
	var maxSize string
	cmd := &cobra.Command{
		Use:   "prune",
		Short: "Remove what killed jobs left on this host, and layers beyond its limits; with --store what is old there",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var err error
			if ofStore.MaxSize, err = units.RAMInBytes(maxSize); err != nil {
				return fmt.Errorf("--max-size %q is no size such as 500g: %w", maxSize, err)
			}
			switch {
			case store:
				what.Store = &ofStore
			case ofStore != cache.PruneOptions{}:
				return errors.New("--older-than, --max-size, --project and --dry-run are about the store; add --store")
			}
			if ofStore.OlderThan < 0 {
				return fmt.Errorf("--older-than %s lies in the future", ofStore.OlderThan)
			}
			return executor.Prune(cmd.Context(), executor.Call{ConfigPath: *configPath, Version: version, Stdout: os.Stdout, Stderr: os.Stderr}, what)
		},
	}
	cmd.Flags().BoolVar(&what.Unused, "unused", false, "also unmount and delete every layer that no job uses; the store keeps its own")
	cmd.Flags().BoolVar(&store, "store", false, "also remove from the store what the following say, and layers that no entry has named for a day")
	cmd.Flags().DurationVar(&ofStore.OlderThan, "older-than", 0, "with --store: caches that no job has used for so long, such as 720h")
	cmd.Flags().StringVar(&maxSize, "max-size", "0", "with --store: the caches used longest ago, until the rest takes no more than this, such as 500g")
	cmd.Flags().StringVar(&ofStore.Project, "project", "", "with --store: only the caches of the project of this id")
	cmd.Flags().BoolVar(&ofStore.DryRun, "dry-run", false, "with --store: remove nothing, only tell what would go")
	return cmd
}
