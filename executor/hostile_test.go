package executor

import (
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/executor/docker"
	"gitlab.com/gitlab-go-executor/gitlab-go-executor/executor/runner"
)

// jobOf is a job of a payload, as a host with our defaults sees it.
func jobOf(change func(p *runner.Payload), environ ...string) *job {
	j := testJob(environ...)
	p := *j.payload
	p.GitInfo.RefType = runner.Branch
	change(&p)
	j.payload, j.id = &p, p.Identity()
	return j
}

// A checkout that is kept has hooks, a config and untracked files of jobs before, and /cache what they like: they are of one's own tier alone. The caches are read
// of one's own tier and the protected one, and written to one's own.
func TestFoldersAndCachesAreSharedWithinATierAndNowhereElse(t *testing.T) {
	t.Parallel()
	yes, no := true, false
	ref := func(name string) func(*runner.Payload) {
		return func(p *runner.Payload) { p.GitInfo.Ref, p.GitInfo.Protected = name, &no }
	}
	protected := func(name string) func(*runner.Payload) {
		return func(p *runner.Payload) { p.GitInfo.Ref, p.GitInfo.Protected = name, &yes }
	}
	forged := []string{ // what a job can set for itself, or Runner for it
		"CUSTOM_ENV_CI_COMMIT_REF_PROTECTED=true", "CUSTOM_ENV_CI_COMMIT_REF_NAME=main", "CUSTOM_ENV_CI_PROJECT_ID=42", "CUSTOM_ENV_CI_PROJECT_DIR=/builds/../../../etc",
		"CUSTOM_ENV_CI_CONCURRENT_PROJECT_ID=0", "CUSTOM_ENV_GO_EXECUTOR_TIER=protected", "CUSTOM_ENV_CI_SERVER_HOST=gitlab.example.com", "CI_COMMIT_REF_PROTECTED=true",
		"CUSTOM_ENV_CI_MERGE_REQUEST_REF_PATH=main", "CUSTOM_ENV_GIT_CLONE_PATH=/builds/other", "CUSTOM_ENV_CI_BUILDS_DIR=/", "CUSTOM_ENV_JOB_RESPONSE_FILE=/tmp/mine",
	}
	jobs := map[string]*job{
		"protected":                           jobOf(protected("main")),
		"protected, another ref":              jobOf(protected("release")),
		"a ref":                               jobOf(ref("feature/x")),
		"a ref, forged":                       jobOf(ref("feature/x"), forged...),
		"a ref that is called protected":      jobOf(ref("protected")),
		"a ref that looks alike":              jobOf(ref("feature-x")),
		"a ref that differs in case":          jobOf(ref("Feature/x")),
		"a ref that leads elsewhere":          jobOf(ref("../protected")),
		"a ref named like a tier":             jobOf(ref("ref-" + strings.TrimPrefix(runner.TierOf(runner.Branch, "feature/x"), "ref-"))),
		"a tag":                               jobOf(func(p *runner.Payload) { ref("feature/x")(p); p.GitInfo.RefType = runner.Tag }),
		"a merge request":                     jobOf(ref("refs/merge-requests/5/head")),
		"a merge request that says protected": jobOf(protected("refs/merge-requests/6/head")),
		"its merged result":                   jobOf(protected("refs/merge-requests/6/merge")),
		"another project":                     jobOf(func(p *runner.Payload) { protected("main")(p); p.JobInfo.ProjectID = 43 }),
		"a fork":                              jobOf(func(p *runner.Payload) { protected("main")(p); p.JobInfo.ProjectID = 4 }, forged...),
		"another GitLab": jobOf(func(p *runner.Payload) {
			protected("main")(p)
			p.GitInfo.RepoURL = "https://gitlab.example.com:8443/g/p.git"
		}),
		"another GitLab that is called like it": jobOf(func(p *runner.Payload) {
			protected("main")(p)
			p.GitInfo.RepoURL = "https://gitlab.example.com.evil/g/p.git"
		}),
	}
	alike := map[string]string{"protected, another ref": "protected", "a ref, forged": "a ref"}
	for one, a := range jobs {
		for other, b := range jobs {
			want := one == other || alike[one] == other || alike[other] == one
			builds, caches := a.buildsDir(0) == b.buildsDir(0), a.cacheDir() == b.cacheDir()
			ra, rb := a.scope([]string{"build"}, ""), b.scope([]string{"build"}, "")
			pool := ra.Instance == rb.Instance && ra.Project == rb.Project && ra.Tier == rb.Tier
			if builds != want || caches != want || pool != want {
				t.Errorf("%s and %s: checkouts %v, /cache %v, caches %v; want %v", one, other, builds, caches, pool, want)
			}
		}
		r := a.scope([]string{"build"}, "")
		if isProtected := r.Tier == runner.ProtectedTier; isProtected != (r.Below == "") || r.Below != "" && r.Below != runner.ProtectedTier {
			t.Errorf("%s reads %q below %q", one, r.Below, r.Tier)
		}
		if protectedName := strings.HasPrefix(one, "protected") || strings.HasPrefix(one, "another") || one == "a fork"; protectedName != (r.Tier == runner.ProtectedTier) {
			t.Errorf("%s is of tier %q", one, r.Tier)
		}
	}
}

var containerName = regexp.MustCompile(`^go-executor-[a-z0-9]+-[0-9a-f]{8}-job-[0-9]+$`)

// Names of folders, containers, hosts and keys are made of numbers, hashes and slugs; what people may call things is in labels and texts alone.
func TestNothingThatPeopleNameIsPartOfAPathOrAContainersName(t *testing.T) {
	t.Parallel()
	for what, text := range map[string]string{
		"paths": "../../../../etc/cron.d/x", "an absolute path": "/etc/passwd", "a shell's words": "$(reboot);`reboot`&|'\"", "lines": "a\nb\rc\x00d", "a terminal's words": "\x1b[2J\x1b]0;x\a",
		"no text": "\xff\xfe\xc3(", "from right to left": "a\u202egpj\u2066", "64 KB": strings.Repeat("long", 16<<10), "a page": `"><script>alert(1)</script>`, "a template": "{{.}}$HOME${x}%s",
		"a metric": "a\"} 1\nx{y=\"", "a formula": "=cmd|'/C calc'!A0", "colons and commas": "a:/:b,ro,upperdir=/", "dots": "..", "nothing": "",
	} {
		j := jobOf(func(p *runner.Payload) {
			p.JobInfo.Name, p.JobInfo.ProjectFullPath = text, text
			p.GitInfo.Ref, p.GitInfo.RefType, p.GitInfo.SHA = text, text, text
			p.Image.Name = text
			p.Variables = []runner.Variable{{Key: text, Value: text}, {Key: "CI_COMMIT_REF_PROTECTED", Value: text}}
			p.Cache = []runner.Cache{{Key: text, Paths: []string{text}}}
		})
		j.env.Variables = map[string]string{text: text, "CI_BUILD_NETWORK_NAME": text, "CI_PROJECT_DIR": text, "GO_EXECUTOR_CACHE": text, "RUNNER_TEMP_PROJECT_DIR": text, "GO_EXECUTOR_METRICS": text}
		owner := j.owner("0123456789ab")
		if !containerName.MatchString(owner.Name) || owner.Job != "gitlab.example.com/7" {
			t.Errorf("%s: containers are called %q, of job %q", what, owner.Name, owner.Job)
		}
		j.store.record.Owner = owner
		if name := j.networkName(); name != owner.Name {
			t.Errorf("%s: the network is called %q", what, name)
		}
		spec := j.baseSpec(docker.KindBuild, docker.Image{ID: "sha256:x"}, "net", 0)
		if len(spec.Hostname) > 63 || strings.Trim(spec.Hostname, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" {
			t.Errorf("%s: the host is called %q", what, spec.Hostname)
		}
		for _, m := range spec.Mounts {
			if !filepath.IsLocal(strings.TrimPrefix(m.Source, "/state/")) || filepath.Clean(m.Source) != m.Source || len(m.Source) > 250 || strings.Contains(m.Source, text) && len(text) > 2 {
				t.Errorf("%s: %s shows %q", what, m.Target, m.Source)
			}
		}
		if r := j.scope([]string{"build"}, ""); !regexp.MustCompile(`^[0-9a-f]{16}$`).MatchString(r.Speaker) || !filepath.IsLocal(r.Tier) || strings.ContainsAny(r.Tier, "/\n\\ ") {
			t.Errorf("%s: speaker %q, tier %q", what, r.Speaker, r.Tier)
		}
		if kinds, _, problem := j.wantedCaches(); text != "" && (len(kinds) > 0 || strings.ContainsAny(problem, "\x1b\n\r\x00")) {
			t.Errorf("%s: kinds %v, %.200q", what, kinds, problem)
		}
		if err := j.writeToCheckout(0, text, nil); err == nil {
			t.Errorf("%s: a report was written", what)
		}
		if row := fmt.Sprint(j.newRow(j.started).Tier); row != j.id.Tier {
			t.Errorf("%s: the ledger's tier is %q", what, row)
		}
	}
}
