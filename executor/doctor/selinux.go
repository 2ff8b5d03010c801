package doctor

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/layer"
)

func (h *host) lookAtSELinux(context.Context) []Finding {
	switch {
	case !layer.SELinux():
		return []Finding{ok("is not enforced")}
	case h.settings == nil:
		return []Finding{skipped(checkSettings)}
	}
	label := make([]byte, 256)
	n, err := unix.Getxattr(h.settings.StateDir, "security.selinux", label)
	if err != nil {
		n = 0
	}
	return []Finding{judgeSELinux(h.docker == nil || h.daemon.SELinux, strings.TrimRight(string(label[:n]), "\x00"), h.settings.StateDir)}
}

// judgeSELinux is about the folders that jobs see of the state directory; what is mounted brings its own label.
func judgeSELinux(daemon bool, label, dir string) Finding {
	fit := slices.ContainsFunc([]string{":container_file_t:", ":svirt_sandbox_file_t:"}, func(t string) bool { return strings.Contains(label, t) })
	switch {
	case !daemon:
		return ok("is enforced, and Docker does not confine containers (selinux-enabled in its daemon.json)")
	case !fit:
		return wrong(fmt.Sprintf("semanage fcontext -a -t container_file_t '%s(/.*)?' && restorecon -R %s", dir, dir),
			"is enforced, and %s has the label %q, so that containers cannot read checkouts in it", dir, label)
	}
	return ok("is enforced, and %s has a label for containers", dir)
}
