package runner

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/executor/outcome"
)

const minimal = `{"id":7,"job_info":{"project_id":3},"git_info":{"repo_url":"https://gitlab.example.com/g/p.git","ref":"main"}}`

func TestThePayloadOfRunner194IsRead(t *testing.T) {
	t.Parallel()
	p, err := ReadPayload("testdata/payload-19.4.json")
	if err != nil {
		t.Fatal(err)
	}
	if p.Image.Name != "golang:1.26" || !slices.Equal(p.Image.PullPolicies, []string{"always", "if-not-present"}) || p.Image.Options.Docker.User != "1000" {
		t.Errorf("image: %+v", p.Image)
	}
	if got := p.Services[0].Aliases(); !slices.Equal(got, []string{"db", "database", "sql"}) {
		t.Errorf("aliases of the service: %q", got)
	}
	if p.Timeout() != time.Hour || !p.UsesRunnerCommands() {
		t.Errorf("timeout %s, artifacts %v", p.Timeout(), p.UsesRunnerCommands())
	}
	secrets := p.SecretValues()
	for _, want := range []string{"job-token", "registry-password", "masked-value", "hidden-value", "dependency-token"} {
		if !slices.Contains(secrets, want) {
			t.Errorf("%q is not known as a secret", want)
		}
	}
	if slices.Contains(secrets, "public-value") {
		t.Error("a public variable is taken for a secret")
	}
}

func TestAPayloadOfAnyReleaseIsTolerated(t *testing.T) {
	t.Parallel()
	for name, extra := range map[string]string{
		"inputs as an object, as Runner writes it": `"inputs":{}`,
		"inputs as an array, as GitLab sends it":   `"inputs":[{"key":"a"}]`,
		"run as a text":                            `"run":"[]"`,
		"run as a list":                            `"run":[]`,
		"a null image":                             `"image":null`,
		"null lists":                               `"services":null,"variables":null,"cache":null,"secrets":null`,
		"a number as user":                         `"image":{"name":"a","executor_opts":{"docker":{"user":1000}}}`,
		"fields yet to come":                       `"new_thing":{"x":[1,2]}`,
		"protected is null":                        `"git_info":{"repo_url":"https://h/p.git","ref":"main","protected":null}`,
	} {
		if _, err := ParsePayload([]byte(strings.Replace(minimal, "{", "{"+extra+",", 1))); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestABadPayloadSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	cases := map[string]struct{ payload, want string }{
		"empty":            {"", "not the JSON of a job"},
		"cut off":          {minimal[:20], "not the JSON of a job"},
		"no number":        {`{"id":"seven"}`, "id is a JSON string, want int64"},
		"everything amiss": {`{}`, "id is 0"},
		"no project":       {`{"id":1,"git_info":{"ref":"main"}}`, "job_info.project_id is 0"},
		"no ref":           {`{"id":1,"job_info":{"project_id":1}}`, "git_info.ref is empty"},
		"no clone URL":     {`{"id":1,"job_info":{"project_id":1},"git_info":{"ref":"main"}}`, "git_info.repo_url has no host"},
		"no host":          {`{"id":1,"git_info":{"repo_url":"/tmp/x"}}`, "git_info.repo_url has no host"},
		"a strange host":   {`{"id":1,"git_info":{"repo_url":"https://gitläb.example.com/p.git"}}`, "git_info.repo_url has the host"},
		"user is a list":   {`{"image":{"executor_opts":{"docker":{"user":[1]}}}}`, "want a text or a number"},
	}
	for name, c := range cases {
		if _, err := ParsePayload([]byte(c.payload)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v; want it to say %q", name, err, c.want)
		}
	}
	_, err := ReadPayload(filepath.Join(t.TempDir(), "gone.json"))
	if f := outcome.Of(err); f.Reason != outcome.PayloadInvalid || f.UsersFault() {
		t.Errorf("a missing file: %s, %v", f.Reason, err)
	}
	_, err = ParsePayload([]byte(`{"id":1,"job_info":{"project_id":1},"git_info":{"ref":"x","repo_url":"https://u:secret@h\u0000/p"}}`))
	if err == nil || strings.Contains(err.Error(), "secret") {
		t.Errorf("the job's token must not be in the error: %v", err)
	}
}

func TestAJobThatRunnerMadeUpIsOfNoGitLab(t *testing.T) {
	t.Parallel()
	p, err := ParsePayload([]byte(`{"id":9223372036854710273,"job_info":{"name":"boot-verify"},"git_info":{"ref":""}}`))
	if err != nil {
		t.Fatal(err)
	}
	if id := p.Identity(); id.Instance != "+runner" || id.Project != "0" || id.Tier == ProtectedTier || id.Job != "9223372036854710273" {
		t.Errorf("it is %+v", id)
	}
}

func FuzzParsePayload(f *testing.F) {
	f.Add([]byte(minimal))
	f.Add([]byte(`{"id":1}`))
	f.Add([]byte(`{"id":1,"job_info":{"project_id":1},"git_info":{"ref":"a","repo_url":"https://a"},"runner_info":{"timeout":9223372036854775807}}`))
	if data, err := os.ReadFile("testdata/payload-19.4.json"); err == nil {
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := ParsePayload(data)
		if err != nil {
			return
		}
		id := p.Identity()
		for _, part := range []string{id.Instance, id.Project, id.Tier, id.Job} {
			if part == "" || part == "." || part == ".." || strings.ContainsAny(part, "/\x00\n") || len(part) > 255 {
				t.Fatalf("identity %+v is not safe as a path", id)
			}
		}
		if p.Timeout() <= 0 {
			t.Fatalf("a timeout of %d is %v", p.RunnerInfo.Timeout, p.Timeout())
		}
	})
}

func TestWhoAJobIs(t *testing.T) {
	t.Parallel()
	payload := func(repo, ref, refType, protected, variables string) *Payload {
		var p Payload
		text := `{"id":7,"job_info":{"project_id":3},"git_info":{"repo_url":"` + repo + `","ref":"` + ref + `","ref_type":"` + refType +
			`","protected":` + protected + `},"variables":[` + variables + `]}`
		if err := json.Unmarshal([]byte(text), &p); err != nil {
			t.Fatal(err)
		}
		return &p
	}
	const host = "https://gitlab-ci-token:x@GitLab.Example.com:8443/g/p.git"
	if got := payload(host, "main", "branch", "true", "").Identity(); got != (Identity{"gitlab.example.com+8443", "3", "protected", "7"}) {
		t.Errorf("identity is %+v", got)
	}
	const isTrue, isFalse = `{"key":"CI_COMMIT_REF_PROTECTED","value":"true"}`, `{"key":"CI_COMMIT_REF_PROTECTED","value":"false"}`
	for name, c := range map[string]struct {
		p    *Payload
		want bool
	}{
		"GitLab says so":                            {payload(host, "main", "branch", "true", ""), true},
		"GitLab says no, the job says yes":          {payload(host, "x", "branch", "false", isTrue), false},
		"older Runner, GitLab's variable":           {payload(host, "main", "branch", "null", isTrue), true},
		"older Runner, the job adds its own":        {payload(host, "x", "branch", "null", isFalse+","+isTrue), false},
		"older Runner, no variable":                 {payload(host, "x", "branch", "null", ""), false},
		"a merge request that claims protectedness": {payload(host, "refs/merge-requests/5/head", "branch", "true", ""), false},
	} {
		if got := c.p.Identity().Tier == ProtectedTier; got != c.want {
			t.Errorf("%s: protected is %v", name, got)
		}
	}
	tiers := map[string]string{}
	for _, ref := range [][2]string{{"v1", "branch"}, {"v1", "tag"}, {"a/b", "branch"}, {"a-b", "branch"}, {"../../etc", "branch"}, {"protected", "branch"}} {
		tier := payload(host, ref[0], ref[1], "false", "").Identity().Tier
		if other, ok := tiers[tier]; ok || tier == ProtectedTier || strings.ContainsAny(tier, "/") {
			t.Errorf("ref %v has tier %q, as has %q", ref, tier, other)
		}
		tiers[tier] = ref[0]
	}
}

func TestConfigTellsTheSamePathsForEachJob(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	if err := WriteConfig(&out, "1.2.3"); err != nil {
		t.Fatal(err)
	}
	const want = `{"driver":{"name":"gitlab-go-executor","version":"1.2.3"},"builds_dir":"/builds","cache_dir":"/cache","builds_dir_is_shared":false,"shell":"bash"}`
	if strings.TrimSpace(out.String()) != want {
		t.Errorf("config prints\n%s\nwant\n%s", out.String(), want)
	}
}
