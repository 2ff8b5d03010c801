package try

import (
	"bytes"
	"reflect"
	"strings"
	"testing"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/executor/outcome"
	"gitlab.com/gitlab-go-executor/gitlab-go-executor/executor/runner"
	"gitlab.com/gitlab-go-executor/gitlab-go-executor/executor/settings"
	"gitlab.com/gitlab-go-executor/gitlab-go-executor/executor/try/ci"
)

func TestVariablesAreExpandedAsGitLabAndRunnerDo(t *testing.T) {
	t.Parallel()
	plain := func(key, value string) runner.Variable { return runner.Variable{Key: key, Value: value} }
	cases := map[string]struct {
		given variables
		want  map[string]string
	}{
		"in any order":             {variables{plain("A", "$B/x"), plain("B", "${C}y"), plain("C", "z")}, map[string]string{"A": "zy/x", "B": "zy", "C": "z"}},
		"unknown ones are nothing": {variables{plain("A", "a${NO}b$NO")}, map[string]string{"A": "ab"}},
		"a dollar sign":            {variables{plain("A", "$$B"), plain("B", "x")}, map[string]string{"A": "$B", "B": "x"}},
		"raw ones stay":            {variables{{Key: "A", Value: "$B", Raw: true}, plain("B", "[$A]")}, map[string]string{"A": "$B", "B": "[$B]"}},
		"the last one counts":      {variables{plain("A", "1"), plain("B", "$A"), plain("A", "2")}, map[string]string{"A": "2", "B": "2"}},
		"itself is unknown":        {variables{plain("A", "$A:x")}, map[string]string{"A": ":x"}},
		"a circle ends":            {variables{plain("A", "a$B"), plain("B", "b$A")}, map[string]string{"A": "ab", "B": "b"}},
		"a regexp is left alone":   {variables{{Key: "A", Value: "^x$", Raw: true}}, map[string]string{"A": "^x$"}},
	}
	for name, c := range cases {
		if got := c.given.expanded(); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

func TestVariablesOfTheCommandLine(t *testing.T) {
	t.Parallel()
	got, err := parseVariables([]string{"A=b=c", "B="})
	if err != nil || len(got) != 2 || got[0].Value != "b=c" || !got[0].Raw || got[1].Value != "" {
		t.Errorf("%+v, %v", got, err)
	}
	for _, arg := range []string{"A", "=b", "1A=b", "A-B=c", ""} {
		if _, err := parseVariables([]string{arg}); err == nil || !strings.Contains(err.Error(), "KEY=VALUE") {
			t.Errorf("%q: %v", arg, err)
		}
	}
}

func TestAVerdictIsRunners(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		ends    []ended
		stopped error
		outcome outcome.Outcome
		code    int // -1: none
	}{
		"nothing failed":             {[]ended{{"config", 0, "1"}, {"build_script", 0, "1"}}, nil, outcome.Success, 0},
		"config refuses the job":     {[]ended{{"config", 1, "1\n"}}, nil, outcome.JobInvalid, 1},
		"prepare refuses the job":    {[]ended{{"config", 0, "1"}, {"prepare", 1, "1\n"}, {"cleanup", 0, "1"}}, nil, outcome.JobInvalid, 1},
		"the script":                 {[]ended{{"build_script", 1, "42\n"}, {"after_script", 2, "42"}}, nil, outcome.ScriptFailed, 42},
		"a code of several lines":    {[]ended{{"build_script", 1, "42\nx"}}, nil, outcome.ScriptFailed, 42},
		"no number":                  {[]ended{{"build_script", 1, "x\n"}}, nil, outcome.SystemFailed, -1},
		"an empty file":              {[]ended{{"build_script", 1, ""}}, nil, outcome.SystemFailed, -1},
		"a code of Go's, for panics": {[]ended{{"build_script", 3, "1"}}, nil, outcome.SystemFailed, -1},
		"the first failure counts":   {[]ended{{"get_sources", 2, "1"}, {"build_script", 1, "1"}}, nil, outcome.SystemFailed, -1},
		"only what counts":           {[]ended{{"after_script", 1, "1"}, {"cleanup_file_variables", 2, "1"}, {"cleanup", killed, "1"}}, nil, outcome.Success, 0},
		"interrupted":                {[]ended{{"build_script", 2, "1"}}, errInterrupted, outcome.Canceled, -1},
		"out of time":                {[]ended{{"build_script", 2, "1"}}, outcome.ErrTimedOut, outcome.TimedOut, -1},
	}
	for name, c := range cases {
		got, code := verdict(c.ends, c.stopped)
		if got != c.outcome || (code == nil) != (c.code == -1) || (code != nil && *code != c.code) {
			t.Errorf("%s: %s, %v; want %s, %d", name, got, code, c.outcome, c.code)
		}
	}
}

func TestTheTableSetsOverheadAgainstScript(t *testing.T) {
	t.Parallel()
	zero := 0
	report := newReport([]Result{
		{TotalSeconds: 20, Stages: map[string]float64{"config": 0.5, "prepare": 3.5, "build_script": 15, "after_script": 1}, ExitCode: &zero, Outcome: outcome.Success},
		{TotalSeconds: 8, Stages: map[string]float64{"config": 0.5, "prepare": 1.5, "build_script": 6}, ExitCode: &zero, Outcome: outcome.Success},
	})
	var out bytes.Buffer
	if err := report.table(&out); err != nil {
		t.Fatal(err)
	}
	want := `stage          run 1     run 2
config         0.50 s    0.50 s
prepare        3.50 s    1.50 s
build_script   15.00 s   6.00 s
after_script   1.00 s    -
total          20.00 s   8.00 s
  script       16.00 s   6.00 s
  overhead     4.00 s    2.00 s
outcome        success   success
exit code      0         0
speedup        2.50
`
	if out.String() != want {
		t.Errorf("got\n%s\nwant\n%s", out.String(), want)
	}
}

func TestTheTableTellsWhatTheCachesDid(t *testing.T) {
	t.Parallel()
	warm := Result{Outcome: outcome.Success, Caches: Caches{Reason: new("exact"), RestoreSeconds: new(0.02), ToScriptSeconds: new(0.5), SaveSeconds: new(0.1), SavedBytes: new(int64(2048))}}
	warm.Modules.Wanted, warm.Modules.Missed = new(35), new(1)
	warm.Build.Hit, warm.Build.New = new(475), new(7)
	warm.Tests.OK, warm.Tests.Cached = new(12), new(11)
	var out bytes.Buffer
	if err := newReport([]Result{{Outcome: outcome.SystemFailed}, warm}).table(&out); err != nil {
		t.Fatal(err)
	}
	want := `restore        -               0.02 s
to script      -               0.50 s
save           -               0.10 s
cache reason   -               exact
modules hit    -               34/35
packages hit   -               475/482
tests cached   -               11/12
saved          -               2KiB
`
	if !strings.HasSuffix(out.String(), want) {
		t.Errorf("got\n%s\nwant at its end\n%s", out.String(), want)
	}
}

func TestASpeedupNeedsTwoSuccesses(t *testing.T) {
	t.Parallel()
	ok := Result{TotalSeconds: 2, Outcome: outcome.Success}
	bad := Result{TotalSeconds: 1, Outcome: outcome.ScriptFailed}
	for name, runs := range map[string][]Result{"one run": {ok}, "the last failed": {ok, bad}, "the first failed": {bad, ok}} {
		if s := newReport(runs).Speedup; s != nil {
			t.Errorf("%s: %v", name, *s)
		}
	}
}

func TestTheStagesSettingsAreTheAdministratorsButForWhatATryNeeds(t *testing.T) {
	t.Parallel()
	base := settings.Default()
	base.Docker.Volumes = make([]string, 0, 9) // room that a careless append would share
	base.Docker.AllowedImages = []string{"golang:*"}
	s := stageSettings(base, "/state", "", "/a:/b:ro")
	if s.StateDir != "/state" || s.Docker.HelperImage != base.Docker.HelperImage || !reflect.DeepEqual(s.Docker.Volumes, []string{"/a:/b:ro"}) ||
		!reflect.DeepEqual([]string(s.Docker.PullPolicy), []string{"if-not-present"}) || !reflect.DeepEqual(s.Docker.AllowedImages, base.Docker.AllowedImages) {
		t.Errorf("%+v", s.Docker)
	}
	// Without a list the policies of pull_policy are allowed to jobs; that shall not change.
	if !reflect.DeepEqual(s.Docker.AllowedPullPolicies, []string{"always", "if-not-present"}) {
		t.Errorf("allowed: %v", s.Docker.AllowedPullPolicies)
	}
	if len(base.Docker.Volumes) != 0 || len(base.Docker.AllowedPullPolicies) != 0 || base.Docker.PullPolicy[0] != "always" {
		t.Errorf("the administrator's settings were changed: %+v", base.Docker)
	}
}

func TestTheImagesOfAJobAreThoseItMayPull(t *testing.T) {
	t.Parallel()
	p := testPlan(&ci.Job{
		Image:     runner.Image{Name: "golang:$GO"},
		Services:  []runner.Image{{Name: "redis"}, {Name: "local", PullPolicies: []string{"never"}}, {Name: "redis", Alias: "other"}},
		Variables: []runner.Variable{{Key: "GO", Value: "1.26"}},
	})
	s := settings.Default()
	s.Docker.HelperImage = "helper"
	if got := strings.Join(p.images(s), " "); got != "golang:1.26 helper redis" {
		t.Error(got)
	}
	p.spec.Image.Name, s.Docker.Image = "", "standard"
	if got := p.images(s)[0]; got != "standard" {
		t.Error(got)
	}
}

func TestTheHostsWayToModulesIsTheJobs(t *testing.T) {
	t.Parallel()
	getenv := func(name string) string {
		return map[string]string{"HTTPS_PROXY": "http://proxy:3128", "no_proxy": "x"}[name]
	}
	cases := map[string]struct {
		goEnv map[string]string
		want  string
	}{
		"what every Go has": {nil, ""},
		"a company's":       {map[string]string{"GOSUMDB": "off", "GOPROXY": "https://goproxy.example.com"}, "GOPROXY=https://goproxy.example.com GOSUMDB=off "},
	}
	for name, c := range cases {
		var got []string
		for _, v := range fromHost(c.goEnv, getenv) {
			got = append(got, v.Key+"="+v.Value)
		}
		if want := c.want + "HTTPS_PROXY=http://proxy:3128 no_proxy=x"; strings.Join(got, " ") != want {
			t.Errorf("%s: %v, want %s", name, got, want)
		}
	}
}

func TestWhatIsMountedBelowAFolderIsFoundInnermostFirst(t *testing.T) {
	t.Parallel()
	table := `22 1 8:1 / / rw shared:1 - ext4 /dev/sda1 rw
30 22 7:0 / /tmp/try-1/state/mnt/ab ro - squashfs /dev/loop0 ro
31 22 0:40 / /tmp/try-1/state/jobs/a\040b/mount rw - overlay overlay rw
32 31 0:41 / /tmp/try-1/state/jobs/a\040b/mount rw - tmpfs tmpfs rw
33 22 0:42 / /tmp/try-12/other rw - tmpfs tmpfs rw
34 22 0:43 / /tmp/try-1 rw - tmpfs tmpfs rw
`
	want := []string{"/tmp/try-1/state/jobs/a b/mount", "/tmp/try-1/state/jobs/a b/mount", "/tmp/try-1/state/mnt/ab"}
	if got := mountsBelow("/tmp/try-1", table); !reflect.DeepEqual(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestSlugsAreGitLabs(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"main": "main", "feature/Größe_2": "feature-gr--e-2", "-x-": "x", strings.Repeat("a", 80): strings.Repeat("a", 63),
	} {
		if got := slug(name); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
}
