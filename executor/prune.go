package executor

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/sirupsen/logrus"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache"
	"gitlab.com/gitlab-go-executor/gitlab-go-executor/executor/docker"
	"gitlab.com/gitlab-go-executor/gitlab-go-executor/executor/oplog"
	"gitlab.com/gitlab-go-executor/gitlab-go-executor/executor/settings"
)

// pruneLimit bounds what a person waits for.
const pruneLimit = 10 * time.Minute

// Pruning says what a prune is about.
type Pruning struct {
	Unused bool                // every layer that no job uses goes from this host
	Store  *cache.PruneOptions // nil leaves the store alone
}

// Prune removes what killed jobs have left on this host: containers, networks, mounts, folders; it saves what they have made in their
// caches, unmounts layers that are idle and deletes the oldest beyond max_size. What waits is sent to the store, and the pools that this host
// has added to are compacted there. Jobs that are running are not disturbed. A dry run looks at the store alone.
func Prune(ctx context.Context, call Call, what Pruning) error {
	j, done, err := openHost(ctx, call, "prune")
	if err != nil {
		return err
	}
	defer done()
	ctx, cancel := context.WithTimeoutCause(ctx, pruneLimit, fmt.Errorf("waited %s: %w", pruneLimit, context.DeadlineExceeded))
	defer cancel()
	if what.Store != nil && what.Store.DryRun {
		return j.pruneStore(ctx, *what.Store)
	}
	err = j.reapAll(ctx)
	j.salvageCaches(ctx)
	if !j.served(ctx) {
		if err := j.caches.Tend(ctx, true); err != nil {
			j.log.WithError(err).Warn("the store cannot be tended")
		}
	}
	if what.Store != nil {
		err = errors.Join(err, j.pruneStore(ctx, *what.Store))
	}
	return errors.Join(err, j.caches.Housekeep(ctx, what.Unused))
}

// pruneStore tells as it goes: there may be much to look at.
func (j *job) pruneStore(ctx context.Context, o cache.PruneOptions) error {
	verb := "removed"
	if o.DryRun {
		verb = "would remove"
	}
	done, err := j.caches.PruneStore(ctx, o, func(what string) { fmt.Fprintf(j.call.Stdout, "%s %s\n", verb, what) })
	if err != nil && done == (cache.Pruned{}) {
		return err
	}
	fmt.Fprintf(j.call.Stdout, "store: %s %d entries and %d layers (%s); %d layers that nothing names wait for a prune a day from now\n",
		verb, done.Entries, done.Layers, humanize.Bytes(uint64(done.Bytes)), done.Waiting)
	return err
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
