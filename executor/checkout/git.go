package checkout

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// git is the container's git in one repository.
type git struct{ dir string }

// gitConfig overrides what a checkout's config, which earlier jobs may have written, says about how git looks at files. Programs
// that may run all the same are clean filters: their files are not known to be clean without them.
var gitConfig = []string{
	"-c", "core.fsmonitor=false",
	"-c", "core.hooksPath=/dev/null",
	"-c", "core.checkStat=default",
	"-c", "core.trustctime=true", // a job can set a changed file's mtime back, not its ctime
	"-c", "core.ignoreStat=false",
}

// killAfter is how long git may take to clean up once it has been asked to stop.
const killAfter = 3 * time.Second

// run gives what a git command prints. When ctx ends, git is asked to stop, so that it removes its lock files.
func (g git) run(ctx context.Context, args ...string) (string, error) {
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, "git", append(append([]string{}, gitConfig...), args...)...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = g.dir, &stdout, &stderr
	cmd.Env = gitEnv(os.Environ())
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // its filters stop with it
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
	cmd.WaitDelay = killAfter
	err := cmd.Run()
	switch {
	case err == nil:
		return stdout.String(), nil
	case ctx.Err() != nil:
		return "", fmt.Errorf("git %s took too long: %w", args[0], errors.Join(context.Cause(ctx), err))
	default:
		said, _, _ := strings.Cut(strings.TrimSpace(stderr.String()), "\n")
		return "", fmt.Errorf("git %s: %w: %q", args[0], err, said)
	}
}

// gitEnv keeps what git needs of the environment: not its own variables, which would point it elsewhere. With the repository
// named, git searches no parent folder, follows no core.worktree of the checkout's config, and does not ask whose the folder is
// (safe.directory): it may belong to the user of the build container.
func gitEnv(environ []string) []string {
	env := []string{"LC_ALL=C"}
	for _, v := range environ {
		if !strings.HasPrefix(v, "GIT_") && !strings.HasPrefix(v, "LC_ALL=") {
			env = append(env, v)
		}
	}
	return append(env, "GIT_DIR=.git", "GIT_WORK_TREE=.", "GIT_OPTIONAL_LOCKS=0", "GIT_NO_LAZY_FETCH=1", "GIT_TERMINAL_PROMPT=0")
}

// paths gives the names that a git command lists with -z.
func (g git) paths(ctx context.Context, args ...string) ([]string, error) {
	out, err := g.run(ctx, args...)
	if out == "" {
		return nil, err
	}
	return strings.Split(strings.TrimSuffix(out, "\x00"), "\x00"), err
}

// refresh lets git note the times of the files in its index. A file that has changed, or is in conflict, is no error.
func (g git) refresh(ctx context.Context, limit time.Duration) error {
	limited, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	_, err := g.run(limited, "update-index", "-q", "--unmerged", "--refresh")
	var exit *exec.ExitError
	if errors.As(err, &exit) && killed(exit) {
		return errors.Join(err, g.unlock(context.WithoutCancel(ctx)))
	}
	if errors.As(err, &exit) && exit.ExitCode() == fatal {
		return fmt.Errorf("%w (does another git hold its index.lock?)", err)
	}
	return err
}

// fatal is git's exit code when it gives up; with -q, update-index does not say why.
const fatal = 128

func killed(exit *exec.ExitError) bool {
	status, ok := exit.Sys().(syscall.WaitStatus)
	return ok && status.Signaled() && status.Signal() == syscall.SIGKILL
}

// unlock removes the lock of a git that had to be killed: the job's own git commands would fail by it.
func (g git) unlock(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, killAfter)
	defer cancel()
	lock, err := g.run(ctx, "rev-parse", "--git-path", "index.lock") // a submodule's is elsewhere
	if err != nil {
		return err
	}
	lock = strings.TrimSuffix(lock, "\n")
	if !filepath.IsAbs(lock) {
		lock = filepath.Join(g.dir, lock)
	}
	if err := os.Remove(lock); !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}
