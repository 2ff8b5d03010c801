package doctor

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// process is one that runs on this host.
type process struct {
	pid, user int
	args      []string
	mounts    string // its mount namespace
}

func (h *host) lookAtProcesses(context.Context) []Finding {
	all, err := processes("/proc")
	if err != nil {
		return failed(err, "see that /proc is mounted")
	}
	mine, err := os.Readlink("/proc/self/ns/mnt")
	if err != nil {
		return failed(err, "see that /proc is mounted")
	}
	return judgeProcesses(all, mine)
}

// processes lists those that can be looked at.
func processes(proc string) ([]process, error) {
	folders, err := os.ReadDir(proc)
	if err != nil {
		return nil, err
	}
	var all []process
	for _, f := range folders {
		pid, err := strconv.Atoi(f.Name())
		if err != nil {
			continue
		}
		dir := filepath.Join(proc, f.Name())
		line, lineErr := os.ReadFile(filepath.Join(dir, "cmdline"))
		mounts, linkErr := os.Readlink(filepath.Join(dir, "ns", "mnt"))
		info, statErr := os.Stat(dir)
		if lineErr != nil || linkErr != nil || statErr != nil {
			continue // it has ended, or is another user's
		}
		user := 0
		if stat, is := info.Sys().(*syscall.Stat_t); is {
			user = int(stat.Uid)
		}
		all = append(all, process{pid, user, strings.Split(strings.TrimRight(string(line), "\x00"), "\x00"), mounts})
	}
	return all, nil
}

// isRunner tells a Runner that takes jobs from the gitlab-runner of a helper container. It may be started by an interpreter.
func (p process) isRunner() bool {
	at := slices.IndexFunc(p.args[:min(len(p.args), 2)], func(a string) bool { return filepath.Base(a) == "gitlab-runner" })
	return at >= 0 && slices.ContainsFunc(p.args[at+1:], func(a string) bool { return a == "run" || a == "run-single" })
}

func (p process) isDocker() bool { return filepath.Base(p.args[0]) == "dockerd" }

// judgeProcesses compares the mount namespaces of what has to see the same mounts. Ours is compared with Docker's by a trial (paths).
func judgeProcesses(all []process, mine string) []Finding {
	var found []Finding
	for _, p := range all {
		if !p.isRunner() {
			continue
		}
		switch name := fmt.Sprintf("GitLab Runner (process %d)", p.pid); {
		case p.user != 0:
			found = append(found, wrong("run it as root: without User= in its systemd unit (systemctl cat gitlab-runner), or sudo gitlab-runner run", "%s runs as the user %d and not as root", name, p.user))
		case p.mounts == mine || slices.ContainsFunc(all, func(d process) bool { return d.isDocker() && d.mounts == p.mounts }):
			found = append(found, ok("%s runs as root, in the mount namespace of this program or of Docker", name))
		default:
			found = append(found, wrong(sameNamespace, "%s is in a mount namespace of its own (%s, here it is %s): what it mounts for jobs their containers do not see", name, p.mounts, mine))
		}
	}
	if len(found) == 0 {
		return []Finding{warning("start it: systemctl start gitlab-runner", "GitLab Runner does not run here, so whether it sees what Docker sees is not known")}
	}
	return found
}
