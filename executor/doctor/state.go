package doctor

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/dustin/go-humanize"
	"github.com/moby/sys/mountinfo"
	"golang.org/x/sys/unix"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache"
	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/layer"
	"gitlab.com/gitlab-go-executor/gitlab-go-executor/executor/settings"
)

// lookAtState makes the state directory if need be, as the first job would: what is looked at after this is inside.
func (h *host) lookAtState(context.Context) []Finding {
	dir := h.settings.StateDir
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return failed(err, "make it by hand, or name with state_dir a folder that root can make and write to")
	}
	trial, err := os.MkdirTemp(dir, trialFolder)
	if err != nil {
		return failed(err, "see that root can write to "+dir+", or name another folder with state_dir")
	}
	_ = os.Remove(trial)
	info, err := os.Stat(dir)
	if err != nil {
		return failed(err, "see that root can read "+dir)
	}
	owner := -1
	if stat, is := info.Sys().(*syscall.Stat_t); is {
		owner = int(stat.Uid)
	}
	return []Finding{judgeFolder(dir, info.Mode().Perm(), owner)}
}

func judgeFolder(dir string, mode fs.FileMode, owner int) Finding {
	switch {
	case owner != 0:
		return wrong("chown root "+dir, "%s belongs to the user %d, who can change what jobs get", dir, owner)
	case mode&0o022 != 0:
		return wrong("chmod 0700 "+dir, "others than root can write to %s (mode %04o), and change what jobs get", dir, mode)
	case mode&0o055 != 0:
		return warning("chmod 0700 "+dir, "others than root can look into %s (mode %04o), where checkouts and caches of all projects are", dir, mode)
	}
	return ok("%s is there, and only root enters it", dir)
}

func (h *host) lookAtFileSystem(context.Context) []Finding {
	kind, err := fileSystemOf(h.settings.StateDir)
	if err != nil {
		return failed(err, "see that /proc is mounted")
	}
	return []Finding{judgeFileSystem(kind, h.settings.StateDir, h.driver())}
}

// fileSystemOf is the type of the file system that a folder is on.
func fileSystemOf(dir string) (string, error) {
	dir, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return "", err
	}
	mounts, err := mountinfo.GetMounts(mountinfo.ParentsFilter(dir))
	if err != nil {
		return "", err
	}
	var best *mountinfo.Info
	for _, m := range mounts {
		if best == nil || len(m.Mountpoint) >= len(best.Mountpoint) { // of two at one point the later one is seen
			best = m
		}
	}
	if best == nil {
		return "", fmt.Errorf("%s is on no file system that this process sees", dir)
	}
	return best.FSType, nil
}

var remoteFileSystems = []string{"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "afs", "ceph", "glusterfs", "lustre", "fuse.glusterfs", "fuse.sshfs", "fuse.s3fs", "fuse.rclone"}

func judgeFileSystem(kind, dir, driver string) Finding {
	const disk = "name with state_dir a folder on a disk of this host (ext4, xfs)"
	switch {
	case strings.Contains(kind, "overlay") || kind == "aufs":
		return mountless(driver, disk+", which in a container is a volume", "%s is on an %s file system, over which none can be mounted", dir, kind)
	case slices.Contains(remoteFileSystems, kind):
		return wrong(disk+"; hosts share their caches by [cache.s3]", "%s is on %s, which has neither reliable locks nor overlays", dir, kind)
	case kind == "tmpfs" || kind == "ramfs":
		return warning(disk, "%s is in memory (%s): caches take the memory of jobs, and are gone after a reboot", dir, kind)
	}
	return ok("%s is on %s", dir, kind)
}

func (h *host) lookAtSpace(context.Context) []Finding {
	var stat unix.Statfs_t
	if err := unix.Statfs(h.settings.StateDir, &stat); err != nil {
		return failed(err, "see that the file system works")
	}
	files, err := layer.Host{Dir: h.settings.StateDir}.Files()
	if err != nil {
		return failed(err, "see that root can read it")
	}
	s := space{size: int64(stat.Blocks) * stat.Bsize, free: int64(stat.Bavail) * stat.Bsize, limit: int64(h.settings.MaxSize)} //nolint:gosec // no disk is that big
	for _, f := range files {
		s.layers += f.Size
	}
	return []Finding{s.judge(h.settings)}
}

// space is that of the file system of the state directory, in bytes.
type space struct {
	size, free int64
	layers     int64 // what layers take now
	limit      int64 // what they may take; 0 is no limit
}

// smallestLimit is the least that a max_size is of use with.
const smallestLimit = 64 << 20

func (s space) judge(set *settings.Settings) Finding {
	room := max(s.free+s.layers-cache.LeastRoom, 0) // for layers, if nothing else grows
	free := fmt.Sprintf("%s of %s free", human(s.free), human(s.size))
	switch {
	case s.free < cache.LeastRoom:
		return wrong("make space there: gitlab-go-executor prune --unused, a lower max_size, or a bigger disk",
			"%s has %s, and with less than %s jobs get no caches", set.StateDir, free, human(cache.LeastRoom))
	case s.limit == 0:
		return ok("%s has %s; nothing bounds what layers take (max_size = 0)", set.StateDir, free)
	case s.limit > room:
		remedy := "use a bigger disk"
		if room >= smallestLimit {
			remedy += fmt.Sprintf(", or set max_size to %q or less", settings.Bytes(room>>20<<20))
		}
		return warning(remedy,
			"layers may take %s (max_size), and %s has room for %s of them: %s", human(s.limit), set.StateDir, human(room), free)
	}
	return ok("%s has %s; layers take %s and at most %s", set.StateDir, free, human(s.layers), human(s.limit))
}

func human(n int64) string { return humanize.IBytes(uint64(max(n, 0))) }
