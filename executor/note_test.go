package executor

import (
	"errors"
	"strconv"
	"testing"
	"time"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/executor/outcome"
	"gitlab.com/gitlab-go-executor/gitlab-go-executor/executor/runner"
)

// The Runner tells GitLab how a job ended before its last stage, whose failure it only warns of; a job that is stopped in it has not ended yet.
func TestTheLastStageDecidesNothingUnlessItIsStopped(t *testing.T) {
	t.Parallel()
	tr := tree(t.TempDir())
	for n, c := range []struct {
		failed *Verdict
		err    error
		want   Verdict
	}{
		{nil, nil, Verdict{Outcome: outcome.Success}},
		{nil, outcome.System(outcome.DockerGone, "gone"), Verdict{Outcome: outcome.Success}},
		{nil, errors.New("anything"), Verdict{Outcome: outcome.Success}},
		{nil, outcome.ErrStopped, Verdict{outcome.Canceled, outcome.Signal, string(runner.CleanupFiles)}},
		{nil, outcome.ErrTimedOut, Verdict{outcome.TimedOut, outcome.JobTimeout, string(runner.CleanupFiles)}},
		{&Verdict{outcome.ScriptFailed, outcome.ExitCode, "step_script"}, outcome.System(outcome.DockerGone, "gone"), Verdict{outcome.ScriptFailed, outcome.ExitCode, "step_script"}},
	} {
		id := identity("42", "protected", strconv.Itoa(n))
		s, err := createStore(tr.job(id), Record{Identity: id, Objects: map[string]string{}, Failed: c.failed, Created: time.Now()})
		if err != nil {
			t.Fatal(err)
		}
		j := &job{store: s}
		if err := j.note(runner.CleanupFiles, c.err); err != nil {
			t.Fatal(err)
		}
		if got := ended(s.get(), "", time.Now()); got != c.want {
			t.Errorf("after %v: %v, want %v", c.err, got, c.want)
		}
	}
}
