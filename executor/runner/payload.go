package runner

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/executor/outcome"
)

// Payload is the job as GitLab described it to the Runner, written by Runner to JOB_RESPONSE_FILE. Only it tells who a
// job is and what it may do. These are our own types: Runner's spec.Job cannot read what it writes (its inputs are
// written as an object and read as an array, common/spec/inputs.go), and fields that are not needed here shall not
// be able to break a job.
type Payload struct {
	ID           int64             `json:"id"`
	Token        string            `json:"token"`
	JobInfo      JobInfo           `json:"job_info"`
	GitInfo      GitInfo           `json:"git_info"`
	RunnerInfo   RunnerInfo        `json:"runner_info"`
	Variables    []Variable        `json:"variables"`
	Steps        []Step            `json:"steps"`
	Image        Image             `json:"image"`
	Services     []Image           `json:"services"`
	Artifacts    []Artifact        `json:"artifacts"`
	Cache        []Cache           `json:"cache"`
	Credentials  []Credentials     `json:"credentials"`
	Dependencies []Dependency      `json:"dependencies"`
	Secrets      map[string]Secret `json:"secrets"`
	Features     Features          `json:"features"`
}

// Features is what this GitLab understands.
type Features struct {
	TraceSections bool `json:"trace_sections"` // marks in the job log of what can be folded
}

// JobInfo names the job and its project.
type JobInfo struct {
	Name            string `json:"name"`
	Stage           string `json:"stage"`
	ProjectID       int64  `json:"project_id"`
	ProjectName     string `json:"project_name"`
	ProjectFullPath string `json:"project_full_path"`
	PipelineID      int64  `json:"pipeline_id"`
}

// GitInfo says what is built.
type GitInfo struct {
	RepoURL   string   `json:"repo_url"`
	Ref       string   `json:"ref"`
	RefType   string   `json:"ref_type"`
	SHA       string   `json:"sha"`
	BeforeSHA string   `json:"before_sha"`
	Refspecs  []string `json:"refspecs"`
	Depth     int      `json:"depth"`
	Protected *bool    `json:"protected"` // null before Runner 18.3
}

// RunnerInfo carries the job's time limit.
type RunnerInfo struct {
	Timeout int64 `json:"timeout"` // seconds
}

// Variable is a job variable as defined, its value not expanded.
type Variable struct {
	Key    string `json:"key"`
	Value  string `json:"value"`
	Public bool   `json:"public"`
	File   bool   `json:"file"`
	Masked bool   `json:"masked"`
	Raw    bool   `json:"raw"`
}

// Secret is one entry of the job's secrets: keyword. Runner resolves it and adds a variable of that name, which is not among
// Variables.
type Secret struct {
	File *bool `json:"file"`
}

// IsFile says whether the variable holds a path: unless the job says otherwise (common/spec, Secret.IsFile).
func (s Secret) IsFile() bool { return s.File == nil || *s.File }

// Step is one script of the job.
type Step struct {
	Name   string   `json:"name"`
	Script []string `json:"script"`
}

// Image is the job's image or one of its services. Runner has expanded variables in Name and Alias, and nowhere else.
type Image struct {
	Name         string     `json:"name"`
	Alias        string     `json:"alias"` // may hold several, split at spaces and commas
	Entrypoint   []string   `json:"entrypoint"`
	Command      []string   `json:"command"`
	PullPolicies []string   `json:"pull_policy"`
	Variables    []Variable `json:"variables"`
	Options      struct {
		Docker struct {
			Platform string      `json:"platform"`
			User     StringOrInt `json:"user"`
		} `json:"docker"`
	} `json:"executor_opts"`
}

// Aliases are the names under which a service is reached besides those made of its image's name.
func (i Image) Aliases() []string {
	return strings.FieldsFunc(i.Alias, func(r rune) bool { return r == ',' || r == ' ' || r == '\t' || r == '\n' })
}

// What Runner's own scripts deal with; here it only matters that there is some.
type (
	// Artifact is one entry of the job's artifacts: keyword.
	Artifact struct {
		Paths []string `json:"paths"`
	}
	// Cache is one entry of the job's cache: keyword.
	Cache struct {
		Key       string   `json:"key"`
		Paths     []string `json:"paths"`
		Untracked bool     `json:"untracked"`
	}
	// Dependency is a job whose artifacts this job downloads.
	Dependency struct {
		ID    int64  `json:"id"`
		Token string `json:"token"`
	}
)

// Credentials is a login that GitLab gives to the job; those of type "registry" are for image registries.
type Credentials struct {
	Type     string `json:"type"`
	URL      string `json:"url"`
	Username string `json:"username"`
	Password string `json:"password"`
}

// StringOrInt is a text that some releases of GitLab send as a number (spec.go, StringOrInt64).
type StringOrInt string

// UnmarshalJSON implements json.Unmarshaler.
func (s *StringOrInt) UnmarshalJSON(b []byte) error {
	var v any
	if err := json.Unmarshal(b, &v); err != nil {
		return err
	}
	switch v := v.(type) {
	case nil:
		*s = ""
	case string:
		*s = StringOrInt(v)
	case float64:
		*s = StringOrInt(strconv.FormatFloat(v, 'f', -1, 64))
	default:
		return fmt.Errorf("is %s, want a text or a number", b)
	}
	return nil
}

// defaultTimeout is Runner's limit for a job that has none (common/consts.go, DefaultTimeout).
const defaultTimeout = 2 * time.Hour

// longestTimeout is beyond what GitLab lets anybody set, and far below where times overflow.
const longestTimeout = 10 * 365 * 24 * time.Hour

// Timeout is how long the job may take.
func (p *Payload) Timeout() time.Duration {
	if p.RunnerInfo.Timeout <= 0 {
		return defaultTimeout
	}
	return time.Duration(min(p.RunnerInfo.Timeout, int64(longestTimeout/time.Second))) * time.Second
}

// UsesRunnerCommands says whether Runner's scripts for this job will call gitlab-runner, which they do for artifacts and
// the cache keyword, and only warn when it is missing.
func (p *Payload) UsesRunnerCommands() bool {
	return len(p.Artifacts)+len(p.Cache)+len(p.Dependencies) > 0
}

// SecretValues are what must never appear in a log: the job's token, registry passwords, and all variables that GitLab does
// not call public.
func (p *Payload) SecretValues() []string {
	values := p.MaskedValues()
	for _, v := range p.Variables {
		if !v.Public {
			values = append(values, v.Value)
		}
	}
	return values
}

// MaskedValues are what GitLab masks in the job log. A variable that is neither public nor masked may be as harmless as a version.
func (p *Payload) MaskedValues() []string {
	values := []string{p.Token}
	for _, v := range p.Variables {
		if v.Masked {
			values = append(values, v.Value)
		}
	}
	for _, c := range p.Credentials {
		values = append(values, c.Password)
	}
	for _, d := range p.Dependencies {
		values = append(values, d.Token)
	}
	return values
}

// Synthetic says whether the job is of no GitLab: one that Runner makes up to try itself when it starts (commands/boot_verify.go,
// [runners.experimental.boot_verify]).
func (p *Payload) Synthetic() bool {
	return p.ID > 0 && p.JobInfo.ProjectID == 0 && p.GitInfo.RepoURL == "" && p.GitInfo.Ref == ""
}

// ReadPayload reads and checks the file that Runner wrote. Its errors name the field, the value seen and what is allowed.
func ReadPayload(path string) (*Payload, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, outcome.System(outcome.PayloadInvalid, "the job's payload cannot be read: %w", err)
	}
	p, err := ParsePayload(data)
	if err != nil {
		return nil, outcome.System(outcome.PayloadInvalid, "the job's payload (JOB_RESPONSE_FILE %s): %w", path, err)
	}
	return p, nil
}

// ParsePayload reads a payload and checks what identity is made of.
func ParsePayload(data []byte) (*Payload, error) {
	var p Payload
	if err := json.Unmarshal(data, &p); err != nil {
		var wrong *json.UnmarshalTypeError
		if errors.As(err, &wrong) {
			return nil, fmt.Errorf("%s is a JSON %s, want %s", wrong.Field, wrong.Value, wrong.Type)
		}
		return nil, fmt.Errorf("not the JSON of a job: %w", err)
	}
	if p.Synthetic() {
		return &p, nil
	}
	var problems []error
	if p.ID <= 0 {
		problems = append(problems, fmt.Errorf("id is %d, want the job's number", p.ID))
	}
	if p.JobInfo.ProjectID <= 0 {
		problems = append(problems, fmt.Errorf("job_info.project_id is %d, want the project's number", p.JobInfo.ProjectID))
	}
	if p.GitInfo.Ref == "" {
		problems = append(problems, errors.New("git_info.ref is empty, want the branch or tag"))
	}
	if _, err := instanceOf(p.GitInfo.RepoURL); err != nil {
		problems = append(problems, fmt.Errorf("git_info.repo_url %w", err))
	}
	return &p, errors.Join(problems...)
}
