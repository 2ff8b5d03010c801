package layer

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/crash"
	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/flock"
)

// FileInfo tells of one layer file.
type FileInfo struct {
	Digest string
	Size   int64
	Used   time.Time // when it was written, brought here or touched last
}

// Names of what is half made and of what is on its way out. No lookup finds them, since they are no digests.
const (
	suffix  = ".sqfs"
	staging = ".new-"
	dead    = ".dead-"
)

func (h Host) layers() string { return filepath.Join(h.Dir, "layers") }
func (h Host) mnt() string    { return filepath.Join(h.Dir, "mnt") }

// aside gives a path in the folder, which is made if need be, at which nothing is.
func aside(folder, prefix string) (string, error) {
	return filepath.Join(folder, prefix+rand.Text()), os.MkdirAll(folder, 0o700)
}

// checkDigest keeps whatever else a journal may name out of paths.
func checkDigest(digest string) error {
	if len(digest) != 64 || strings.Trim(digest, "0123456789abcdef") != "" {
		return fmt.Errorf("%q is not the digest of a layer: 64 lower-case hexadecimal digits", digest)
	}
	return nil
}

// Adopt brings a layer file from elsewhere: fetch writes it to a path at which nothing is, or links it there. A file that does
// not have the digest is an error that wraps ErrCorrupt. If the layer is here already, nothing is done.
// While it writes in order it may say up to which byte the file is whole: that is hashed meanwhile.
func (h Host) Adopt(ctx context.Context, digest string, fetch func(path string, have func(upTo int64)) error) error {
	if err := checkDigest(digest); err != nil {
		return err
	}
	if _, err := os.Stat(h.File(digest)); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	unlock, err := h.working(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	path, err := aside(h.layers(), staging)
	if err != nil {
		return err
	}
	defer os.Remove(path) //nolint:errcheck // once the layer is in its place there is nothing to remove
	follow := newFollower(path)
	if err := fetch(path, follow.have); err != nil {
		follow.stop()
		return err
	}
	crash.At(crash.LayerFetched)
	info, err := follow.seal(ctx)
	if err != nil {
		return err
	}
	if info.Digest != digest {
		return fmt.Errorf("%w: what was fetched for %.12s has the digest %.12s", ErrCorrupt, digest, info.Digest)
	}
	return h.publish(path, digest)
}

// publish gives a file that is whole, and on disk, its place. The folder is flushed too, so that the file does not vanish after
// somebody was told of it.
func (h Host) publish(path, digest string) error {
	if err := os.Rename(path, h.File(digest)); err != nil {
		return err
	}
	crash.At(crash.LayerPlaced)
	folder, err := os.Open(h.layers())
	if err != nil {
		return err
	}
	defer folder.Close()
	return folder.Sync()
}

// Files lists the layer files, whether they are readable or not.
func (h Host) Files() ([]FileInfo, error) {
	entries, err := os.ReadDir(h.layers())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	var files []FileInfo
	for _, e := range entries {
		digest, ok := strings.CutSuffix(e.Name(), suffix)
		if !ok || checkDigest(digest) != nil {
			continue
		}
		info, err := e.Info()
		if errors.Is(err, fs.ErrNotExist) {
			continue // removed meanwhile
		}
		if err != nil {
			return nil, err
		}
		files = append(files, FileInfo{Digest: digest, Size: info.Size(), Used: info.ModTime()})
	}
	return files, nil
}

// Touch notes that the layer is used now. fs.ErrNotExist says that there is no such layer file.
func (h Host) Touch(digest string) error {
	if err := checkDigest(digest); err != nil {
		return err
	}
	now := time.Now()
	return os.Chtimes(h.File(digest), now, now)
}

// Remove deletes a layer file. What is mounted of it stays so. A file that is not there is no error.
func (h Host) Remove(digest string) error {
	if err := checkDigest(digest); err != nil {
		return err
	}
	return discard(h.File(digest), h.layers())
}

// discard takes a file or folder away from its place at once, and then removes it, however long that takes.
func discard(path, folder string) error {
	grave, err := aside(folder, dead)
	if err != nil {
		return err
	}
	if err := os.Rename(path, grave); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	}
	crash.At(crash.LayerBuried)
	return os.RemoveAll(grave)
}

// working is held by whoever has something half made, so that Sweep can tell what a killed process has left.
func (h Host) working(ctx context.Context) (unlock func(), err error) {
	return flock.Lock(ctx, filepath.Join(h.mnt(), ".lock-working"), flock.Shared)
}

// Sweep removes what crashes left half made or half removed: all of it if nobody is at work, else what nobody has worked on for
// olderThan.
func (h Host) Sweep(ctx context.Context, olderThan time.Duration) error {
	now, cancel := context.WithTimeout(ctx, time.Millisecond)
	defer cancel()
	if unlock, err := flock.Lock(now, filepath.Join(h.mnt(), ".lock-working"), flock.Exclusive); err == nil {
		defer unlock()
		olderThan = 0
	}
	var problems []error
	for _, folder := range []string{h.layers(), h.mnt()} {
		entries, err := os.ReadDir(folder)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			problems = append(problems, err)
		}
		for _, e := range entries {
			path := filepath.Join(folder, e.Name())
			if abandoned(path, olderThan) {
				problems = append(problems, os.RemoveAll(path))
			}
		}
	}
	return errors.Join(append(problems, h.sweepMountPoints())...)
}

// abandoned goes by the time of the last change of the inode, since a layer file that was linked into its staging place brings
// its old mtime along.
func abandoned(path string, olderThan time.Duration) bool {
	name := filepath.Base(path)
	if !strings.HasPrefix(name, staging) && !strings.HasPrefix(name, dead) {
		return false
	}
	var stat unix.Stat_t
	return unix.Lstat(path, &stat) == nil && time.Since(time.Unix(stat.Ctim.Unix())) >= olderThan
}

// sweepMountPoints removes the empty folders that a reboot leaves of layers that are gone. The kernel refuses it for those that
// are mounted, or that have content.
func (h Host) sweepMountPoints() error {
	entries, err := os.ReadDir(h.mnt())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, e := range entries {
		if checkDigest(e.Name()) != nil {
			continue
		}
		if _, err := os.Stat(h.File(e.Name())); errors.Is(err, fs.ErrNotExist) {
			_ = unix.Rmdir(h.Mnt(e.Name()))
		}
	}
	return nil
}
