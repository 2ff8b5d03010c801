package doctor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/BurntSushi/toml"
	"golang.org/x/sys/unix"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/executor/docker"
)

func (h *host) lookAtStanzas(ctx context.Context) []Finding {
	data, err := os.ReadFile(h.RunnerConfig)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return []Finding{wrong("register a runner (gitlab-runner register --executor custom), or name its config.toml with --runner-config", "there is no %s", h.RunnerConfig)}
	case err != nil:
		return failed(err, "run it with sudo, or name another file with --runner-config")
	}
	all, err := readStanzas(data)
	if err != nil {
		return failed(fmt.Errorf("%s:%w", h.RunnerConfig, err), "correct it; GitLab Runner cannot read it either")
	}
	j := &judging{Options: h.Options, look: looker(ctx, h.Options)}
	if h.settings != nil {
		j.stop = h.settings.Docker.StopTimeout.Duration + docker.StopSlack
	}
	return j.stanzas(all)
}

// readStanzas reads a config.toml, whatever else is in it. Its errors show none of it.
func readStanzas(data []byte) ([]stanza, error) {
	var file struct {
		Runners []stanza `toml:"runners"`
	}
	if err := toml.Unmarshal(data, &file); err != nil {
		var at toml.ParseError // which may hold a piece of a secret
		errors.As(err, &at)
		return nil, fmt.Errorf("%d: not valid TOML, or no config.toml of GitLab Runner", at.Position.Line)
	}
	return file.Runners, nil
}

// looker looks at programs, at each once.
func looker(ctx context.Context, o Options) func(path string) program {
	known := map[string]program{}
	return func(path string) program {
		p, done := known[path]
		if !done {
			p = lookAtProgram(ctx, o, path)
			known[path] = p
		}
		return p
	}
}

var versionLine = regexp.MustCompile(`^` + binary + ` (\S+) \(`)

// lookAtProgram starts a program that bears our name, as GitLab Runner does, to ask for its version.
func lookAtProgram(ctx context.Context, o Options, path string) program {
	if !filepath.IsAbs(path) {
		return program{}
	}
	info, err := os.Stat(path)
	if err != nil {
		return program{problem: "does not exist"}
	}
	if info.IsDir() || unix.Access(path, unix.X_OK) != nil {
		return program{problem: fmt.Sprintf("cannot be started (mode %04o)", info.Mode().Perm())}
	}
	if self, err := os.Stat(o.Program); err == nil && os.SameFile(self, info) {
		return program{same: true}
	}
	if !strings.HasPrefix(filepath.Base(path), binary) {
		return program{}
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	said, err := output(ctx, path, "version")
	if match := versionLine.FindStringSubmatch(said); err == nil && match != nil {
		return program{version: match[1]}
	}
	return program{}
}

func (h *host) lookAtRunner(ctx context.Context) []Finding {
	const name = "gitlab-runner"
	if _, err := exec.LookPath(name); err != nil {
		return []Finding{warning("see that GitLab Runner is 16.6 or newer, and put it on the PATH", "the version is not known, since there is no gitlab-runner on the PATH")}
	}
	said, err := output(ctx, name, "--version")
	if err != nil {
		return failed(fmt.Errorf("gitlab-runner does not tell its version: %w", err), installRunner)
	}
	return []Finding{judgeRunner(said)}
}

const installRunner = "install a newer GitLab Runner (https://docs.gitlab.com/runner/install)"

// The first version that works, and the first that passes exit codes on.
var firstRunner, exitCodes = number{16, 6}, number{17, 9}

func judgeRunner(said string) Finding {
	version := "unknown"
	for line := range strings.Lines(said) {
		if text, found := strings.CutPrefix(line, "Version:"); found {
			version = strings.TrimSpace(text)
		}
	}
	n, known := numberIn("Version: "+version, "Version: ")
	switch {
	case !known:
		return warning("see that it is 16.6 or newer", "GitLab Runner's version is %.40q, which says nothing", version)
	case n.less(firstRunner):
		return wrong(installRunner, "GitLab Runner %s is too old: 16.6 is the first that works", version)
	case n.less(exitCodes):
		return warning(installRunner, "GitLab Runner %s passes on no exit codes of jobs but 1 (allow_failure:exit_codes): 17.9 is the first that does", version)
	}
	return ok("GitLab Runner %s", version)
}
