package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/stats"
	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/stats/report"
	"gitlab.com/gitlab-go-executor/gitlab-go-executor/executor"
)

const statsHelp = `Show what the caches did for the jobs of this host: how much was hit, what that saved, and what it cost.

All figures are of the ledger, which has a row for each job that has ended. What nobody knows is shown as -, left empty in CSV and null in JSON.
Cold are jobs that began with empty caches. With --jobs there is a line for each job, with every column, in the order in which they ended.`

const statsExamples = `  gitlab-go-executor stats --by project --since 7d
  gitlab-go-executor stats --by day --since 2026-03-01 --until 2026-04-01 --project group/app
  gitlab-go-executor stats --jobs --csv > jobs.csv
  gitlab-go-executor stats explain 4711`

// newStatsCommand is stats. configPath is the persistent flag --config.
func newStatsCommand(configPath *string) *cobra.Command {
	var q executor.Question
	var since, until string
	var asJSON, asCSV bool
	cmd := &cobra.Command{
		Use:     "stats",
		Short:   "Show what the caches of this host's jobs did",
		Long:    statsHelp,
		Example: statsExamples,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			now := time.Now()
			if q.Filter.Since, err = moment("--since", since, now); err != nil {
				return err
			}
			if q.Filter.Until, err = moment("--until", until, now); err != nil {
				return err
			}
			switch {
			case !q.Filter.Until.IsZero() && !q.Filter.Since.Before(q.Filter.Until):
				return fmt.Errorf("--since %s is not before --until %s", since, until)
			case q.By != "" && !slices.Contains(stats.Groups(), q.By):
				return fmt.Errorf("--by %q is unknown; it takes %s", q.By, strings.Join(stats.Groups(), ", "))
			case q.Jobs && q.By != "":
				return errors.New("--by is about totals and --jobs about each job: leave one of them out")
			case q.Jobs && !asJSON && !asCSV:
				return errors.New("--jobs is for programs: add --json or --csv")
			case asCSV:
				q.Format = executor.CSV
			case asJSON:
				q.Format = executor.JSON
			}
			return executor.Stats(cmd.Context(), statsCall(cmd, *configPath), q)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&q.By, "by", "", "group jobs by "+strings.Join(stats.Groups(), ", "))
	flags.StringVar(&since, "since", "", "jobs that ended since then: 168h or 7d ago, or a date such as 2026-03-01")
	flags.StringVar(&until, "until", "", "jobs that ended before then")
	flags.StringVar(&q.Filter.Project, "project", "", "jobs of the project of this ID or path")
	flags.StringVar(&q.Filter.Instance, "instance", "", "jobs of this GitLab, such as gitlab.example.com")
	flags.BoolVar(&q.Jobs, "jobs", false, "with --json or --csv: each job instead of totals")
	flags.BoolVar(&asJSON, "json", false, "print JSON; with --jobs one line for each job")
	flags.BoolVar(&asCSV, "csv", false, "print CSV")
	cmd.MarkFlagsMutuallyExclusive("json", "csv")
	cmd.AddCommand(newExplainCommand(configPath))
	return cmd
}

const explainHelp = `Explain why a job was not warmer: what its caches began with and why with nothing nearer, which modules changed, which packages were
compiled anew, what that cost, and what it saved.

JOB is the number in the job's URL. If several GitLabs use this host it may take INSTANCE/JOB, such as gitlab.example.com/4711.`

// newExplainCommand is stats explain.
func newExplainCommand(configPath *string) *cobra.Command {
	format := executor.ForPeople
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "explain JOB",
		Short: "Explain why a job was not warmer",
		Long:  explainHelp,
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if asJSON {
				format = executor.JSON
			}
			return executor.Explain(cmd.Context(), statsCall(cmd, *configPath), args[0], format)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object, with all names of packages")
	return cmd
}

func statsCall(cmd *cobra.Command, configPath string) executor.Call {
	return executor.Call{ConfigPath: configPath, Version: version, Stdout: cmd.OutOrStdout(), Stderr: cmd.ErrOrStderr()}
}

// moment reads a flag; the zero time if it is not given.
func moment(flag, text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	at, err := report.Moment(text, now)
	if err != nil {
		return at, fmt.Errorf("%s %w", flag, err)
	}
	return at, nil
}
