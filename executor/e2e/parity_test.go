//go:build parity

package e2e

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/api/types/volume"
)

// parityCase is a job that is run by GitLab Runner's docker executor and by ours, with the same settings. Compared are the result, the
// reason, the exit code, every line of the job's output that begins with "| ", and what is left.
type parityCase struct {
	name   string
	docker string // lines of [runners.docker], and of our [docker]
	// first are jobs that run before, on the same host; they have to succeed.
	first func(h *host) []job
	job   func(h *host) job
	// differs says why the two do not agree, in the words of the README's table.
	differs string
}

// shown makes a script of which each line of output is compared.
func shown(script ...string) string {
	return "{ " + strings.Join(script, "\n") + "\n} 2>&1 | sed 's/^/| /'"
}

// dockerHost is a runner host whose Runner uses its docker executor.
func dockerHost(t *testing.T, g *gitlab, sha, lines string) *host {
	t.Helper()
	h := &host{t: t, gitlab: g, sha: sha, dir: t.TempDir()}
	token := fmt.Sprintf("p%08d", nextJob.Add(1)) // the Runner labels what it makes with the first nine letters
	base := "pull_policy = [\"never\"]\n"
	if strings.Contains(lines, "pull_policy") {
		base = ""
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
volumes = ["/cache"]
%s%s
`, g.URL, token, helperImage, base, lines))
	t.Cleanup(func() { removeRunner(t, token) })
	return h
}

// removeRunner removes what a Runner of the docker executor keeps for its next job, and complains of containers.
func removeRunner(t *testing.T, token string) {
	t.Helper()
	ctx := context.Background()
	mine := filters.NewArgs(filters.Arg("label", "com.gitlab.gitlab-runner.runner.id="+token))
	containers, err := dockerAPI.ContainerList(ctx, container.ListOptions{All: true, Filters: mine})
	if err != nil {
		t.Error(err)
	}
	for _, c := range containers {
		t.Errorf("the docker executor left container %s", c.Names[0])
		_ = dockerAPI.ContainerRemove(ctx, c.ID, container.RemoveOptions{Force: true, RemoveVolumes: true})
	}
	volumes, err := dockerAPI.VolumeList(ctx, volume.ListOptions{Filters: mine})
	if err != nil {
		t.Error(err)
	}
	for _, v := range volumes.Volumes {
		if err := dockerAPI.VolumeRemove(ctx, v.Name, true); err != nil {
			t.Error(err)
		}
	}
}

func TestJobsEndAsUnderTheDockerExecutor(t *testing.T) {
	t.Parallel()
	for _, c := range slices.Concat(parityCases(), parityRunnerCases(), parityImageCases(t), settingsCases(), serviceCases()) {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			g := newGitLab(t)
			sha := parityProject(t, g)
			ours, oracle := hostOf(t, g, sha, c.docker), dockerHost(t, g, sha, c.docker)
			if c.first != nil {
				for _, j := range c.first(ours) {
					oracle.succeeded(oracle.run(j))
					ours.succeeded(ours.run(j))
				}
			}
			j := c.job(ours)
			if j["image"].(job)["name"] == "" {
				delete(j, "image")
			}
			want := oracle.run(j)
			got := ours.run(j)
			same := ending(got) == ending(want)
			if same != (c.differs == "") {
				t.Errorf("ours:\n%s\nthe docker executor:\n%s\nsaid to differ: %q\n\n%s\n\n%s", ending(got), ending(want), c.differs, got.Log, want.Log)
			}
		})
	}
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

// ending is what is compared.
func ending(r result) string {
	lines := []string{fmt.Sprintf("%s %s %d", r.State, r.FailureReason, r.ExitCode)}
	for _, found := range shownLine.FindAllStringSubmatch(r.Log, -1) {
		lines = append(lines, found[1])
	}
	return strings.Join(lines, "\n")
}
