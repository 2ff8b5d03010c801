package try

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"time"
)

// Limits for git on this host.
const (
	askLimit   = time.Minute      // a question about a repository
	cloneLimit = 30 * time.Minute // a copy of one, over the network too
)

// git runs one command of the host's git in a folder and returns what it printed. It never waits for somebody to
// type: a password asked for is an error.
func git(ctx context.Context, limit time.Duration, dir string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	cmd := exec.CommandContext(ctx, "git", args...)
	var stdout, stderr bytes.Buffer
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = dir, gitEnvironment(os.Environ()), &stdout, &stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) } // git removes what it began to clone
	cmd.WaitDelay = 10 * time.Second
	err := cmd.Run()
	switch {
	case err == nil:
		return strings.TrimRight(stdout.String(), "\n"), nil
	case errors.Is(err, exec.ErrNotFound):
		return "", errors.New("git is not installed on this host, or not in PATH: install it (apt install git, dnf install git), for it reads the repository to try")
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return "", fmt.Errorf("git %s did not end within %s: try it by hand, and give the folder of your own clone as REPO", args[0], limit)
	case ctx.Err() != nil:
		return "", context.Cause(ctx)
	}
	return "", &gitError{verb: args[0], said: strings.TrimSpace(stderr.String()), err: err}
}

// gitError is a git command that failed, with what it said.
type gitError struct {
	verb, said string
	err        error
}

// Error implements error.
func (e *gitError) Error() string {
	if e.said == "" {
		return fmt.Sprintf("git %s: %v", e.verb, e.err)
	}
	return fmt.Sprintf("git %s: %s", e.verb, e.said)
}

// gitEnvironment is the environment without what would lead git to another repository, as in a git hook, and with what
// keeps it from asking questions.
func gitEnvironment(environ []string) []string {
	env := slices.DeleteFunc(slices.Clone(environ), func(kv string) bool {
		key, _, _ := strings.Cut(kv, "=")
		return slices.Contains([]string{
			"GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_COMMON_DIR", "GIT_NAMESPACE",
			"GIT_PREFIX", "GIT_OBJECT_DIRECTORY", "GIT_ALTERNATE_OBJECT_DIRECTORIES",
		}, key)
	})
	return append(env, "GIT_TERMINAL_PROMPT=0", "LC_ALL=C")
}
