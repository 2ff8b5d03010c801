package runner

import (
	"encoding/json"
	"io"

	"gitlab.com/gitlab-org/gitlab-runner/executors/custom/api"
)

// Paths inside every container of every job. They are the same in each: Go's caches are keyed by absolute path.
const (
	BuildsDir = "/builds"
	CacheDir  = "/cache"
)

// shell selects the generator of Runner's scripts; they are POSIX enough for busybox sh too (shells/bash.go).
const shell = "bash"

// WriteConfig prints what Runner expects of config_exec on standard output.
func WriteConfig(w io.Writer, version string) error {
	name, builds, cache, sh, shared := "gitlab-go-executor", BuildsDir, CacheDir, shell, false
	return json.NewEncoder(w).Encode(api.ConfigExecOutput{
		Driver:            &api.DriverInfo{Name: &name, Version: &version},
		BuildsDir:         &builds,
		CacheDir:          &cache,
		BuildsDirIsShared: &shared,
		Shell:             &sh,
	})
}
