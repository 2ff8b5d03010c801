package main

import (
	"os"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
)

// newManCommand is man. It is hidden, since it is for those who pack or install this program.
func newManCommand() *cobra.Command {
	return &cobra.Command{
		Use:    "man DIR",
		Short:  "Write a man page for each command into a folder",
		Long:   "Write a man page for each command into a folder. With SOURCE_DATE_EPOCH, seconds since 1970, they are of that time, and else of today.",
		Args:   cobra.ExactArgs(1),
		Hidden: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := os.MkdirAll(args[0], 0o755); err != nil { //nolint:gosec // anybody may read them
				return err
			}
			withoutTag(cmd.Root())
			header := &doc.GenManHeader{Section: "1", Source: "gitlab-go-executor " + version, Manual: "GitLab Runner"}
			return doc.GenManTree(cmd.Root(), header, args[0])
		},
	}
}

// withoutTag leaves out of each page that it was generated.
func withoutTag(cmd *cobra.Command) {
	cmd.DisableAutoGenTag = true
	for _, c := range cmd.Commands() {
		withoutTag(c)
	}
}
