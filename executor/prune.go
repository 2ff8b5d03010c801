package executor

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/sirupsen/logrus"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/executor/docker"
	"gitlab.com/gitlab-go-executor/gitlab-go-executor/executor/oplog"
	"gitlab.com/gitlab-go-executor/gitlab-go-executor/executor/settings"
)

// pruneLimit bounds what a person waits for.
const pruneLimit = 10 * time.Minute

// Prune removes what killed jobs have left on this host: containers, networks, mounts, folders; it saves what they have made in their
// caches, unmounts layers that are idle and deletes the oldest beyond max_size. With unused, every layer that no job uses is
// unmounted and deleted; the store keeps its own. Jobs that are running are not disturbed.
func Prune(ctx context.Context, call Call, unused bool) error {
	j, done, err := openHost(ctx, call, "prune")
	if err != nil {
		return err
	}
	defer done()
	ctx, cancel := context.WithTimeoutCause(ctx, pruneLimit, fmt.Errorf("waited %s: %w", pruneLimit, context.DeadlineExceeded))
	defer cancel()
	err = j.reapAll(ctx)
	j.salvageCaches(ctx)
	return errors.Join(err, j.caches.Housekeep(ctx, unused))
}

// openHost is for commands that see to a host and not to a job.
func openHost(ctx context.Context, call Call, command string) (*job, func(), error) {
	s, err := settings.Load(call.ConfigPath)
	if err != nil {
		return nil, nil, err
	}
	logger, closer, err := oplog.New(s.Log, oplog.Options{Mode: oplog.Direct, Stderr: call.Stderr})
	if err != nil {
		return nil, nil, err
	}
	j := &job{
		call: call, settings: s, tree: tree(filepath.Clean(s.StateDir)), started: time.Now(),
		log: logrus.NewEntry(logger).WithField(oplog.FieldStage, command),
	}
	j.caches = j.openCaches(ctx)
	return j, func() { _ = closer.Close() }, nil
}

// reapAll reaps every dead job.
func (j *job) reapAll(ctx context.Context) error {
	state, err := j.tree.id()
	if err != nil {
		return stateError(err)
	}
	if state == "" {
		return nil // no job was ever prepared here
	}
	if err := j.connect(ctx); err != nil {
		return fmt.Errorf("what killed jobs left cannot be removed: %w", err)
	}
	defer func() { _ = j.docker.Close() }()
	unlock, err := lockJobs(ctx, j.tree)
	if err != nil {
		return err
	}
	defer unlock()
	_, others, err := j.reap(ctx, docker.Owner{State: state})
	return errors.Join(append(others, err)...)
}
