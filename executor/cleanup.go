package executor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/sirupsen/logrus"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/executor/oplog"
	"gitlab.com/gitlab-go-executor/gitlab-go-executor/executor/outcome"
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
		r := j.store.get()
		state = r.Owner.State
		verdict := ended(r, time.Now(), j.payload.Timeout())
		j.log.WithFields(verdictFields(verdict)).WithField("seconds", time.Since(r.Created).Round(time.Millisecond).Seconds()).Info("job ended")
		j.enter(ctx, r.Row, verdict)
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
	return j.clear(ctx, j.tree.job(j.id))
}

// ended decides how a job as a whole ended: by its first failure; with success when Runner's last stage has run; else
// something stopped it between two stages.
func ended(r Record, now time.Time, limit time.Duration) Verdict {
	switch {
	case r.Failed != nil:
		return *r.Failed
	case r.Finished:
		return Verdict{Outcome: outcome.Success}
	case outOfTime(r.Created, now, limit):
		return Verdict{Outcome: outcome.TimedOut, Reason: outcome.JobTimeout}
	}
	return Verdict{Outcome: outcome.Canceled, Reason: outcome.Signal}
}

func verdictFields(v Verdict) logrus.Fields {
	return logrus.Fields{oplog.FieldOutcome: v.Outcome, oplog.FieldReason: v.Reason, "failed_stage": v.Stage}
}
