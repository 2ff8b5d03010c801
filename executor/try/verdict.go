package try

import (
	"errors"
	"strconv"
	"strings"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/executor/outcome"
)

// Exit codes that Runner asks of the stage commands (executors/custom/command/command.go).
const (
	buildFailure  = 1
	systemFailure = 2
)

// ended is how one call of a stage command ended.
type ended struct {
	stage string
	code  int    // its exit code, or killed
	told  string // what BUILD_EXIT_CODE_FILE then held
}

// counts says whether the stage decides about the job: Runner ignores how the last three end.
func (e ended) counts() bool {
	return e.stage != stageAfter && e.stage != stageCleanFiles && e.stage != stageCleanup
}

// verdict says how a job ended, from the ends of its stages in order and from what stopped it, if anything did; code is
// the script's exit code, or what Runner would report as such, and nil if there is none (common/build.go,
// setTraceStatus).
func verdict(ends []ended, stopped error) (result outcome.Outcome, code *int) {
	switch {
	case errors.Is(stopped, outcome.ErrTimedOut):
		return outcome.TimedOut, nil
	case stopped != nil:
		return outcome.Canceled, nil
	}
	for _, e := range ends {
		if !e.counts() || e.code == 0 {
			continue
		}
		if e.code != buildFailure {
			return outcome.SystemFailed, nil
		}
		n, ok := toldCode(e.told)
		switch {
		case !ok:
			return outcome.SystemFailed, nil
		case e.stage == stageConfig, e.stage == stagePrepare:
			return outcome.JobInvalid, &n
		}
		return outcome.ScriptFailed, &n
	}
	return outcome.Success, new(int)
}

// toldCode reads the first line of BUILD_EXIT_CODE_FILE. Runner takes one that is no number for a system failure.
func toldCode(text string) (int, bool) {
	first, _, _ := strings.Cut(text, "\n")
	n, err := strconv.Atoi(first)
	return n, err == nil
}

// again says whether Runner would prepare the job once more: after everything but the user's fault.
func again(e ended) bool { return e.code != 0 && e.code != buildFailure }

// status is CI_JOB_STATUS after the script.
func status(script ended, stopped error) string {
	switch {
	case errors.Is(stopped, outcome.ErrTimedOut):
		return "timedout"
	case stopped != nil:
		return "canceled"
	case script.code != 0:
		return "failed"
	}
	return "success"
}
