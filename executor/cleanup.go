package executor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/sirupsen/logrus"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/crash"
	"gitlab.com/gitlab-go-executor/gitlab-go-executor/executor/oplog"
	"gitlab.com/gitlab-go-executor/gitlab-go-executor/executor/outcome"
	"gitlab.com/gitlab-go-executor/gitlab-go-executor/executor/runner"
)

// Cleanup is Runner's cleanup_exec. It removes whatever bears the job's label, however far the job came, and then the record,
// which frees the slot. GitLab learns the job's result only when it has ended, so nothing slow happens here.
func Cleanup(call Call) int {
	return runStage(call, stageCleanup, func(j *job) error { return j.cleanup(context.Background()) })
}

func (j *job) cleanup(ctx context.Context) error {
	var err error
	j.store, err = openStore(j.tree.job(j.id))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		j.log.WithError(err).Warn("the job's record cannot be read; what bears its label is removed all the same")
	}
	state, err := j.tree.id()
	if err != nil {
		return stateError(err)
	}
	if j.store != nil {
		if err := j.store.end(); err != nil {
			j.log.WithError(err).Warn("the job cannot be noted as ended")
		}
		crash.At(crash.EndNoted)
		r := j.store.get()
		state = r.Owner.State
		verdict := j.store.verdict()
		j.log.WithFields(verdictFields(verdict)).WithField("seconds", time.Since(r.Created).Round(time.Millisecond).Seconds()).Info("job ended")
		j.enter(ctx, r.Row, verdict, j.store.endedAt())
		crash.At(crash.RowEntered)
	}
	if state == "" {
		return nil // no job was ever prepared here
	}
	if err := j.connect(ctx); err != nil {
		return fmt.Errorf("what is left of the job will be removed when the next one is prepared: %w", err)
	}
	defer func() { _ = j.docker.Close() }()
	if err := j.docker.RemoveJob(ctx, j.owner(state), removeTimeout); err != nil {
		return err
	}
	crash.At(crash.ObjectsRemoved)
	if j.store != nil {
		if err := j.tree.dropFiles(j.store.get()); err != nil {
			j.log.WithError(err).Warn("what Runner keeps of the job's file variables cannot be removed")
		}
	}
	return j.clear(ctx, j.tree.job(j.id))
}

// verdict is how a job has ended, when that was noted.
func (s *store) verdict() Verdict { return ended(s.get(), s.killed(), s.endedAt()) }

// ended decides how a job as a whole ended: by its first failure; with success when Runner's last stage has run; with the end of a stage that was
// killed; else something stopped it between two stages.
func ended(r Record, killed string, at time.Time) Verdict {
	limit := r.Lease.Deadline.Sub(r.Created) - leaseSlack
	switch {
	case r.Failed != nil:
		return *r.Failed
	case r.Finished, killed == string(runner.CleanupFiles): // which has no say in how the job ends
		return Verdict{Outcome: outcome.Success}
	case killed != "":
		return Verdict{Outcome: outcome.SystemFailed, Reason: outcome.StageKilled, Stage: killed}
	case outOfTime(r.Created, at, limit):
		return Verdict{Outcome: outcome.TimedOut, Reason: outcome.JobTimeout}
	}
	return Verdict{Outcome: outcome.Canceled, Reason: outcome.Signal}
}

func verdictFields(v Verdict) logrus.Fields {
	return logrus.Fields{oplog.FieldOutcome: v.Outcome, oplog.FieldReason: v.Reason, "failed_stage": v.Stage}
}
