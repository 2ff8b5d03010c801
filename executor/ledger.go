package executor

import (
	"context"
	"os"
	"slices"
	"strconv"
	"time"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache"
	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/stats"
	"gitlab.com/gitlab-go-executor/gitlab-go-executor/executor/oplog"
	"gitlab.com/gitlab-go-executor/gitlab-go-executor/executor/outcome"
	"gitlab.com/gitlab-go-executor/gitlab-go-executor/executor/runner"
)

// The row of a job in the ledger. It grows in the job's record, from stage to stage, and is added when the job has ended.

// newRow says who the job is.
func (j *job) newRow(began time.Time) stats.Job {
	host, _ := os.Hostname() // whose error leaves it empty
	return stats.Job{
		Instance: j.id.Instance, Project: j.id.Project, ProjectPath: j.payload.JobInfo.ProjectFullPath, Job: j.id.Job, Name: j.payload.JobInfo.Name,
		Pipeline: strconv.FormatInt(j.payload.JobInfo.PipelineID, 10), RefType: j.payload.GitInfo.RefType, Ref: j.payload.GitInfo.Ref, Tier: j.id.Tier,
		Host: host, Began: stats.Time{Time: began},
	}
}

// timeScript adds the time until its end to that of the author's scripts.
func (j *job) timeScript(stage runner.Stage) (end func()) {
	if stage == runner.AfterScript { // which is not waited for in the same way
		return func() {}
	}
	began := time.Now()
	return func() {
		err := j.noteRecord(func(r *Record) {
			seconds := time.Since(began).Seconds()
			if before := r.Row.ScriptSeconds; before != nil {
				seconds += *before
			}
			r.Row.ScriptSeconds = &seconds
			r.Row.Detail.Start("script", began)
		})
		if err != nil {
			j.log.WithError(err).Warn("the time of the script cannot be noted")
		}
	}
}

// noteRestored says from what the job began.
func noteRestored(row *stats.Job, r cache.Request, got cache.Restored, began time.Time) {
	row.Detail.Start("restore", began)
	row.Platform, row.Toolchain, row.Graph, row.CacheReason = r.Platform, r.Toolchain, r.Graph, string(got.Reason)
	row.Layers, row.LayerBytes, row.DownloadedBytes = &got.Layers, &got.Bytes, &got.Downloaded
	row.LookupSeconds, row.DownloadSeconds, row.MountSeconds = &got.Lookup, &got.Download, &got.Mount
	if base := got.Base(); base != nil {
		row.BaseJob, row.BaseTier, row.BaseGraph = base.Job, base.Tier, base.Graph
	}
	row.Detail.Bases, row.Detail.Modules = got.Bases, r.Modules
	if got.Layers > 0 { // else it is all of them
		row.Detail.Changed = got.Changed
	}
	for _, problem := range got.Problems {
		noteProblem(row, problem)
	}
}

// noteNoCaches says that the job has no caches, and takes back what was said of those that could not be shown to it.
// why may be nil.
func noteNoCaches(row *stats.Job, reason cache.Reason, why error) {
	row.CacheReason = string(reason)
	row.Layers, row.LayerBytes = nil, nil
	noteProblem(row, why)
}

func noteProblem(row *stats.Job, problem error) {
	if problem != nil {
		row.Detail.Problems = append(row.Detail.Problems, problem.Error())
	}
}

// maskRow takes out of a row what the job log does not show either: a variable may be part of an image's name, and an error repeats what it is about.
// It is done while the job is there: whoever adds the row of one that was killed does not know its secrets.
func maskRow(row *stats.Job, masked *oplog.Redactor) {
	if masked == nil {
		return
	}
	row.Image = masked.Mask(row.Image)
	for i, problem := range row.Detail.Problems {
		row.Detail.Problems[i] = masked.Mask(problem)
	}
}

// noteUnsaved says why nothing is saved at the job's end.
func (j *job) noteUnsaved(why error) {
	err := j.noteRecord(func(r *Record) {
		r.Row.SaveReason = string(cache.ReasonOf(why))
		noteProblem(&r.Row, why)
	})
	if err != nil {
		j.log.WithError(err).Warn("that nothing is saved cannot be noted")
	}
}

// mostNames bounds the names in a row's detail.
const mostNames = 5000

// noteSaved says what the job hit and added.
func noteSaved(row *stats.Job, saved cache.Saved, sent sending, err error) {
	row.SaveReason = string(saved.Reason)
	noteCounts(row, saved)
	row.HarvestSeconds, row.WriteSeconds, row.UploadSeconds = &saved.Harvest, &saved.Write, &sent.Seconds
	row.SavedBytes, row.UploadedBytes = &saved.Bytes, &sent.Bytes
	if row.Layers != nil && *row.Layers > 0 { // else it is everything
		row.Detail.Compiled = slices.Compact(saved.Compiled[:min(len(saved.Compiled), mostNames)])
	}
	row.Detail.Refused = saved.Refused
	for _, problem := range append(saved.Problems, err) {
		noteProblem(row, problem)
	}
}

// noteCounts says what the job hit and made.
func noteCounts(row *stats.Job, saved cache.Saved) {
	row.ModulesWanted, row.ModulesHitHost, row.ModulesHitStore, row.ModulesMissed = saved.Modules.Wanted, saved.Modules.HitHost, saved.Modules.HitStore, saved.Modules.Missed
	row.BuildAvailable, row.BuildHit, row.BuildNew = saved.Build.Available, saved.Build.Hit, saved.Build.New
	noteExtras(row, saved.Extras)
}

// enterLimit bounds what a job waits for the ledger.
const enterLimit = 15 * time.Second

// enter adds a job that has ended to the ledger. That it cannot is for the operator, and no failure of the job.
func (j *job) enter(ctx context.Context, row stats.Job, v Verdict, ended time.Time) {
	if j.settings.Stats.MaxSize == 0 || row.Job == "" { // or its record is of an older release
		return
	}
	row.Ended = stats.Time{Time: ended}
	row.Seconds = row.Ended.Sub(row.Began.Time).Seconds()
	row.Outcome, row.Reason, row.FailedStage = string(v.Outcome), string(v.Reason), v.Stage
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), enterLimit)
	defer cancel()
	ledger, err := stats.Open(ctx, string(j.tree))
	if err == nil {
		defer ledger.Close()
		err = ledger.Add(ctx, row)
	}
	if err != nil {
		j.log.WithError(err).Warn("the job is not in the ledger")
	}
}

// enterSaved adds to the row of a killed job what was saved of it.
func (j *job) enterSaved(ctx context.Context, saved cache.Saved) {
	if j.settings.Stats.MaxSize == 0 {
		return
	}
	row := stats.Job{Instance: saved.Instance, Job: saved.Job, SavedBytes: &saved.Bytes}
	noteCounts(&row, saved)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), enterLimit)
	defer cancel()
	ledger, err := stats.Open(ctx, string(j.tree))
	if err == nil {
		defer ledger.Close()
		err = ledger.AddSaved(ctx, saved.Restored, row)
	}
	if err != nil {
		j.log.WithError(err).Warn("what was saved of a killed job is not in the ledger")
	}
}

// enterUnclaimed adds a job that failed before it had a record.
func (j *job) enterUnclaimed(failure outcome.Failure) {
	j.enter(context.Background(), j.newRow(j.started), Verdict{Outcome: failure.Outcome, Reason: failure.Reason, Stage: stagePrepare}, time.Now())
}
