package executor

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

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
	self, err := os.Executable()
	if err != nil {
		return "", err
	}
	info, err := os.Stat(self)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "%s %d %d", self, info.Size(), info.ModTime().UnixNano()))
	path := filepath.Join(string(t), "bin", "gitlab-go-executor-"+hex.EncodeToString(sum[:8]))
	if have, err := os.Stat(path); err == nil && have.Size() == info.Size() {
		return path, nil
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

func ignoreGone(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

func toolMount(path string) docker.Mount {
	return docker.Mount{Source: path, Target: toolPath, ReadOnly: true}
}
