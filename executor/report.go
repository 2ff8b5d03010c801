package executor

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"time"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/executor/runner"
)

// reportVariable names a file of the project for GitLab's artifacts:reports:metrics. GitLab takes artifacts before the caches are saved, so that it is
// written after each of the author's scripts, the last of which has the last word.
const reportVariable = "GO_EXECUTOR_METRICS"

// reportLimit bounds what a job waits for its report.
const reportLimit = 30 * time.Second

// writeReport writes the file if the job asks for it. What fails costs the file.
func (j *job) writeReport(ctx context.Context) {
	name := j.env.Variables[reportVariable]
	if name == "" || ctx.Err() != nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, reportLimit)
	defer cancel()
	record := j.store.get()
	if record.Caches.Mounted {
		counted, err := j.caches.Count(ctx, j.store.dir)
		if err != nil {
			j.warnCaches("%s has no hits: %v", reportVariable, err)
		} else {
			noteCounts(&record.Row, counted)
		}
	}
	if err := j.writeToCheckout(record.Slot, name, []byte(record.Row.OpenMetrics())); err != nil {
		j.warnCaches("%s = %q cannot be written: %v", reportVariable, name, err)
	}
}

// writeToCheckout writes a file of the project, on the host. What is there is a job's and hostile: no link is followed out of the project, and
// nothing that exists is opened.
func (j *job) writeToCheckout(slot int, name string, data []byte) (err error) {
	within, err := filepath.Rel(runner.BuildsDir, j.env.ProjectDir())
	if err != nil || !filepath.IsLocal(within) {
		return fmt.Errorf("the project's folder %s is not below %s", j.env.ProjectDir(), runner.BuildsDir)
	}
	if path.IsAbs(name) {
		if name, err = filepath.Rel(j.env.ProjectDir(), name); err != nil {
			return err
		}
	}
	if !filepath.IsLocal(name) {
		return errors.New("it has to be a file of the project")
	}
	builds, err := os.OpenRoot(j.buildsDir(slot))
	if err != nil {
		return err
	}
	defer builds.Close()
	project, err := builds.OpenRoot(within)
	if err != nil {
		return err
	}
	defer project.Close()
	if err := project.MkdirAll(filepath.Dir(name), 0o777); err != nil {
		return err
	}
	staged := filepath.Join(filepath.Dir(name), ".go-executor-"+rand.Text())
	file, err := project.OpenFile(staged, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	_, err = file.Write(data)
	if err = errors.Join(err, file.Close()); err == nil {
		err = project.Rename(staged, name)
	}
	if err != nil {
		return errors.Join(err, project.Remove(staged))
	}
	return nil
}
