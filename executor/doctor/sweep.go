package doctor

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/moby/sys/mountinfo"
	"golang.org/x/sys/unix"
)

// leftAfter is how old a folder of ours is when whoever made it is taken to be gone.
const leftAfter = time.Hour

// sweep removes what doctors have left that were killed.
func (h *host) sweep(ctx context.Context) error {
	entries, err := os.ReadDir(h.settings.StateDir)
	problems := []error{err}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil || !strings.HasPrefix(e.Name(), trialFolder) || time.Since(info.ModTime()) < leftAfter {
			continue
		}
		t := trial{docker: h.docker, dir: filepath.Join(h.settings.StateDir, e.Name())}
		problems = append(problems, t.end(ctx))
	}
	return errors.Join(problems...)
}

// clearAway removes a folder that the doctor made, and before that what is still mounted in it: that must not be removed file by file.
func clearAway(dir string) error {
	path, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return err
	}
	mounts, err := mountinfo.GetMounts(mountinfo.PrefixFilter(path))
	if err != nil {
		return err
	}
	for _, m := range slices.Backward(mounts) { // the last is on top
		if err := unix.Unmount(m.Mountpoint, unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW); err != nil && !errors.Is(err, unix.EINVAL) {
			return err
		}
	}
	return os.RemoveAll(path)
}
