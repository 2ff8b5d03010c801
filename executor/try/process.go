package try

import (
	"context"
	"errors"
	"io"
	"os/exec"
	"syscall"
	"time"
)

// killAfter is how long a stage may go on after it was asked to stop: the graceful_kill_timeout that the runner's
// stanza in the documentation sets.
const killAfter = time.Minute

// drainAfter is how long to wait for output of what a stage has left running.
const drainAfter = 10 * time.Second

// process is one call of a stage command.
type process struct {
	args           []string
	dir            string
	env            []string
	stdout, stderr io.Writer
}

// killed is the exit code of a process that has none, since a signal ended it.
const killed = -1

// run starts the process as the leader of a group of its own, as Runner does (helpers/process/group_unix.go), and waits.
// When ctx ends, the group gets SIGTERM; when kill is closed, after killAfter, or when the process has ended and left
// some of its group running, SIGKILL. An error means that it could not be started.
func (p process) run(ctx context.Context, kill <-chan struct{}) (code int, err error) {
	cmd := exec.Command(p.args[0], p.args[1:]...) //nolint:noctx // a context would kill the process, and only it
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = p.dir, p.env, p.stdout, p.stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.WaitDelay = drainAfter
	if err := cmd.Start(); err != nil {
		return killed, err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	group := -cmd.Process.Pid
	select {
	case err = <-ended:
		return exitCode(cmd, err)
	case <-ctx.Done():
	}
	_ = syscall.Kill(group, syscall.SIGTERM) // it may have ended just now
	grace := time.NewTimer(killAfter)
	defer grace.Stop()
	select {
	case err = <-ended:
		// A child that was being started has not heard SIGTERM: a shell's handler is still the child's until it execs.
		_ = syscall.Kill(group, syscall.SIGKILL)
		return exitCode(cmd, err)
	case <-kill:
	case <-grace.C:
	}
	_ = syscall.Kill(group, syscall.SIGKILL)
	return exitCode(cmd, <-ended)
}

// exitCode tells how the process ended. That somebody still holds its output open is no failure of its own.
func exitCode(cmd *exec.Cmd, err error) (int, error) {
	var exit *exec.ExitError
	if err == nil || errors.As(err, &exit) || errors.Is(err, exec.ErrWaitDelay) {
		return cmd.ProcessState.ExitCode(), nil // -1 after a signal
	}
	return killed, err
}
