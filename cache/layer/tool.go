package layer

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// packages tell what to install.
var packages = map[string]string{
	"sqfstar": "squashfs-tools, 4.5 or newer", "unsquashfs": "squashfs-tools, 4.5 or newer", "mount": "util-linux",
}

// tool is one run of a program of the host.
type tool struct {
	ctx  context.Context // of this run, like that of exec.Cmd
	name string
	cmd  *exec.Cmd
	said tail
}

func newTool(ctx context.Context, name string, args ...string) *tool {
	t := &tool{ctx: ctx, name: name, cmd: exec.CommandContext(ctx, name, args...)}
	// Its own environment: SOURCE_DATE_EPOCH would change all times, and the language what it says.
	t.cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C"}
	t.cmd.Stderr = &t.said
	t.cmd.WaitDelay = time.Second
	return t
}

func (t *tool) start() error {
	err := t.cmd.Start()
	if errors.Is(err, exec.ErrNotFound) {
		return missing(t.name, err)
	}
	return err
}

func (t *tool) wait() error {
	err := t.cmd.Wait()
	switch {
	case err == nil:
		return nil
	case t.ctx.Err() != nil:
		return fmt.Errorf("%s: %w", t.name, context.Cause(t.ctx))
	}
	said := strings.TrimSpace(string(t.said))
	for _, errno := range []syscall.Errno{syscall.ENOSPC, syscall.EDQUOT} { // that the host is full is all that is read of it
		if strings.Contains(strings.ToLower(said), errno.Error()) {
			return fmt.Errorf("%s: %w: %s: %w", t.name, err, said, errno)
		}
	}
	return fmt.Errorf("%s: %w: %s", t.name, err, said)
}

func (t *tool) run() error {
	if err := t.start(); err != nil {
		return err
	}
	return t.wait()
}

// tail keeps the end of what a tool says: the error is in its last lines.
type tail []byte

const tailSize = 2 << 10

func (t *tail) Write(p []byte) (int, error) {
	*t = append(*t, p...)
	if excess := len(*t) - tailSize; excess > 0 {
		*t = append((*t)[:0], (*t)[excess:]...)
	}
	return len(p), nil
}
