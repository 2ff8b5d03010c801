//go:build parity

package e2e

import (
	"archive/zip"
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// parityCase is a job that is run by GitLab Runner's docker executor and by ours, with the same settings. Compared are the result, the
// reason, the exit code, every line of the job's output that begins with "| ", the artifacts, and what is left.
type parityCase struct {
	name   string
	docker string // lines of [runners.docker], and of our [docker]
	runner string // lines of [[runners]]
	// sections are more of both Runners' config.toml; the name is the executor's.
	sections func(executor string) string
	// first are jobs that run before, on the same host; they have to succeed.
	first func(h *host) []job
	// elsewhere: the job runs on another host than the first ones.
	elsewhere bool
	job       func(h *host) job
	// run runs the job, if more happens than that.
	run func(h *host, j job) result
	// shows is a line that the docker executor has to print: two jobs of which nothing works end the same.
	shows string
	// differs says why the two do not agree, in the words of docs/docker-executor.md.
	differs string
}

// shown makes a script of which each line of output is compared.
func shown(script ...string) string {
	return "{ " + strings.Join(script, "\n") + "\n} 2>&1 | sed 's/^/| /'"
}

// dockerHost is a runner host whose Runner uses its docker executor.
func dockerHost(t *testing.T, g *gitlab, sha, lines string) *host {
	t.Helper()
	// The Runner labels what it makes with the first nine letters of its token.
	h := &host{t: t, gitlab: g, sha: sha, dir: t.TempDir(), runner: fmt.Sprintf("p%08d", nextJob.Add(1))}
	base := "pull_policy = [\"never\"]\n"
	if strings.Contains(lines, "pull_policy") {
		base = ""
	}
	if !strings.Contains(lines, "volumes = ") {
		base += "volumes = [\"/cache\"]\n"
	}
	h.write("config.toml", fmt.Sprintf(`[[runners]]
name = "docker"
url = %q
token = %q
executor = "docker"
[runners.custom_build_dir]
enabled = true
[runners.docker]
helper_image = %q
%s%s
`, g.URL, h.runner, helperImage, base, lines))
	t.Cleanup(h.removeRunner)
	return h
}

func TestJobsEndAsUnderTheDockerExecutor(t *testing.T) {
	t.Parallel()
	cases := slices.Concat(parityCases(), parityRunnerCases(), parityImageCases(t), settingsCases(t), serviceCases(), dockerCases(t), stopCases(), retryCases(), lfsCases(), bucketCases(t))
	volumes := watchVolumes(t)
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			g := newGitLab(t)
			sha := parityProject(t, g)
			ours, oracle := c.hosts(t, g, sha)
			if c.first != nil {
				for _, j := range c.first(ours) {
					oracle.succeeded(oracle.run(j))
					ours.succeeded(ours.run(j))
				}
			}
			if c.elsewhere {
				ours, oracle = c.hosts(t, g, ours.sha)
			}
			j := c.job(ours)
			if j["image"].(job)["name"] == "" {
				delete(j, "image")
			}
			want, wantLog := c.ending(oracle, j)
			volumes.checkNothingLeft(oracle)
			got, gotLog := c.ending(ours, j)
			volumes.checkNothingLeft(ours)
			if same := got == want; same != (c.differs == "") {
				t.Errorf("ours:\n%s\nthe docker executor:\n%s\nsaid to differ: %q\n\n%s\n\n%s", got, want, c.differs, gotLog, wantLog)
			}
			if !strings.Contains(want+"\n", c.shows+"\n") {
				t.Errorf("the docker executor did not print %q:\n%s\n\n%s", c.shows, want, wantLog)
			}
			t.Logf("ours:\n%s", got)
		})
	}
}

// hosts are two that have seen no job of the case.
func (c parityCase) hosts(t *testing.T, g *gitlab, sha string) (ours, oracle *host) {
	t.Helper()
	ours, oracle = hostOf(t, g, sha, c.docker), dockerHost(t, g, sha, c.docker)
	if c.sections == nil {
		c.sections = func(string) string { return "" }
	}
	ours.configure(c.runner, c.sections("custom"))
	oracle.configure(c.runner, c.sections("docker"))
	return ours, oracle
}

// ending runs the job and gives what is compared, and the job log.
func (c parityCase) ending(h *host, j job) (compared, log string) {
	run := (*host).run
	if c.run != nil {
		run = c.run
	}
	r := run(h, j)
	return strings.Join(append(ending(r), h.gitlab.takeArtifacts(h.t, j)...), "\n"), r.Log
}

// parityProject has a submodule, for those who ask for it.
func parityProject(t *testing.T, g *gitlab) (sha string) {
	t.Helper()
	part := g.repository(t, "group/part", map[string]string{"part.txt": "part\n"})
	g.repository(t, "group/project", map[string]string{
		"README.md": "hello\n", ".gitignore": "ignored\n", "dir/run.sh": "#!/bin/sh\necho ran\n",
		".gitmodules": "[submodule \"part\"]\n\tpath = part\n\turl = ../part.git\n",
	})
	return g.link(t, "group/project", "part", part)
}

// link adds a commit that has a submodule at a path.
func (g *gitlab) link(t *testing.T, project, path, commit string) (sha string) {
	t.Helper()
	script := `set -e
git clone -q . "$1" && cd "$1"
git update-index --add --cacheinfo 160000,"$2","$3"
git -c user.name=t -c user.email=t@example.com commit -q -m link
git push -q origin HEAD:main
git rev-parse HEAD`
	cmd := exec.Command("sh", "-c", script, "sh", t.TempDir()+"/work", commit, path)
	cmd.Dir = filepath.Join(g.dir, project+".git")
	cmd.Env = append(os.Environ(), "GIT_AUTHOR_DATE=2026-01-02T03:04:05Z", "GIT_COMMITTER_DATE=2026-01-02T03:04:05Z")
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("a submodule: %v\n%s", err, out)
	}
	return strings.TrimSpace(string(out))
}

var shownLine = regexp.MustCompile(`(?m)O (\| .*)$`)

// ending is what is compared of a result.
func ending(r result) []string {
	lines := []string{fmt.Sprintf("%s %s %d", r.State, r.FailureReason, r.ExitCode)}
	for _, found := range shownLine.FindAllStringSubmatch(r.Log, -1) {
		lines = append(lines, found[1])
	}
	return lines
}

// takeArtifacts lists the artifacts that a job has sent, and forgets them.
func (g *gitlab) takeArtifacts(t *testing.T, j job) (list []string) {
	t.Helper()
	g.mu.Lock()
	defer g.mu.Unlock()
	data, ok := g.zips[fmtID(j)]
	delete(g.zips, fmtID(j))
	if !ok {
		return nil
	}
	archive, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range archive.File {
		list = append(list, fmt.Sprintf("artifact %s %s %08x", file.Mode(), file.Name, file.CRC32))
	}
	return list
}
