package cache

import (
	"context"
	"errors"
	"fmt"
	"syscall"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/layer"
	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/store"
)

// Reason says in one word why a job's caches were what they were. Log, metric and runbook use the same words.
type Reason string

// The closed set of reasons.
const (
	Exact            Reason = "exact"             // somebody has saved for this very graph
	Nearest          Reason = "nearest"           // not for this graph, but for another one of the same platform and toolchain
	FirstRun         Reason = "first_run"         // nothing was ever saved for this project and tier
	NewToolchain     Reason = "new_toolchain"     // only for other toolchains
	NewPlatform      Reason = "new_platform"      // only for other platforms
	NoGo             Reason = "no_go"             // the image has no Go
	Bypassed         Reason = "bypassed"          // the job sets GOCACHE or GOMODCACHE itself
	Off              Reason = "off"               // the job, or the settings, want no caches
	ReadOnly         Reason = "read_only"         // the job wants nothing saved
	Refreshed        Reason = "refreshed"         // the job wants to start from nothing and replace what is there
	TooSlow          Reason = "too_slow"          // a step did not end within its limit
	StoreUnreachable Reason = "store_unreachable" // the store does not answer, or breaks off
	StoreRefused     Reason = "store_refused"     // the store will not do what it is asked for
	Corrupt          Reason = "corrupt"           // a layer or an entry is not what its name says
	Unsigned         Reason = "unsigned"          // an entry is not signed with the signing key
	DiskFull         Reason = "disk_full"         // no space on the host
	UnsupportedHost  Reason = "unsupported_host"  // the host cannot mount layers, or Docker does not see what it mounts
	StillRunning     Reason = "still_running"     // the build container's end was not certain, so nothing of it was read
	Bug              Reason = "bug"               // an error that nobody gave a reason
)

// Reasons are all of them.
func Reasons() []Reason {
	return []Reason{
		Exact, Nearest, FirstRun, NewToolchain, NewPlatform, NoGo, Bypassed, Off, ReadOnly, Refreshed, TooSlow, StoreUnreachable, StoreRefused, Corrupt,
		Unsigned, DiskFull, UnsupportedHost, StillRunning, Bug,
	}
}

// failure is an error of a restore or a save that knows its reason.
type failure struct {
	reason Reason
	err    error
}

func (f *failure) Error() string { return f.err.Error() }
func (f *failure) Unwrap() error { return f.err }

// Because makes an error that knows its reason.
func Because(reason Reason, format string, args ...any) error {
	return &failure{reason, fmt.Errorf(format, args...)}
}

// ReasonOf classifies any error of this package; nil has none. It is the only classifier of cache errors.
func ReasonOf(err error) Reason {
	var f *failure
	switch {
	case err == nil:
		return ""
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return DiskFull
	case errors.Is(err, context.DeadlineExceeded):
		return TooSlow
	case errors.Is(err, store.ErrRefused):
		return StoreRefused
	case errors.Is(err, layer.ErrUnsupported):
		return UnsupportedHost
	case errors.Is(err, layer.ErrCorrupt):
		return Corrupt
	case errors.As(err, &f):
		return f.reason
	}
	return Bug
}
