package executor

import (
	"errors"
	"strings"
	"testing"
	"time"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/stats/metrics"
)

func TestHealthSaysWhichPartFailsAndSinceWhen(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	for name, c := range map[string]struct {
		happens func(h *health, pass func(time.Duration))
		alive   bool
		says    string
	}{
		"nothing yet":                   {func(*health, func(time.Duration)) {}, true, "ok\nledger: ok\nrounds: ok\nstore: ok\n"},
		"a round that goes on":          {func(h *health, pass func(time.Duration)) { h.begins("tend", time.Minute); pass(119 * time.Second) }, true, "ok\n"},
		"one that is stuck":             {func(h *health, pass func(time.Duration)) { h.begins("tend", time.Minute); pass(3 * time.Minute) }, false, "rounds: tend should have ended 2m0s ago"},
		"one that has ended after that": {func(h *health, pass func(time.Duration)) { h.begins("tend", 0); pass(time.Hour); h.ends("tend") }, true, "rounds: ok"},
		"the ledger":                    {func(h *health, pass func(time.Duration)) { h.ledger(broken); pass(time.Hour); h.ledger(broken) }, false, "not ok\nledger: cannot be read since 2026-03-01 12:00:00"},
		"the ledger, for a moment":      {func(h *health, _ func(time.Duration)) { h.ledger(broken); h.ledger(nil) }, true, "ok\n"},
		"the store":                     {func(h *health, _ func(time.Duration)) { h.store(metrics.Probe, "store_unreachable") }, true, "degraded\nledger: ok\nrounds: ok\nstore: fails since 2026-03-01 12:00:00 (store_unreachable)"},
		"the store and the ledger":      {func(h *health, _ func(time.Duration)) { h.store(metrics.Probe, "store_refused"); h.ledger(broken) }, false, "not ok\n"},
		"a store that only answers": {func(h *health, _ func(time.Duration)) {
			h.store(metrics.Send, "store_refused")
			h.store(metrics.Probe, "")
		}, true, "(store_refused)"},
		"a store that is back": {func(h *health, _ func(time.Duration)) {
			h.store(metrics.Send, "store_unreachable")
			h.store(metrics.Probe, "store_unreachable")
			h.store(metrics.Probe, "")
			h.store(metrics.Send, "")
		}, true, "store: ok"},
	} {
		h, now := newHealth(), time.Date(2026, 3, 1, 12, 0, 0, 0, time.Local)
		h.now = func() time.Time { return now }
		c.happens(h, func(d time.Duration) { now = now.Add(d) })
		text, alive := summary(h.findings())
		if alive != c.alive || !strings.Contains(text, c.says) {
			t.Errorf("%s: alive %v, says\n%s\nwant %v and\n%s", name, alive, text, c.alive, c.says)
		}
		for _, f := range h.findings() {
			if h.works()[f.part] != (f.problem == "") {
				t.Errorf("%s: metrics say %v, /healthz says %s", name, h.works(), text)
			}
		}
	}
}

func TestRoundsThatFailComeEverMoreRarelyAndSoonAgainWhenAllIsWell(t *testing.T) {
	t.Parallel()
	p := pause{every: time.Second, first: 2 * time.Second, most: 10 * time.Second}
	failed := errors.New("failed")
	for i, c := range []struct {
		err  error
		want int // seconds
	}{{nil, 1}, {failed, 2}, {failed, 4}, {failed, 8}, {failed, 10}, {failed, 10}, {nil, 1}, {failed, 2}} {
		if got := p.after(c.err).Seconds(); int(got) != c.want {
			t.Errorf("step %d: %v s, want %d s", i, got, c.want)
		}
	}
}
