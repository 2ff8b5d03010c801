package checkout

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// reach decides how much of a checkout is stamped. Make takes an output from elsewhere for up to date if the sources look older; so
// with such outputs, only what no build makes anything from is stamped: test data.
func reach(o Options, repos []repository) (mode, why string) {
	untracked := slices.ContainsFunc(repos, func(r repository) bool { return len(r.foreign) > 0 })
	switch {
	case !o.Stamp:
		return ModeOff, "switched off"
	case untracked:
		return ModeTestdata, "untracked files"
	case o.Foreign:
		return ModeTestdata, "artifacts or cache paths"
	}
	return ModeAll, ""
}

// setTimes stamps the checkout and refreshes the indexes of the repositories whose files it has touched.
func setTimes(ctx context.Context, o Options, repos []repository, p *problems) Times {
	t := Times{}
	t.Mode, t.Why = reach(o, repos)
	for _, r := range repos {
		slices.Sort(r.dirty) // a conflict is listed more than once
		t.Dirty += len(slices.Compact(r.dirty))
	}
	tree := newTree(repos)
	if t.Mode != ModeOff {
		tree.settle(t.Mode == ModeAll)
	}
	s := stamper{now: time.Now().UnixNano(), times: &t, touched: make([]bool, len(repos))}
	if err := s.checkout(ctx, o.Dir, tree); err != nil {
		p.add("Not all file times could be set: %v", err)
	}
	t.Refreshed = true
	for i, touched := range s.touched {
		if !touched {
			continue
		}
		if o.RefreshLimit == 0 {
			t.Refreshed = false
			break
		}
		if err := (git{filepath.Join(o.Dir, repos[i].dir)}).refresh(ctx, o.RefreshLimit); err != nil {
			t.Refreshed = false
			p.add("Git's index was not refreshed, so the first git status will read every file: %v", err)
		}
	}
	return t
}

// stamper sets the times of a tree. It goes down by descriptors of folders that are no symbolic links, so nothing outside of the
// checkout is touched whatever lies in it.
type stamper struct {
	now     int64
	times   *Times
	touched []bool // by repository
	failed  error  // the first
}

func (s *stamper) checkout(ctx context.Context, dir string, tree *node) error {
	fd, err := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd) //nolint:errcheck // only read
	return errors.Join(s.folder(ctx, fd, tree), s.failed)
}

// folder does the files of a folder, then the folders in it, then itself. What is not as git told is left alone.
func (s *stamper) folder(ctx context.Context, fd int, n *node) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(n.children)) {
		child := n.children[name]
		if child.children == nil {
			s.file(fd, name, child)
			continue
		}
		sub, err := unix.Openat(fd, name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
		if err != nil { // it is not checked out, or something else lies there, and then git calls it changed
			continue
		}
		err = errors.Join(s.folder(ctx, sub, child), unix.Close(sub))
		if err != nil {
			return err
		}
	}
	if s.set(fd, ".", n, unix.S_IFDIR, n.stamp(".")) {
		s.times.Dirs++
	}
	return nil
}

func (s *stamper) file(fd int, name string, n *node) {
	kind := uint32(unix.S_IFREG)
	if n.mode == modeLink {
		kind = unix.S_IFLNK
	}
	if s.set(fd, name, n, kind, n.stamp(name)) {
		s.times.Files++
	}
}

// set gives what has a stable time that time, and tells whether it has it. It takes back the stable time that an earlier job gave
// to anything else: such as the sources when there are outputs from elsewhere this time.
func (s *stamper) set(fd int, name string, n *node, kind uint32, stamp int64) bool {
	var st unix.Stat_t
	if err := unix.Fstatat(fd, name, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil || st.Mode&unix.S_IFMT != kind {
		return false
	}
	is, want := st.Mtim.Nano(), stamp
	switch {
	case !n.stable && !stamped(is):
		return false
	case !n.stable:
		want = s.now
	case is == want:
		return true
	}
	times := []unix.Timespec{{Nsec: unix.UTIME_OMIT}, unix.NsecToTimespec(want)}
	if err := unix.UtimesNanoAt(fd, name, times, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		if s.failed == nil {
			s.failed = fmt.Errorf("%q: %w", name, err)
		}
		return false
	}
	if n.children == nil {
		s.touched[n.repo] = true
	}
	return n.stable
}
