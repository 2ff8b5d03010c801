package try

import (
	"errors"
	"fmt"
	"path"
	"path/filepath"
	"slices"
	"time"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/executor/runner"
	"gitlab.com/gitlab-go-executor/gitlab-go-executor/executor/settings"
	"gitlab.com/gitlab-go-executor/gitlab-go-executor/executor/try/ci"
)

// plan is the job that each run is one of.
type plan struct {
	source    *source
	spec      *ci.Job
	host      variables // what the job needs to know of this host's network
	given     variables // --variable
	protected bool
	timeout   time.Duration
}

// check finds what would only come to light in the middle of a run.
func (p *plan) check(defaultImage string) error {
	if p.spec.Image.Name == "" && defaultImage == "" {
		return fmt.Errorf("the job %s names no image and the settings have no default (docker.image): give one with --image", p.spec.Name)
	}
	dir := p.projectDir(runner.BuildsDir)
	_, err := p.stageText(stageSources, dir, p.variables(1, dir).expanded())
	return err
}

// projectDir is the checkout's folder in the containers (common/build.go, StartBuild).
func (p *plan) projectDir(buildsDir string) string { return path.Join(buildsDir, p.source.project) }

// variables are those of one job. Later ones win: GitLab's, the host's, those of the file, those of the command line.
func (p *plan) variables(id int64, projectDir string) variables {
	return slices.Concat(p.fromGitLab(id, projectDir), p.host, p.spec.Variables, p.given)
}

// payload is what GitLab would have sent. As there, the names of images come expanded, and variables as they are defined.
func (p *plan) payload(id int64) *runner.Payload {
	vs := p.variables(id, p.projectDir(runner.BuildsDir))
	values := vs.expanded()
	depth, _ := fetchDepth(values) // checked
	job := &runner.Payload{
		ID:    id,
		Token: "try",
		JobInfo: runner.JobInfo{
			Name: p.spec.Name, Stage: p.spec.Stage, PipelineID: id,
			ProjectID: p.source.projectID, ProjectName: path.Base(p.source.project), ProjectFullPath: p.source.project,
		},
		GitInfo: runner.GitInfo{
			RepoURL: p.source.url(), Ref: p.source.ref, RefType: p.source.refType, SHA: p.source.sha,
			Refspecs: p.refspecs(depth), Depth: depth % allCommits, Protected: &p.protected,
		},
		RunnerInfo: runner.RunnerInfo{Timeout: int64(p.timeout.Seconds())},
		Variables:  vs,
		Steps:      []runner.Step{{Name: "script", Script: p.spec.Script}},
		Image:      expandImage(p.spec.Image, values),
	}
	if len(p.spec.AfterScript) > 0 {
		job.Steps = append(job.Steps, runner.Step{Name: "after_script", Script: p.spec.AfterScript})
	}
	for _, s := range p.spec.Services {
		job.Services = append(job.Services, expandImage(s, values))
	}
	return job
}

func expandImage(image runner.Image, values map[string]string) runner.Image {
	image.Name, image.Alias = expand(image.Name, values), expand(image.Alias, values)
	return image
}

// stages are the sub-stages of the job before its end, in order.
func (p *plan) stages() []string {
	all := []string{stagePrepareFiles, stageSources, stageScript}
	if len(p.spec.AfterScript) > 0 {
		all = append(all, stageAfter)
	}
	return append(all, stageCleanFiles)
}

// images are those that have to be on this host before a job starts. A job that forbids to pull one means it.
func (p *plan) images(s *settings.Settings) []string {
	job, values := p.payload(1), p.variables(1, p.projectDir(runner.BuildsDir)).expanded()
	if job.Image.Name == "" {
		job.Image.Name = expand(s.Docker.Image, values)
	}
	var names []string
	for _, image := range append([]runner.Image{job.Image, {Name: expand(s.Docker.HelperImage, values)}}, job.Services...) {
		never := len(image.PullPolicies) > 0 && !slices.ContainsFunc(image.PullPolicies, func(p string) bool { return p != settings.PullNever })
		if image.Name != "" && !never && !slices.Contains(names, image.Name) {
			names = append(names, image.Name)
		}
	}
	return names
}

// stageSettings are the settings of the stage commands: the administrator's, but for where state is kept, what is
// mounted, and that images which are here are not asked for again.
func stageSettings(base *settings.Settings, stateDir, helperImage string, volumes ...string) *settings.Settings {
	s := *base
	s.StateDir = stateDir
	s.Cache.Directory.Path, s.Cache.S3 = filepath.Join(stateDir, "store"), settings.Default().Cache.S3 // never what the host's own jobs share
	if helperImage != "" {
		s.Docker.HelperImage = helperImage
	}
	s.Docker.Volumes = slices.Concat(base.Docker.Volumes, volumes)
	allowed := base.Docker.AllowedPullPolicies
	if len(allowed) == 0 {
		allowed = base.Docker.PullPolicy // which is what none means; a job may still ask for these
	}
	s.Docker.AllowedPullPolicies = slices.Clone(allowed)
	if !slices.Contains(allowed, settings.PullIfNotPresent) {
		s.Docker.AllowedPullPolicies = append(s.Docker.AllowedPullPolicies, settings.PullIfNotPresent)
	}
	s.Docker.PullPolicy = []string{settings.PullIfNotPresent}
	return &s
}

// readJob finds the job: in the file at the commit, or on the command line.
func readJob(file func() ([]byte, error), o *Options) (*ci.Job, error) {
	if len(o.Script) > 0 {
		if o.Job != "" {
			return nil, errors.New("--job and --script exclude each other: --job takes the script from " + ci.File)
		}
		return &ci.Job{Name: "try", Stage: "test", Image: runner.Image{Name: o.Image}, Script: o.Script}, nil
	}
	data, err := file()
	if err != nil {
		return nil, err
	}
	job, err := ci.Parse(data, o.Job)
	if err != nil {
		return nil, err
	}
	if o.Image != "" {
		job.Image = runner.Image{Name: o.Image}
	}
	return job, nil
}
