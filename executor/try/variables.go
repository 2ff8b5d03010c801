package try

import (
	"fmt"
	"os"
	"path"
	"regexp"
	"strings"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/executor/runner"
)

// variables are a job's variables in the order in which Runner appends them: of several with one name the last counts.
type variables []runner.Variable

// set appends values that are meant literally, given as key, value, key, value.
func (vs *variables) set(pairs ...string) {
	for i := 0; i+1 < len(pairs); i += 2 {
		*vs = append(*vs, runner.Variable{Key: pairs[i], Value: pairs[i+1], Public: true, Raw: true})
	}
}

// expanded gives each variable's value with the variables in it replaced: unknown ones by nothing, $$ by a dollar sign
// (common/spec/variables.go of GitLab Runner), in any order of definition, as GitLab does before Runner sees them. A
// variable within itself is unknown.
func (vs variables) expanded() map[string]string {
	last := map[string]runner.Variable{}
	for _, v := range vs {
		last[v.Key] = v
	}
	all := map[string]string{"$": "$"}
	var value func(key string) string
	value = func(key string) string {
		v, known := last[key]
		if text, done := all[key]; done || !known {
			return text
		}
		all[key] = "" // what the variable is within itself
		if v.Raw {
			all[key] = v.Value
		} else {
			all[key] = os.Expand(v.Value, value)
		}
		return all[key]
	}
	for _, v := range vs { // in their order, so that a cycle gives the same each time
		value(v.Key)
	}
	delete(all, "$")
	return all
}

// expand replaces the variables in a text.
func expand(text string, values map[string]string) string {
	return os.Expand(text, func(key string) string {
		if key == "$" {
			return key
		}
		return values[key]
	})
}

// shellName is what a shell can export.
var shellName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// parseVariables reads KEY=VALUE arguments. Their values are literal: the caller's shell has expanded what it should.
func parseVariables(args []string) (variables, error) {
	var vs variables
	for _, arg := range args {
		key, value, ok := strings.Cut(arg, "=")
		if !ok || !shellName.MatchString(key) {
			return nil, fmt.Errorf("--variable %q: want KEY=VALUE, with a KEY of letters, digits and underscores that begins with no digit", arg)
		}
		vs.set(key, value)
	}
	return vs, nil
}

// fromGitLab are the variables that GitLab and Runner define for every job, as far as they mean something here
// (https://docs.gitlab.com/ci/variables/predefined_variables/).
func (p *plan) fromGitLab(id int64, projectDir string) variables {
	s := p.source
	group, name := path.Split(s.project)
	group = strings.TrimSuffix(group, "/")
	root, _, _ := strings.Cut(group, "/")
	var vs variables
	vs.set(
		"CI", "true", "GITLAB_CI", "true",
		"CI_SERVER", "yes", "CI_SERVER_NAME", "GitLab", "CI_SERVER_HOST", host, "CI_SERVER_PROTOCOL", "http", "CI_SERVER_PORT", "80",
		"CI_SERVER_FQDN", host, "CI_SERVER_URL", "http://"+host,
		"CI_PROJECT_ID", fmt.Sprint(s.projectID), "CI_PROJECT_NAME", name, "CI_PROJECT_TITLE", name,
		"CI_PROJECT_PATH", s.project, "CI_PROJECT_PATH_SLUG", slug(s.project), "CI_PROJECT_NAMESPACE", group,
		"CI_PROJECT_ROOT_NAMESPACE", root, "CI_PROJECT_URL", "http://"+host+"/"+s.project,
		"CI_REPOSITORY_URL", s.url(), "CI_DEFAULT_BRANCH", s.defaultBranch,
		"CI_COMMIT_SHA", s.sha, "CI_COMMIT_SHORT_SHA", s.sha[:8], "CI_COMMIT_BEFORE_SHA", strings.Repeat("0", len(s.sha)),
		"CI_COMMIT_REF_NAME", s.ref, "CI_COMMIT_REF_SLUG", slug(s.ref), "CI_COMMIT_REF_PROTECTED", fmt.Sprint(p.protected),
		"CI_COMMIT_MESSAGE", s.message, "CI_COMMIT_TITLE", s.title, "CI_COMMIT_AUTHOR", s.author, "CI_COMMIT_TIMESTAMP", s.timestamp,
		refVariable(s.refType), s.ref,
		"CI_PIPELINE_ID", fmt.Sprint(id), "CI_PIPELINE_IID", "1", "CI_PIPELINE_SOURCE", "push",
		"CI_JOB_ID", fmt.Sprint(id), "CI_JOB_NAME", p.spec.Name, "CI_JOB_NAME_SLUG", slug(p.spec.Name), "CI_JOB_STAGE", p.spec.Stage,
		"CI_JOB_TIMEOUT", fmt.Sprint(int64(p.timeout.Seconds())), "CI_NODE_TOTAL", "1", "CI_CONCURRENT_ID", "0", "CI_CONCURRENT_PROJECT_ID", "0",
		"CI_RUNNER_ID", "1", "CI_RUNNER_DESCRIPTION", "gitlab-go-executor try", "CI_RUNNER_SHORT_TOKEN", "try", "CI_SHARED_ENVIRONMENT", "true",
		"CI_BUILDS_DIR", runner.BuildsDir, "CI_PROJECT_DIR", projectDir,
	)
	if p.spec.Image.Name != "" {
		vs = append(vs, runner.Variable{Key: "CI_JOB_IMAGE", Value: p.spec.Image.Name, Public: true})
	}
	return vs
}

// refVariable is the name of the variable that only branches, or only tags, have.
func refVariable(refType string) string {
	if refType == "tag" {
		return "CI_COMMIT_TAG"
	}
	return "CI_COMMIT_BRANCH"
}
