package cache

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/dustin/go-humanize"
)

// What a restore would fetch from a far store is weighed against what it saves: the time that a job took which had nothing.

const (
	rateFrom = 16 << 20  // bytes that are enough to tell a rate by
	rateFor  = time.Hour // how long a rate is believed; then one restore tries again
)

// rate is how fast layers came from the store of late, in bytes per second.
type rate struct {
	BytesPerSecond float64 `json:"bytes_per_second"`
}

func (c *Cache) rateFile() string { return filepath.Join(c.Dir, "spool", "rate.json") }

// noteRate remembers how fast layers came. Of a fetch that did not end in time it is told the bytes that did not come: it was slower
// than that.
func (c *Cache) noteRate(bytes int64, took time.Duration) error {
	if c.spool == nil || bytes < rateFrom || took <= 0 {
		return nil
	}
	data, err := json.Marshal(rate{float64(bytes) / took.Seconds()})
	if err != nil {
		return err
	}
	return errors.Join(os.MkdirAll(filepath.Dir(c.rateFile()), 0o700), replaceFile(c.rateFile(), data))
}

// lately is the rate; 0 if nobody knows.
func (c *Cache) lately(now time.Time) float64 {
	info, err := os.Stat(c.rateFile())
	if err != nil || now.Sub(info.ModTime()) > rateFor {
		return 0
	}
	var r rate
	if data, err := os.ReadFile(c.rateFile()); err != nil || json.Unmarshal(data, &r) != nil {
		return 0
	}
	return r.BytesPerSecond
}

// worthIt decides whether to fetch: not if that takes longer than the whole job took without a base, or than there is time; 0 is unknown, and
// what nobody knows speaks for it.
func worthIt(bytes int64, perSecond, coldSeconds, limit float64) bool {
	if perSecond <= 0 {
		return true
	}
	takes := float64(bytes) / perSecond
	return (coldSeconds <= 0 || takes <= coldSeconds) && (limit <= 0 || takes <= limit)
}

// weigh drops the layers of a plan that this host lacks, if they are not worth their fetch, and says so.
func (c *Cache) weigh(ctx context.Context, p *plan) error {
	if c.spool == nil {
		return nil
	}
	var lacking []held
	var bytes int64
	for _, l := range p.Layers {
		if _, err := os.Stat(c.host.File(l.Digest)); errors.Is(err, fs.ErrNotExist) {
			lacking = append(lacking, l)
			bytes += l.Size
		}
	}
	perSecond, limit := c.lately(time.Now()), 0.0
	if deadline, ok := ctx.Deadline(); ok {
		limit = time.Until(deadline).Seconds()
	}
	if worthIt(bytes, perSecond, p.Cold, limit) {
		return nil
	}
	why := Because(TooSlow, "%d layers are not fetched: %s would take about %.0f s at the %s/s of late; a job with empty caches takes %.0f s, and restore_timeout leaves %.0f s",
		len(lacking), humanize.Bytes(uint64(bytes)), float64(bytes)/perSecond, humanize.Bytes(uint64(perSecond)), p.Cold, limit)
	for _, l := range lacking {
		p.drop(l.Digest, why)
	}
	for name := range p.Reasons {
		p.Reasons[name] = TooSlow
	}
	return why
}

// coldest is the longest that a job of these entries took with nothing to begin with.
func coldest(entries []Entry) (seconds float64) {
	for _, e := range entries {
		seconds = max(seconds, e.Cold)
	}
	return seconds
}

// coldSeconds is what the entry of a job says of that: nothing, if the job had something.
func (s *saving) coldSeconds() float64 {
	if len(s.plan.Layers) > 0 || !s.complete {
		return 0
	}
	return time.Since(s.plan.Created).Seconds()
}
