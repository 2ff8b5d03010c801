package main

import (
	"context"
	"encoding/json"
	"time"

	"github.com/spf13/cobra"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/executor/checkout"
	"gitlab.com/gitlab-go-executor/gitlab-go-executor/executor/goenv"
)

// newInsideCommand holds what the stages run in a job's containers; each prints one JSON object.
func newInsideCommand() *cobra.Command {
	inside := &cobra.Command{Use: "inside", Short: "Called by the stages, in a job's containers", Hidden: true}
	inside.AddCommand(newCheckoutCommand(), newProbeCommand())
	return inside
}

func newCheckoutCommand() *cobra.Command {
	var o checkout.Options
	var limit time.Duration
	cmd := &cobra.Command{
		Use: "checkout", Short: "Set the file times of a checkout and read its module graph", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, cancel := context.WithTimeout(cmd.Context(), limit)
			defer cancel()
			report, err := checkout.Run(ctx, o)
			if err != nil {
				return err
			}
			return json.NewEncoder(cmd.OutOrStdout()).Encode(report)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&o.Dir, "dir", "", "the checkout")
	flags.BoolVar(&o.Stamp, "stamp", false, "set the file times")
	flags.BoolVar(&o.Foreign, "foreign", false, "files of other origin will come into the checkout")
	flags.DurationVar(&o.RefreshLimit, "refresh-limit", 10*time.Second, "most time for git's index")
	flags.DurationVar(&limit, "limit", time.Minute, "most time for all")
	return cmd
}

// probeTime is less than the stage waits for the answer.
const probeTime = 50 * time.Second

func newProbeCommand() *cobra.Command {
	return &cobra.Command{
		Use: "probe", Short: "Find out what Go is in this image", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, cancel := context.WithTimeout(cmd.Context(), probeTime)
			defer cancel()
			found, err := goenv.Probe(ctx)
			if err != nil {
				return err
			}
			return json.NewEncoder(cmd.OutOrStdout()).Encode(found)
		},
	}
}
