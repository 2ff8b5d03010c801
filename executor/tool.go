package executor

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/executor/docker"
)

// toolPath is where containers find this very program, for what has to be done inside them: what a hostile checkout's git
// config names, or a hostile image's go, must not run on the host.
const toolPath = "/gitlab-go-executor"

// insideCommand is the command whose subcommands run in containers.
const insideCommand = "inside"

// installTool puts a copy of this program below state_dir, which the Docker daemon sees by the requirements, while the program's own
// folder may be that of a Runner's container. A release has a name of its own, since a running job may still need the old one.
func installTool(t tree) (string, error) {
	self, info, err := thisProgram()
	if err != nil {
		return "", err
	}
	path := t.tool(self, info)
	if have, err := os.Stat(path); err == nil && have.Size() == info.Size() {
		now := time.Now() // lest another release sweeps it before this job's record names it
		if os.Chtimes(path, now, now) == nil {
			return path, nil
		}
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return "", err
	}
	data, err := os.ReadFile(self)
	if err != nil {
		return "", err
	}
	staged := fmt.Sprintf("%s.%d", path, os.Getpid())
	if err := os.WriteFile(staged, data, 0o755); err != nil { //nolint:gosec // any user of a container runs it
		return "", errors.Join(err, ignoreGone(os.Remove(staged)))
	}
	return path, os.Rename(staged, path)
}

func thisProgram() (path string, info fs.FileInfo, err error) {
	if path, err = os.Executable(); err != nil {
		return "", nil, err
	}
	info, err = os.Stat(path)
	return path, info, err
}

// tool names the copy of a program. Packages of two builds may have the same time and size, so it goes by when the file was installed.
func (t tree) tool(program string, info fs.FileInfo) string {
	installed := info.ModTime().UnixNano()
	if s, ok := info.Sys().(*syscall.Stat_t); ok {
		installed = s.Ctim.Nano()
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "%s %d %d", program, info.Size(), installed))
	return filepath.Join(string(t), "bin", "gitlab-go-executor-"+hex.EncodeToString(sum[:8]))
}

// oldTool is how long a copy stays that may be that of another program of this host.
const oldTool = 24 * time.Hour

// sweepTools deletes, under lockJobs, the copies of releases that no job uses any more.
func sweepTools(t tree, c census, now time.Time) {
	self, info, err := thisProgram()
	if err != nil || len(c.unknown) > 0 {
		return
	}
	used := map[string]bool{t.tool(self, info): true}
	for _, job := range c.living {
		used[job.get().Tool] = true
	}
	tools, _ := filepath.Glob(filepath.Join(string(t), "bin", "gitlab-go-executor-*"))
	for _, path := range tools {
		if info, err := os.Stat(path); err == nil && !used[path] && now.Sub(info.ModTime()) > oldTool {
			_ = os.Remove(path)
		}
	}
}

// oldImage is after how long a host forgets what Go an image has: to look again costs the next job half a second, and nobody tells which images are gone.
const oldImage = 30 * 24 * time.Hour

// sweepImages deletes what was found so long ago, and what crashes have left of such files.
func sweepImages(t tree, now time.Time) {
	files, _ := filepath.Glob(filepath.Join(t.images(), "*"))
	for _, path := range files {
		if info, err := os.Stat(path); err == nil && now.Sub(info.ModTime()) > oldImage {
			_ = os.Remove(path)
		}
	}
}

func ignoreGone(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

func toolMount(path string) docker.Mount {
	return docker.Mount{Source: path, Target: toolPath, ReadOnly: true}
}
