package executor

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache"
	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/stats/metrics"
)

// The parts of serve's health.
const (
	partLedger = "ledger" // can be read
	partRounds = "rounds" // none is stuck
	partStore  = "store"  // answers and takes what it is sent
)

// stuckAfter is for how long a round may go on when its time is over.
const stuckAfter = time.Minute

// health is what serve knows of itself. Nothing of it is found out by who asks.
type health struct {
	now func() time.Time

	mu          sync.Mutex
	due         map[string]time.Time // by when a round that goes on should have ended
	ledgerFails time.Time            // since when; zero if it does not
	storeFails  time.Time
	reasons     map[metrics.Task]cache.Reason // of the tasks that the store fails
}

func newHealth() *health {
	return &health{now: time.Now, due: map[string]time.Time{}, reasons: map[metrics.Task]cache.Reason{}}
}

func (h *health) begins(round string, limit time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.due[round] = h.now().Add(limit)
}

func (h *health) ends(round string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.due, round)
}

func (h *health) ledger(err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ledgerFails = h.since(h.ledgerFails, err != nil)
}

// since is the time since when something fails.
func (h *health) since(before time.Time, fails bool) time.Time {
	switch {
	case !fails:
		return time.Time{}
	case before.IsZero():
		return h.now()
	}
	return before
}

// store notes for which reason the store fails a task, or that it does not, and gives the reason why it failed anybody before and after that.
func (h *health) store(task metrics.Task, reason cache.Reason) (before, after cache.Reason) {
	h.mu.Lock()
	defer h.mu.Unlock()
	before = h.reason()
	if reason == "" {
		delete(h.reasons, task)
	} else {
		h.reasons[task] = reason
	}
	after = h.reason()
	h.storeFails = h.since(h.storeFails, after != "")
	return before, after
}

// storeReason is why the store fails; empty if it does not.
func (h *health) storeReason() cache.Reason {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.reason()
}

// storeFailure is why the store fails, and since when.
func (h *health) storeFailure() (cache.Reason, time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.reason(), h.storeFails
}

func (h *health) reason() cache.Reason {
	for _, task := range []metrics.Task{metrics.Send, metrics.Probe} {
		if reason := h.reasons[task]; reason != "" {
			return reason
		}
	}
	return ""
}

// finding is how a part does.
type finding struct {
	part, problem string // none: it works
	dead          bool   // what it does not do nobody does
}

// findings are those of all parts.
func (h *health) findings() []finding {
	h.mu.Lock()
	defer h.mu.Unlock()
	ledger, rounds, store := finding{part: partLedger, dead: true}, finding{part: partRounds, dead: true}, finding{part: partStore}
	if !h.ledgerFails.IsZero() {
		ledger.problem = "cannot be read since " + h.ledgerFails.Format(time.DateTime) + "; the operator log says why"
	}
	var stuck []string
	for name, due := range h.due {
		if late := h.now().Sub(due); late > stuckAfter {
			stuck = append(stuck, fmt.Sprintf("%s should have ended %s ago", name, late.Round(time.Second)))
		}
	}
	slices.Sort(stuck)
	rounds.problem = strings.Join(stuck, ", ")
	if reason := h.reason(); reason != "" {
		store.problem = fmt.Sprintf("fails since %s (%s); the operator log says why. Jobs go on with what is on this host", h.storeFails.Format(time.DateTime), reason)
	}
	return []finding{ledger, rounds, store}
}

// works says of each part whether it works.
func (h *health) works() map[string]bool {
	works := map[string]bool{}
	for _, f := range h.findings() {
		works[f.part] = f.problem == ""
	}
	return works
}

// summary is what /healthz says: one word, then a line for each part.
func summary(findings []finding) (text string, alive bool) {
	word, alive := "ok", true
	var lines strings.Builder
	for _, f := range findings {
		switch {
		case f.problem == "":
			f.problem = "ok"
		case f.dead:
			word, alive = "not ok", false
		case alive:
			word = "degraded"
		}
		fmt.Fprintf(&lines, "%s: %s\n", f.part, f.problem)
	}
	return word + "\n" + lines.String(), alive
}
