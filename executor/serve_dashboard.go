package executor

import (
	"cmp"
	"context"
	"net/http"
	"os"
	"time"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/stats"
	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/stats/dashboard"
)

// dashboard is the handler of the pages for people.
func (s *server) dashboard() http.Handler {
	open := func(ctx context.Context) (*stats.Ledger, error) { return stats.OpenToRead(ctx, string(s.tree)) }
	return dashboard.Handler(open, s.facts)
}

// facts are what metrics tell of the host, in the words of the dashboard.
func (s *server) facts() dashboard.Facts {
	host, _ := os.Hostname() // whose error leaves it unknown
	h := s.metrics.Host()
	reason, since := s.health.storeFailure()
	noLimit := int64(0)
	limit := h.MaxLayerBytes
	if s.settings.MaxSize == 0 {
		limit = &noLimit
	}
	name := s.settings.StoreDir()
	if s.settings.Cache.Shared() {
		name = s.settings.Cache.S3.BucketName + " at " + cmp.Or(s.settings.Cache.S3.ServerAddress, "Amazon S3")
	}
	return dashboard.Facts{
		Host: host, Version: s.call.Version, Taken: time.Now(),
		HostTier: dashboard.Use{Objects: h.Layers, Bytes: h.LayerBytes, Limit: limit},
		Ledger:   dashboard.Use{Bytes: h.LedgerBytes, Limit: h.MaxLedgerBytes},
		DiskFree: h.StateFreeBytes, DiskSize: h.StateSizeBytes,
		StoreName: name, StoreHealth: dashboard.Health{Up: h.StoreUp, Answered: h.StoreAnswered, Reason: string(reason), Since: since},
		Spool:      dashboard.Spool{Objects: h.SpoolObjects, Bytes: h.SpoolBytes, Oldest: h.SpoolSince},
		OrphanJobs: h.OrphanJobs, OrphanContainers: h.OrphanContainers,
	}
}
