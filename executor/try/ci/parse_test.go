package ci

import (
	"reflect"
	"strings"
	"testing"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/executor/runner"
)

func TestAJobIsWhatItsAuthorWrote(t *testing.T) {
	t.Parallel()
	image := func(name string) runner.Image { return runner.Image{Name: name} }
	full := image("golang:1.26")
	full.Entrypoint, full.PullPolicies = []string{""}, []string{"always", "if-not-present"}
	full.Options.Docker.Platform, full.Options.Docker.User = "linux/amd64", "1000"
	public := func(key, value string) runner.Variable { return runner.Variable{Key: key, Value: value, Public: true} }
	cases := map[string]struct {
		file, job string
		want      Job
	}{
		"the only job needs no name": {
			"test:\n  image: golang:1.26\n  script: go test ./...\n", "",
			Job{Name: "test", Stage: "test", Image: image("golang:1.26"), Script: []string{"go test ./..."}},
		},
		"default gives what the job lacks, before_script goes first": {
			"default:\n  image: golang:1.26\n  before_script: [go version]\n  tags: [docker]\n" +
				"a:\n  stage: build\n  script:\n    - go build ./...\nb:\n  image: alpine\n  before_script: []\n  script: [ls]\n", "a",
			Job{Name: "a", Stage: "build", Image: image("golang:1.26"), Script: []string{"go version", "go build ./..."}, Ignored: []string{"stage"}},
		},
		"an empty before_script of the job's own switches the default off": {
			"default:\n  before_script: [go version]\nb:\n  image: alpine\n  before_script: []\n  script: [ls]\n", "b",
			Job{Name: "b", Stage: "test", Image: image("alpine"), Script: []string{"ls"}},
		},
		"the old way: shared keywords at top level": {
			"image: golang:1.26\nservices: [redis]\nafter_script: [date]\nvariables: {A: a, B: b}\n" +
				"test:\n  variables: {B: c}\n  script: [ls]\n", "test",
			Job{
				Name: "test", Stage: "test", Image: image("golang:1.26"), Services: []runner.Image{image("redis")},
				Variables: []runner.Variable{public("A", "a"), public("B", "b"), public("B", "c")}, Script: []string{"ls"}, AfterScript: []string{"date"},
			},
		},
		"an image and a service in full": {
			"test:\n  image:\n    name: golang:1.26\n    entrypoint: ['']\n    pull_policy: [always, if-not-present]\n" +
				"    docker: {platform: linux/amd64, user: 1000}\n  services:\n    - name: postgres:16\n      alias: db\n      command: -c fsync=off\n" +
				"      variables: {POSTGRES_PASSWORD: x}\n  script: [ls]\n", "test",
			Job{
				Name: "test", Stage: "test", Image: full, Script: []string{"ls"}, Services: []runner.Image{{
					Name: "postgres:16", Alias: "db", Command: []string{"-c fsync=off"}, Variables: []runner.Variable{public("POSTGRES_PASSWORD", "x")},
				}},
			},
		},
		"anchors, merge keys and lists in lists": {
			".go: &go\n  image: golang:1.26\n  variables: &vars {GOFLAGS: -mod=mod}\n.setup: &setup\n  - go version\n  - [go env, [pwd]]\n" +
				"test:\n  <<: *go\n  variables:\n    <<: *vars\n    CGO_ENABLED: '0'\n  script:\n    - *setup\n    - go test ./...\n", "test",
			Job{
				Name: "test", Stage: "test", Image: image("golang:1.26"), Script: []string{"go version", "go env", "pwd", "go test ./..."},
				Variables: []runner.Variable{public("CGO_ENABLED", "0"), public("GOFLAGS", "-mod=mod")},
			},
		},
		"of two merged mappings the first wins, over both the job": {
			".a: &a {image: one, stage: a}\n.b: &b {image: two, before_script: [b]}\ntest:\n  <<: [*a, *b]\n  stage: c\n  script: ls\n", "test",
			Job{Name: "test", Stage: "c", Image: image("one"), Script: []string{"b", "ls"}, Ignored: []string{"stage"}},
		},
		"variables in all their forms; a number loses its zeros as in GitLab": {
			"test:\n  script: [ls]\n  variables:\n    GO: 1.20\n    QUOTED: '1.20'\n    N: 16\n    EMPTY:\n" +
				"    D: {value: 'x$y', expand: false, description: why, options: [x$y]}\n", "test",
			Job{Name: "test", Stage: "test", Script: []string{"ls"}, Variables: []runner.Variable{
				public("GO", "1.2"), public("QUOTED", "1.20"), public("N", "16"), public("EMPTY", ""),
				{Key: "D", Value: "x$y", Public: true, Raw: true},
			}},
		},
		"what is for pipelines only is named": {
			"stages: [a]\nworkflow: {rules: [{when: always}]}\n" +
				"test:\n  script: [ls]\n  rules: [{if: $CI}]\n  artifacts: {paths: [x]}\n  needs: []\n  tags: [x]\n", "test",
			Job{Name: "test", Stage: "test", Script: []string{"ls"}, Ignored: []string{"rules", "artifacts", "needs", "tags"}},
		},
		"what another job uses does not matter": {
			".base:\n  script: [x]\nother:\n  extends: .base\n  secrets: {}\nbridge:\n  trigger: group/project\ntest:\n  script: [ls]\n", "test",
			Job{Name: "test", Stage: "test", Script: []string{"ls"}},
		},
		"a job for Pages is a job": {
			"pages:\n  script: [make]\n  pages: true\n", "",
			Job{Name: "pages", Stage: "test", Script: []string{"make"}, Ignored: []string{"pages"}},
		},
		"a job whose name is a number": {
			"1.26:\n  script: [ls]\n", "1.26",
			Job{Name: "1.26", Stage: "test", Script: []string{"ls"}},
		},
		"several lines in one command": {
			"test:\n  script:\n    - |\n      if true; then\n        ls\n      fi\n", "test",
			Job{Name: "test", Stage: "test", Script: []string{"if true; then\n  ls\nfi\n"}},
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := Parse([]byte(c.file), c.job)
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(got, &c.want) {
				t.Errorf("got  %+v\nwant %+v", got, &c.want)
			}
		})
	}
}

func TestWhatCannotBeRunIsRefusedWithLineAndRemedy(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		file, job string
		want      []string
	}{
		"an empty file":                    {"", "", []string{"is empty", "--image"}},
		"no YAML":                          {"test: [\n", "", []string{"is not YAML", "line 1"}},
		"a list":                           {"- a\n", "", []string{"cannot be read"}},
		"a key twice":                      {"test:\n  script: a\n  script: b\n", "", []string{`"script" already defined`}},
		"an alias within its own anchor":   {"a: &a\n  script: *a\n", "", []string{"cannot be read", "contains itself"}},
		"several jobs and none named":      {"a: {script: x}\n.h: {script: x}\nb: {script: x}\n", "", []string{"--job", "there are: a, b"}},
		"no job at all":                    {"variables: {A: b}\n", "", []string{"no job that could be run", "--image"}},
		"a job that is not there":          {"a: {script: x}\n", "b", []string{"no such job", "there are: a"}},
		"a hidden job":                     {"a: {script: x}\n.h: {script: x}\n", ".h", []string{"hidden", "there are: a"}},
		"a keyword for a job":              {"a: {script: x}\nvariables: {}\n", "variables", []string{"is a keyword", "there are: a"}},
		"include":                          {"include: x.yml\na: {script: x}\n", "", []string{".gitlab-ci.yml:1: include", "--image"}},
		"inputs":                           {"spec: {inputs: {x: {}}}\n---\na: {script: x}\n", "", []string{"spec", "inputs"}},
		"extends":                          {".b: {image: x}\na:\n  extends: .b\n", "", []string{".gitlab-ci.yml:3: extends", "anchors"}},
		"!reference":                       {".b: {script: [x]}\na:\n  script:\n    - !reference [.b, script]\n", "", []string{".gitlab-ci.yml:4: !reference", "anchor"}},
		"!reference in variables":          {".b: {variables: {A: a}}\na:\n  variables: !reference [.b, variables]\n  script: [x]\n", "", []string{".gitlab-ci.yml:3: !reference"}},
		"parallel":                         {"a:\n  parallel: 4\n  script: x\n", "", []string{":2: parallel", "--variable"}},
		"a bridge":                         {"a:\n  trigger: x/y\n", "", []string{":2: trigger", "--job"}},
		"hooks of all jobs":                {"default:\n  hooks: {pre_get_sources_script: [x]}\na: {script: x}\n", "", []string{":2: default:hooks"}},
		"a keyword misspelt":               {"a:\n  imgae: x\n  script: x\n", "", []string{":2: imgae is not a keyword", "did you mean image?"}},
		"a keyword of default misspelt":    {"default:\n  sevices: [x]\na: {script: x}\n", "", []string{":2: default:sevices", "did you mean services?"}},
		"a keyword at top level misspelt":  {"variabels:\n  A: b\na: {script: x}\n", "", []string{":1: variabels", "did you mean variables?"}},
		"an unknown keyword":               {"a:\n  frobnicate: x\n  script: x\n", "", []string{"frobnicate is not a keyword here; known are", "before_script"}},
		"image twice":                      {"image: x\ndefault:\n  image: y\na: {script: x}\n", "", []string{":3: default:image", "GitLab refuses"}},
		"an image without name":            {"a:\n  image: {entrypoint: ['']}\n  script: x\n", "", []string{"image has no name"}},
		"a service's key misspelt":         {"a:\n  services: [{name: x, alais: y}]\n  script: x\n", "", []string{"services:alais", "did you mean alias?"}},
		"services that are no list":        {"a:\n  services: redis\n  script: x\n", "", []string{`services is "redis", want a list`}},
		"the colon trap":                   {"a:\n  script:\n    - echo \"a\": b\n", "", []string{":3: script has a mapping", "quotes"}},
		"a switch without quotes":          {"a:\n  variables: {CGO_ENABLED: false}\n  script: x\n", "", []string{"variables:CGO_ENABLED is false without quotes", `"false"`}},
		"variables that are a list":        {"a:\n  variables: [A]\n  script: x\n", "", []string{"variables is a list"}},
		"a variable that is a list":        {"a:\n  variables: {A: [b]}\n  script: x\n", "", []string{"variables:A is a list"}},
		"a name that no shell can export":  {"a:\n  variables: {A-B: c}\n  script: x\n", "", []string{"variables:A-B", "letters"}},
		"a job without script":             {"a:\n  image: x\n", "a", []string{"has no script"}},
		"everything that is wrong at once": {"a:\n  imgae: x\n  extends: .b\n  variables: [A]\n  script: x\n", "", []string{":2: imgae", ":3: extends", ":4: variables"}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			job, err := Parse([]byte(c.file), c.job)
			if err == nil {
				t.Fatalf("no error, but %+v", job)
			}
			for _, want := range c.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("the error lacks %q:\n%v", want, err)
				}
			}
		})
	}
}

// A file is read on behalf of somebody else: none may keep the reader busy, or end the program.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		"a: {script: x}", "<<: {a: {script: x}}", "a: &a\n  <<: *a\n  script: x", "a: {script: [[[]]], variables: {A: {value: 1}}}",
		"a: &a [x,x,x]\nb: &b [*a,*a,*a]\nc: {script: [*b,*b]}", "? [a]\n: {script: x}",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, file string) {
		if job, err := Parse([]byte(file), ""); (job == nil) == (err == nil) {
			t.Errorf("%q gives %+v and %v", file, job, err)
		}
	})
}
