package main

import (
	"fmt"
	"io"
	"os"

	"github.com/docker/go-units"
	"github.com/spf13/cobra"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/executor"
)

const pruneHelp = `Remove what is not needed any more from this host, or with --store from the store.

On this host: what killed jobs left, half-made files, the layers beyond the max_size of the settings, those that no job
has used for longest first, and the oldest jobs of a ledger beyond stats.max_size. What killed jobs made is saved, and what
waits is sent to the store. The flags take more: a layer goes when any of them says so. The store keeps its own.

In the store: layers that no entry has named for a day, whatever they are of. The flags take entries, pool by pool; their
layers go with a prune a day later, since other hosts may just be reading them. So call it daily or weekly.

What a running job uses on this host never goes.`

const pruneExamples = `  gitlab-go-executor prune --older-than 168h --dry-run
  gitlab-go-executor prune --store --older-than 720h --max-size 500g
  git ls-remote https://gitlab.com/group/app.git | gitlab-go-executor prune --store --project 42 --refs -`

// newPruneCommand is prune. configPath is the persistent flag --config.
func newPruneCommand(configPath *string) *cobra.Command {
	var what executor.Pruning
	var maxSize, refs string
	cmd := &cobra.Command{
		Use:     "prune",
		Short:   "Remove what killed jobs left on this host and layers that are old; with --store, caches that are old from the store",
		Long:    pruneHelp,
		Example: pruneExamples,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			flags := cmd.Flags()
			if flags.Changed("max-size") {
				if what.MaxSize, err = units.RAMInBytes(maxSize); err != nil || what.MaxSize <= 0 {
					return fmt.Errorf("--max-size %q is no size above 0 such as 500g", maxSize)
				}
			}
			if flags.Changed("older-than") && what.OlderThan <= 0 {
				return fmt.Errorf("--older-than %s is not above 0, such as 720h", what.OlderThan)
			}
			if flags.Changed("refs") {
				list, err := openList(cmd, refs)
				if err != nil {
					return fmt.Errorf("--refs: %w", err)
				}
				defer list.Close()
				what.Refs = list
			}
			call := executor.Call{ConfigPath: *configPath, Version: version, Stdout: cmd.OutOrStdout(), Stderr: cmd.ErrOrStderr()}
			return executor.Prune(cmd.Context(), call, what)
		},
	}
	flags := cmd.Flags()
	flags.BoolVar(&what.Store, "store", false, "prune the store, and not this host")
	flags.DurationVar(&what.OlderThan, "older-than", 0, "what no job has used for so long, such as 720h")
	flags.StringVar(&maxSize, "max-size", "", "what was used longest ago, until the layers of the rest take no more than this, such as 500g")
	flags.BoolVar(&what.Unused, "unused", false, "on this host: also unmount and delete every layer that no job uses")
	flags.StringVar(&what.Project, "project", "", "with --store: only the caches of the project of this ID, or INSTANCE/ID")
	flags.StringVar(&refs, "refs", "", "with --store and --project: the caches of refs that are not in this file, all that git ls-remote URL prints; - is standard input")
	flags.BoolVar(&what.DryRun, "dry-run", false, "change nothing, only tell what would go")
	return cmd
}

// openList opens a file, or standard input for -.
func openList(cmd *cobra.Command, name string) (io.ReadCloser, error) {
	if name == "-" {
		return io.NopCloser(cmd.InOrStdin()), nil
	}
	return os.Open(name)
}
