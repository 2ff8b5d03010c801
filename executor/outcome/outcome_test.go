package outcome

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"testing"
)

func TestEveryErrorHasOneOutcomeAndOneReason(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		err     error
		outcome Outcome
		reason  Reason
		users   bool
	}{
		"nothing went wrong":            {nil, Success, None, false},
		"the script's own code":         {Script(42, ExitCode), ScriptFailed, ExitCode, true},
		"a mistake in .gitlab-ci.yml":   {fmt.Errorf("prepare: %w", Job(ImageNotAllowed, "x")), JobInvalid, ImageNotAllowed, true},
		"Docker is gone":                {System(DockerGone, "x"), SystemFailed, DockerGone, false},
		"the disk is full, in Docker":   {System(DockerFailed, "create: %w", syscall.ENOSPC), SystemFailed, DiskFull, false},
		"the disk quota is used up":     {syscall.EDQUOT, SystemFailed, DiskFull, false},
		"canceled in the UI":            {System(DockerFailed, "wait: %w", ErrStopped), Canceled, Signal, false},
		"the job's time is up":          {fmt.Errorf("wait: %w", ErrTimedOut), TimedOut, JobTimeout, false},
		"a call that never came back":   {fmt.Errorf("inspect: %w", context.DeadlineExceeded), SystemFailed, Deadline, false},
		"an error nobody thought of":    {errors.New("?"), SystemFailed, Bug, false},
		"killed at the memory limit":    {Script(137, OutOfMemory), ScriptFailed, OutOfMemory, true},
		"canceled while a script fails": {errors.Join(ErrStopped, Script(1, ExitCode)), Canceled, Signal, false},
	}
	for name, c := range cases {
		got := Of(c.err)
		if got.Outcome != c.outcome || got.Reason != c.reason || got.UsersFault() != c.users {
			t.Errorf("%s: %s/%s users=%v, want %s/%s users=%v", name, got.Outcome, got.Reason, got.UsersFault(), c.outcome, c.reason, c.users)
		}
		if (got.Err == nil) != (c.outcome == Success) {
			t.Errorf("%s: Err is %v", name, got.Err)
		}
	}
	if code := Of(fmt.Errorf("run: %w", Script(42, ExitCode))).Code; code != 42 {
		t.Errorf("the script's code is %d, want 42", code)
	}
}
