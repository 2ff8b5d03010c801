package executor

import "gitlab.com/gitlab-go-executor/gitlab-go-executor/executor/runner"

// Config is Runner's config_exec: it checks settings and payload, so that a host that cannot work says so first, and prints
// where builds and caches are inside the containers. Nothing else may go to standard output.
func Config(call Call) int {
	return runStage(call, stageConfig, func(*job) error { return runner.WriteConfig(call.Stdout, call.Version) })
}
