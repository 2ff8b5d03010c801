package docker

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/pkg/stdcopy"
)

// The colours of the docker executor (helpers/ansi_colors.go).
const (
	yellow = "\x1b[0;33m"
	grey   = "\x1b[0;37m"
	reset  = "\x1b[0;m"
)

// copyLog copies what a service has printed since it was last shown, each line with its time; with follow also what it prints until it
// or ctx ends.
func (c *Client) copyLog(ctx context.Context, s Service, follow bool, to io.Writer) error {
	options := container.LogsOptions{ShowStdout: true, ShowStderr: true, Timestamps: true, Follow: follow}
	if !s.Shown.IsZero() {
		options.Since = s.Shown.Add(1).Format(time.RFC3339Nano) // what was printed at that very time is included
	}
	body, err := c.api.ContainerLogs(ctx, s.ID, options)
	if err != nil {
		return explain(ctx, err, "read the log of service %s", s.Name)
	}
	defer func() { _ = body.Close() }()
	if _, err := stdcopy.StdCopy(to, to, body); err != nil {
		return explain(ctx, err, "read the log of service %s", s.Name)
	}
	return nil
}

// lastLines bounds how long the last lines of services are waited for when a stage ends.
const lastLines = 10 * time.Second

// FollowLogs writes what services print to log, in the docker executor's form, from where it was last Shown. stop waits for what they
// have printed by then, and gives the services with what was shown.
func (c *Client) FollowLogs(ctx context.Context, services []Service, log io.Writer) (stop func() []Service) {
	following, cancel := context.WithCancel(ctx)
	writers := make([]*serviceLog, len(services))
	var group sync.WaitGroup
	for i, s := range services {
		writers[i] = &serviceLog{to: log, prefix: grey + "[service:" + strings.Join(s.Aliases, "-") + "] ", shown: s.Shown}
		group.Go(func() { _ = c.copyLog(following, s, true, writers[i]) }) // what it misses is shown at the end, and its error then
	}
	return func() []Service {
		cancel()
		group.Wait()
		ending, cancel := bounded(context.WithoutCancel(ctx), lastLines, "the last lines of services")
		defer cancel()
		shown := make([]Service, len(services))
		for i, s := range services {
			s.Shown = writers[i].shown
			if err := c.copyLog(ending, s, false, writers[i]); err != nil {
				fmt.Fprintf(log, "WARNING: CI_DEBUG_SERVICES: %v\n", err)
			}
			s.Shown = writers[i].shown
			shown[i] = s
		}
		return shown
	}
}

// serviceLog writes lines under the names of their service (helpers/service/inline_service_log_writer.go), and knows the time of the
// last one. Docker gives it whole lines.
type serviceLog struct {
	to     io.Writer
	prefix string
	shown  time.Time
}

// Write implements io.Writer.
func (l *serviceLog) Write(p []byte) (int, error) {
	for line := range bytes.Lines(p) {
		line = bytes.TrimSuffix(line, []byte("\n"))
		if _, err := fmt.Fprintf(l.to, "%s%s%s\n", l.prefix, line, reset); err != nil {
			return 0, err
		}
		stamp, _, _ := strings.Cut(string(line), " ")
		if at, err := time.Parse(time.RFC3339Nano, stamp); err == nil {
			l.shown = at
		}
	}
	return len(p), nil
}
