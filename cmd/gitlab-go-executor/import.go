package main

import (
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/executor/settings"
)

const importHelp = `Print, for each runner of the docker executor in FILE (default: /etc/gitlab-runner/config.toml), a settings file of this program
and the [[runners]] that takes the place of the runner's own. Comments say what could not be carried over, and why. Nothing is changed.

What is printed holds the secrets of FILE: the runner's token and the credentials of its cache.`

const importExamples = `  gitlab-go-executor import-config
  gitlab-go-executor import-config --runner build-1 --only settings > /etc/gitlab-go-executor/config.toml
  gitlab-go-executor import-config --runner build-1 --only runner`

// What --only chooses.
const (
	onlySettings = "settings"
	onlyRunner   = "runner"
)

// newImportCommand is import-config. configPath is the persistent flag --config.
func newImportCommand(configPath *string) *cobra.Command {
	var name, only string
	cmd := &cobra.Command{
		Use:     "import-config [FILE]",
		Short:   "Make settings of this program from a runner of the docker executor",
		Long:    importHelp,
		Example: importExamples,
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if only != "" && only != onlySettings && only != onlyRunner {
				return fmt.Errorf("--only %q is unknown; it takes %s or %s", only, onlySettings, onlyRunner)
			}
			source := "/etc/gitlab-runner/config.toml"
			if len(args) > 0 {
				source = args[0]
			}
			runners, err := importFile(source, *configPath)
			if err != nil {
				return err
			}
			return printImported(cmd.OutOrStdout(), cmd.ErrOrStderr(), runners, name, only)
		},
	}
	cmd.Flags().StringVar(&name, "runner", "", "name of the only runner to print")
	cmd.Flags().StringVar(&only, "only", "", "print one part alone: settings or runner")
	return cmd
}

func importFile(source, config string) ([]settings.Imported, error) {
	data, err := os.ReadFile(source)
	if err != nil {
		return nil, fmt.Errorf("cannot read the GitLab Runner's config.toml (name it as the argument): %w", err)
	}
	program, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("this program cannot find itself to name it: %w", err)
	}
	return settings.Import(data, settings.ImportOptions{Source: source, Program: program, Config: config, Default: config == defaultConfig})
}

// printImported prints the parts, and says where they belong unless there is one alone.
func printImported(out, notes io.Writer, runners []settings.Imported, name, only string) error {
	found := false
	for _, r := range runners {
		if name != "" && r.Name != name {
			continue
		}
		found = true
		if only != onlyRunner {
			if only == "" {
				fmt.Fprintf(out, "# ---- %s, mode 0600 ----\n", r.Config)
			}
			fmt.Fprintln(out, r.Settings)
		}
		if only != onlySettings {
			if only == "" {
				fmt.Fprintf(out, "# ---- instead of the runner %q in the GitLab Runner's config.toml ----\n", r.Name)
			}
			fmt.Fprintln(out, r.Runner)
		}
		if r.Open > 0 {
			fmt.Fprintf(notes, "WARNING: the settings of the runner %q cannot be used yet: %d to be decided, see the comments\n", r.Name, r.Open)
		}
	}
	if !found {
		return fmt.Errorf("there is no runner %q of the docker executor", name)
	}
	return nil
}
