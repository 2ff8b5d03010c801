package ci

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/executor/runner"
)

// File is the name that GitLab reads jobs from.
const File = ".gitlab-ci.yml"

// Job is what one job of the file asks for, what it shares with others included.
type Job struct {
	Name        string
	Stage       string
	Image       runner.Image // Name is empty if neither the job nor the file names one
	Services    []runner.Image
	Variables   []runner.Variable // as defined, not expanded; of two with one name the last counts
	Script      []string          // before_script and script, as GitLab hands them to the Runner: in one
	AfterScript []string
	Ignored     []string // keywords of the job that a single run has no use for
}

// Parse reads the job called name; without a name, the only job there is. Errors begin with file and line.
func Parse(data []byte, name string) (*Job, error) {
	p := &parser{}
	root, err := p.document(data)
	if err != nil {
		return nil, err
	}
	p.top(root)
	entry, err := choose(root, name)
	if err != nil {
		return nil, errors.Join(append(p.problems, err)...)
	}
	job := p.job(root, entry)
	if len(p.problems) > 0 {
		return nil, errors.Join(p.problems...)
	}
	return job, nil
}

// parser collects what is wrong.
type parser struct{ problems []error }

func (p *parser) problem(at *yaml.Node, format string, args ...any) {
	p.problems = append(p.problems, fmt.Errorf("%s:%d: %s", File, at.Line, fmt.Sprintf(format, args...)))
}

// document finds the mapping that the file consists of.
func (p *parser) document(data []byte) (fields, error) {
	var doc yaml.Node
	in := yaml.NewDecoder(bytes.NewReader(data))
	switch err := in.Decode(&doc); {
	case errors.Is(err, io.EOF):
		return nil, fmt.Errorf("%s is empty: %s", File, byHand)
	case err != nil:
		return nil, fmt.Errorf("%s is not YAML: %w", File, err)
	}
	// The library's own conversion finds what the nodes do not show: keys given twice, an alias inside its own anchor, a
	// few lines of aliases that unfold to gigabytes.
	var discard map[string]any
	if err := doc.Decode(&discard); err != nil {
		return nil, fmt.Errorf("%s cannot be read: %w", File, err)
	}
	return mapping(doc.Content[0]), nil
}

// top checks the words at the top of the file and under default.
func (p *parser) top(root fields) {
	for _, f := range root {
		if why, ok := refusedGlobally[f.name]; ok {
			p.problem(f.key, "%s: %s", f.name, why)
			continue
		}
		if isWord(f.name) || strings.HasPrefix(f.name, ".") || looksLikeJob(f.value) {
			continue
		}
		known := slices.Concat(topLevel, words(refusedGlobally))
		p.problem(f.key, "%s is no job, for it has no script, and %s", f.name, unknown(f.name, known...))
	}
	global := root.get("default")
	for _, f := range mapping(global) {
		switch {
		case refused[f.name] != "":
			p.problem(f.key, "default:%s %s", f.name, refused[f.name])
		case slices.Contains(shared, f.name):
			if root.get(f.name) != nil {
				p.problem(f.key, "default:%s and %s at top level cannot both be given: GitLab refuses the file", f.name, f.name)
			}
		case !slices.Contains(inDefault, f.name):
			p.problem(f.key, "default:%s %s", f.name, unknown(f.name, slices.Concat(shared, inDefault)...))
		}
	}
}

// isWord says whether a word at the top of the file is a keyword; every other one is the name of a job.
func isWord(name string) bool { return slices.Contains(topLevel, name) || refusedGlobally[name] != "" }

// looksLikeJob says whether a value at the top of the file is a job's: what GitLab asks of one.
func looksLikeJob(n *yaml.Node) bool {
	job := mapping(n)
	return slices.ContainsFunc([]string{"script", "extends", "trigger", "run"}, func(k string) bool { return job.get(k) != nil })
}

// choose finds the job to run.
func choose(root fields, name string) (field, error) {
	var names []string
	for _, f := range root {
		if !isWord(f.name) && !strings.HasPrefix(f.name, ".") && looksLikeJob(f.value) {
			names = append(names, f.name)
		}
	}
	list := "there are: " + strings.Join(names, ", ")
	if len(names) == 0 {
		list = "there are none"
	}
	switch {
	case name == "" && len(names) == 1:
		name = names[0]
	case name == "" && len(names) == 0:
		return field{}, fmt.Errorf("%s has no job that could be run: %s", File, byHand)
	case name == "":
		return field{}, fmt.Errorf("%s has several jobs, name one with --job; %s", File, list)
	case strings.HasPrefix(name, "."):
		return field{}, fmt.Errorf("--job %s: a job whose name begins with a dot is hidden and never run; name another one, %s", name, list)
	case isWord(name):
		return field{}, fmt.Errorf("--job %s: this is a keyword of %s and not a job; name a job, %s", name, File, list)
	}
	for _, f := range root {
		if f.name == name && f.value.Kind == yaml.MappingNode {
			return f, nil
		}
	}
	return field{}, fmt.Errorf("--job %s: %s has no such job; %s", name, File, list)
}

// job reads the job and what it shares with the others.
func (p *parser) job(root fields, entry field) *Job {
	job := &Job{Name: entry.name, Stage: "test"} // GitLab's default stage
	own := mapping(entry.value)
	p.keywords(own, job)
	global := mapping(root.get("default"))
	inherited := func(keyword string) *yaml.Node {
		for _, from := range []fields{own, global, root} {
			if n := from.get(keyword); n != nil && !p.hasReference(n) {
				return n
			}
		}
		return nil
	}
	if n := inherited("image"); n != nil {
		job.Image = p.image("image", n)
	}
	for _, n := range p.list("services", inherited("services")) {
		job.Services = append(job.Services, p.image("services", n))
	}
	job.Variables = append(p.variables(root.get("variables")), p.variables(own.get("variables"))...)
	job.Script = append(p.script("before_script", inherited("before_script")), p.script("script", inherited("script"))...)
	job.AfterScript = p.script("after_script", inherited("after_script"))
	return job
}

// keywords checks the words of the job.
func (p *parser) keywords(own fields, job *Job) {
	runnable := true
	for _, f := range own {
		why, no := refused[f.name]
		switch {
		case no:
			p.problem(f.key, "%s %s", f.name, why)
			runnable = false
		case f.name == "stage":
			job.Stage = f.value.Value
			job.Ignored = append(job.Ignored, f.name)
		case slices.Contains(ignored, f.name):
			job.Ignored = append(job.Ignored, f.name)
		case !slices.Contains(supported, f.name):
			p.problem(f.key, "%s %s", f.name, unknown(f.name, slices.Concat(supported, ignored, words(refused))...))
		}
	}
	if runnable && own.get("script") == nil {
		p.problems = append(p.problems, fmt.Errorf("%s: the job %s has no script, so there is nothing to run", File, job.Name))
	}
}
