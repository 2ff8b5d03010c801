package docker

import (
	"strconv"

	"github.com/docker/docker/api/types/filters"
)

// Labels of GitLab Runner (executors/docker/labels.go), which administrators' scripts already select by: its
// clear-docker-cache prunes by "managed".
const (
	runnerPrefix = "com.gitlab.gitlab-runner."
	labelManaged = runnerPrefix + "managed"
	labelType    = runnerPrefix + "type"
)

// Our own labels. Removal goes by them alone, so that it needs no record of what was created.
const (
	labelState = "gitlab-go-executor.state" // the state directory that the job belongs to
	labelJob   = "gitlab-go-executor.job"   // the job, unique within a state directory
)

// Owner says to which job of which state directory an object belongs.
type Owner struct {
	State string // identifies the state directory: executors with different ones never touch each other's objects
	Job   string // unique within State
	Name  string // prefix of the names of the job's objects; letters, digits, - and _ only

	// For people who look at `docker ps`.
	ID, ProjectID, PipelineID int64
	Ref, SHA                  string
}

func (o Owner) labels(kind string) map[string]string {
	return map[string]string{
		labelState:                   o.State,
		labelJob:                     o.Job,
		labelManaged:                 "true",
		labelType:                    kind,
		runnerPrefix + "job.id":      strconv.FormatInt(o.ID, 10),
		runnerPrefix + "project.id":  strconv.FormatInt(o.ProjectID, 10),
		runnerPrefix + "pipeline.id": strconv.FormatInt(o.PipelineID, 10),
		runnerPrefix + "job.ref":     o.Ref,
		runnerPrefix + "job.sha":     o.SHA,
	}
}

// filter selects the objects of one job.
func (o Owner) filter() filters.Args {
	return filters.NewArgs(filters.Arg("label", labelState+"="+o.State), filters.Arg("label", labelJob+"="+o.Job))
}
