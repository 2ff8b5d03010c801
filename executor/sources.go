package executor

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/sirupsen/logrus"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/crash"
	"gitlab.com/gitlab-go-executor/gitlab-go-executor/executor/checkout"
)

// Limits of what is done with the checkout after get_sources.
const (
	refreshLimit  = 10 * time.Second
	checkoutLimit = time.Minute
)

// FileTimes is the variable with which authors keep the checkout's file times as git made them: make compares them.
const fileTimesVariable = "GO_EXECUTOR_FILE_TIMES"

// sourcesReady sets the checkout's file times and reads its module graph, in the helper container: git on the host would run what
// the checkout's config names. What fails here costs warmth and nothing else.
func (j *job) sourcesReady(ctx context.Context) {
	dir := j.env.ProjectDir()
	record := j.store.get()
	if record.Tool == "" || dir == "" {
		return
	}
	report, err := j.inspectCheckout(ctx, dir)
	if err != nil {
		j.warnCaches("The checkout could not be looked at, so its caches will be less warm: %v", err)
		return
	}
	for _, problem := range report.Problems {
		j.warnCaches("%s", problem)
	}
	if times := report.Times; times.Mode == "testdata" {
		j.say("Go caches: stable file times below testdata only (%s)", times.Why)
	}
	crash.At(crash.SourcesRead)
	data, err := json.Marshal(report)
	if err == nil {
		err = os.WriteFile(j.checkoutFile(), data, 0o600)
	}
	if err != nil {
		j.warnCaches("What was found in the checkout cannot be kept: %v", err)
	}
	j.log.WithFields(logrus.Fields{
		"file_times": report.Times.Mode, "files": report.Times.Files, "dirty": report.Times.Dirty, "seconds": report.Times.Seconds,
	}).Debug("checkout")
}

func (j *job) checkoutFile() string { return filepath.Join(j.store.dir, "checkout.json") }

func (j *job) inspectCheckout(ctx context.Context, dir string) (checkout.Report, error) {
	ctx, cancel := context.WithTimeout(ctx, checkoutLimit+refreshLimit)
	defer cancel()
	cmd := []string{toolPath, insideCommand, "checkout", "--dir", dir, "--refresh-limit", refreshLimit.String(), "--limit", checkoutLimit.String()}
	if j.fileTimes() {
		cmd = append(cmd, "--stamp")
	}
	if j.foreignFiles(dir) {
		cmd = append(cmd, "--foreign")
	}
	var stdout, stderr bytes.Buffer
	result, err := j.docker.Exec(ctx, j.store.object(objectHelper), cmd, nil, &stdout, &stderr)
	if err != nil {
		return checkout.Report{}, err
	}
	if result.Code != 0 {
		return checkout.Report{}, errorText(result.Code, stderr.String())
	}
	return checkout.ReadReport(&stdout)
}

// fileTimes is the author's switch.
func (j *job) fileTimes() bool {
	switch value := strings.ToLower(j.env.Variables[fileTimesVariable]); value {
	case "", "on", "true", "1":
		return true
	case "off", "false", "0":
		return false
	default:
		j.warnCaches("%s is %q; known are on and off. It is taken for off", fileTimesVariable, value)
		return false
	}
}

// foreignFiles says whether files of other origin than git will come into the checkout: artifacts of other jobs, or what the cache:
// keyword restores. Runner restores nothing outside of the project's folder.
func (j *job) foreignFiles(dir string) bool {
	if len(j.payload.Dependencies) > 0 {
		return true
	}
	for _, c := range j.payload.Cache {
		if c.Untracked {
			return true
		}
		for _, path := range c.Paths {
			path = j.env.Expand(path)
			if !filepath.IsAbs(path) || path == dir || strings.HasPrefix(path, dir+"/") {
				return true
			}
		}
	}
	return false
}
