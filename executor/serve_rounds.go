package executor

import (
	"context"
	"errors"
	"io/fs"
	"time"

	"golang.org/x/sys/unix"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache"
	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/crash"
	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/stats"
	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/stats/metrics"
)

// failed counts and logs the failure of a task, if it is one.
func (s *server) failed(ctx context.Context, task metrics.Task, err error, text string) error {
	if err == nil || errors.Is(ctx.Err(), context.Canceled) { // serve ends
		return nil
	}
	s.metrics.Failed(task)
	s.log.WithField("task", task).WithError(err).Warn(text)
	return err
}

// send brings what jobs have saved to the store.
func (s *server) send(ctx context.Context) error {
	began := time.Now()
	sent, err := s.caches.Send(ctx)
	s.metrics.Sent(sent.Bytes)
	if errors.Is(ctx.Err(), context.Canceled) {
		return nil
	}
	line := s.log.WithField("objects", sent.Objects).WithField("bytes", sent.Bytes).WithField("seconds", time.Since(began).Seconds())
	if err != nil {
		if objects, bytes, unknown := s.caches.Waiting(ctx); unknown == nil {
			line = line.WithField("waiting_objects", objects).WithField("waiting_bytes", bytes)
		}
		line.WithError(err).Warn("not everything could be sent to the store; what is left is tried again")
		s.metrics.Failed(metrics.Send)
	} else if sent.Objects > 0 {
		line.Info("sent to the store")
	}
	s.noteStore(metrics.Send, sent.Objects > 0, err)
	return err
}

// probe asks the store whether it answers, also while nothing is to be sent.
func (s *server) probe(ctx context.Context) error {
	err := s.caches.Probe(ctx)
	if errors.Is(ctx.Err(), context.Canceled) {
		return nil
	}
	if err != nil {
		s.metrics.Failed(metrics.Probe)
	}
	s.noteStore(metrics.Probe, err == nil, err)
	return err
}

// noteStore notes what a task has learned of the store, and tells when that is new. What failed to be sent is tried again when the store is back.
func (s *server) noteStore(task metrics.Task, answered bool, err error) {
	before, after := s.health.store(task, cache.ReasonOf(err))
	s.metrics.Set(func(h *metrics.Host) {
		if answered || err != nil || h.StoreUp != nil { // else nobody has asked it yet
			h.StoreUp = new(after == "")
		}
		if answered {
			h.StoreAnswered = time.Now()
		}
	})
	switch {
	case before == "" && after != "":
		s.log.WithField("cache_reason", after).WithError(err).Warn("the store fails")
	case before != "" && after == "":
		s.log.Info("the store works again")
	}
	if task == metrics.Probe && err == nil && before != "" {
		select {
		case s.sendNow <- struct{}{}:
		default:
		}
	}
}

// tend tidies up: the host, then the store unless it fails, then the ledger.
func (s *server) tend(ctx context.Context) error {
	left, err := s.reapAll(ctx)
	crash.At(crash.HostReaped)
	reaped := s.failed(ctx, metrics.Reap, err, "what killed jobs left cannot be removed")
	s.metrics.Set(func(h *metrics.Host) {
		h.OrphanJobs, h.OrphanContainers = nil, nil
		if left != nil {
			h.OrphanJobs, h.OrphanContainers = new(int64(left.jobs)), new(int64(left.containers))
		}
	})
	salvaged := s.failed(ctx, metrics.Salvage, s.salvageCaches(ctx), "the host tier cannot be tidied up")
	crash.At(crash.HostTidied)
	var compacted error
	if s.health.storeReason() == "" {
		compacted = s.failed(ctx, metrics.Compact, s.caches.Compact(ctx, true), "the store cannot be tended")
	}
	trimmed := s.failed(ctx, metrics.Ledger, s.trimLedger(ctx), "the ledger cannot be trimmed")
	return errors.Join(reaped, salvaged, compacted, trimmed)
}

// countJobs counts the jobs that have ended.
func (s *server) countJobs(ctx context.Context) error {
	if s.settings.Stats.MaxSize == 0 {
		return nil
	}
	size, err := s.follow(ctx)
	err = s.failed(ctx, metrics.Ledger, err, "the ledger cannot be read")
	s.health.ledger(err)
	s.metrics.Set(func(h *metrics.Host) {
		h.LedgerBytes, h.MaxLedgerBytes = known(size, err), new(int64(s.settings.Stats.MaxSize))
	})
	return err
}

// follow opens the ledger anew each time: who finds it broken may have moved it away.
func (s *server) follow(ctx context.Context) (size int64, err error) {
	ledger, err := stats.OpenToRead(ctx, string(s.tree))
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil // no job has ended here yet
	}
	if err != nil {
		return 0, err
	}
	defer ledger.Close()
	if err := s.metrics.Follow(ctx, ledger); err != nil {
		return 0, err
	}
	return ledger.Size()
}

// look finds out what the host's disk holds.
func (s *server) look(ctx context.Context) error {
	layers, layerBytes, err := s.caches.Layers()
	objects, bytes, unknown := s.caches.Waiting(ctx)
	since, sinceUnknown := s.caches.WaitingSince(ctx)
	var disk unix.Statfs_t
	statfs := unix.Statfs(string(s.tree), &disk)
	s.metrics.Set(func(h *metrics.Host) {
		h.Layers, h.LayerBytes = known(int64(layers), err), known(layerBytes, err)
		if s.settings.MaxSize > 0 {
			h.MaxLayerBytes = new(int64(s.settings.MaxSize))
		}
		h.SpoolObjects, h.SpoolBytes, h.SpoolSince = known(int64(objects), unknown), known(bytes, unknown), since
		h.StateFreeBytes = known(int64(disk.Bavail)*disk.Bsize, statfs) //nolint:gosec // no disk is that big
		h.StateSizeBytes = known(int64(disk.Blocks)*disk.Bsize, statfs) //nolint:gosec // likewise
	})
	return s.failed(ctx, metrics.Look, errors.Join(err, unknown, sinceUnknown, statfs), "the state directory cannot be looked at")
}

// known is a figure, unless there was an error.
func known(n int64, err error) *int64 {
	if err != nil {
		return nil
	}
	return &n
}
