package doctor

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"time"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/executor/settings"
)

const installTools = "install squashfs-tools 4.5 or newer (apt-get install squashfs-tools, dnf install squashfs-tools), and util-linux"

func (h *host) lookAtTools(ctx context.Context) []Finding {
	if h.noCaches() {
		return []Finding{ok("none is needed without caches (cache.kinds)")}
	}
	tools := []string{"sqfstar", "unsquashfs"}
	if h.driver() != settings.DriverCopy {
		tools = append(tools, "mount")
	}
	var missing []string
	for _, name := range tools {
		if _, err := exec.LookPath(name); err != nil {
			missing = append(missing, name)
		}
	}
	if len(missing) > 0 {
		return []Finding{wrong(installTools, "there is no %s on the PATH, so that jobs have no caches", list(missing))}
	}
	said, err := output(ctx, "sqfstar", "-version")
	if err != nil {
		return failed(fmt.Errorf("sqfstar does not start: %w", err), installTools)
	}
	return []Finding{judgeTools(said)}
}

// output is what a program prints. Some end with a code other than 0 after they have told their version.
func output(ctx context.Context, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.WaitDelay = time.Second
	said, err := cmd.CombinedOutput()
	var ended *exec.ExitError
	if errors.As(err, &ended) && ctx.Err() == nil && len(said) > 0 {
		err = nil
	}
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return string(said), err
}

// number is the beginning of a version.
type number struct{ major, minor int }

func (n number) less(than number) bool {
	return n.major < than.major || n.major == than.major && n.minor < than.minor
}

// numberIn finds the first version in a text after a word.
func numberIn(text, after string) (n number, found bool) {
	match := regexp.MustCompile(regexp.QuoteMeta(after) + `v?(\d+)\.(\d+)`).FindStringSubmatch(text)
	if match == nil {
		return n, false
	}
	n.major, _ = strconv.Atoi(match[1])
	n.minor, _ = strconv.Atoi(match[2])
	return n, true
}

// firstTools is the first version of squashfs-tools that has sqfstar.
var firstTools = number{4, 5}

func judgeTools(said string) Finding {
	line, _, _ := strings.Cut(strings.TrimSpace(said), "\n")
	version, known := numberIn(line, "version ")
	switch {
	case !known:
		return warning(installTools, "the version of squashfs-tools is not known: sqfstar says %.80q", line)
	case version.less(firstTools):
		return wrong(installTools, "squashfs-tools are too old: %.80s", line)
	}
	return ok("%.80s", line)
}
