// Package doctor checks a runner host: what is so, what is wrong, and what remedies it. What it changes it takes away again, but for folders
// such as the state directory, which it makes where there are none, as the first job would.
//
// A check looks at the host and has a function beside it that judges what was seen; the latter are pure. All checks are listed in
// checks, with what they need of each other.
package doctor

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/executor/docker"
	"gitlab.com/gitlab-go-executor/gitlab-go-executor/executor/settings"
)

// State is how something is.
type State string

// The states.
const (
	OK      State = "ok"
	Warning State = "warning" // jobs run, and not as well as they could
	Wrong   State = "wrong"   // jobs fail, or run without caches, or are not safe
	Skipped State = "skipped" // cannot be looked at before something else is right
)

// Finding is one thing that a check has found.
type Finding struct {
	Check   string `json:"check"`
	State   State  `json:"state"`
	Finding string `json:"finding"`
	Remedy  string `json:"remedy,omitempty"`
}

func ok(format string, args ...any) Finding {
	return Finding{State: OK, Finding: fmt.Sprintf(format, args...)}
}

func warning(remedy, format string, args ...any) Finding {
	return Finding{State: Warning, Finding: fmt.Sprintf(format, args...), Remedy: remedy}
}

func wrong(remedy, format string, args ...any) Finding {
	return Finding{State: Wrong, Finding: fmt.Sprintf(format, args...), Remedy: remedy}
}

// skipped is about what other checks keep from being looked at.
func skipped(because ...string) Finding {
	return Finding{State: Skipped, Finding: "cannot be looked at before this is right: " + strings.Join(because, ", ")}
}

// Options say what is looked at.
type Options struct {
	Config        string // our settings file
	DefaultConfig string // what a call without --config reads
	RunnerConfig  string // GitLab Runner's config.toml
	Program       string // this program's file
	Version       string // of this program
}

// host is what the checks find out for each other.
type host struct {
	Options
	settings *settings.Settings // nil unless they could be read
	docker   *docker.Client
	daemon   docker.Daemon
}

// check is one look at the host.
type check struct {
	name  string
	needs []string // it is skipped if something is wrong with one of these
	after []string // it waits for these, and goes on whatever they find
	limit time.Duration
	look  func(h *host, ctx context.Context) []Finding
}

// Names of the checks that others need.
const (
	checkUser     = "user"
	checkSettings = "settings"
	checkState    = "state directory"
	checkTools    = "tools"
	checkKernel   = "kernel"
	checkDocker   = "docker"
	checkStore    = "store"
)

// checks are all checks in the order in which they are shown: each stands below those that it waits for.
func checks() []check {
	const quick, slow = 10 * time.Second, 30 * time.Second
	return []check{
		{name: checkUser, limit: quick, look: (*host).lookAtUser},
		{name: checkSettings, limit: quick, look: (*host).readSettings},
		{name: "secrets", needs: []string{checkSettings}, limit: quick, look: (*host).lookAtSecrets},
		{name: checkState, needs: []string{checkUser, checkSettings}, limit: quick, look: (*host).lookAtState},
		{name: "file system", needs: []string{checkState}, limit: quick, look: (*host).lookAtFileSystem},
		{name: "space", needs: []string{checkState}, limit: quick, look: (*host).lookAtSpace},
		{name: checkTools, after: []string{checkSettings}, limit: quick, look: (*host).lookAtTools},
		{name: checkKernel, needs: []string{checkUser}, after: []string{checkSettings}, limit: quick, look: (*host).lookAtKernel},
		{name: "mounts", needs: []string{checkState, checkTools, checkKernel}, limit: slow, look: (*host).tryMounts},
		{name: checkDocker, needs: []string{checkSettings}, limit: slow, look: (*host).lookAtDocker},
		{name: "selinux", after: []string{checkState, checkDocker}, limit: quick, look: (*host).lookAtSELinux},
		{name: "helper image", needs: []string{checkDocker}, limit: slow, look: (*host).lookAtHelper},
		{name: "paths", needs: []string{checkState, checkDocker}, limit: slow, look: (*host).lookAtPaths},
		{name: checkStore, needs: []string{checkUser, checkSettings}, limit: slow, look: (*host).tryStore},
		{name: "clock", needs: []string{checkSettings}, after: []string{checkStore}, limit: quick, look: (*host).lookAtClock},
		{name: "signing key", needs: []string{checkSettings}, limit: quick, look: (*host).lookAtSigning},
		{name: "runner config", after: []string{checkSettings}, limit: slow, look: (*host).lookAtStanzas},
		{name: "runner version", limit: quick, look: (*host).lookAtRunner},
		{name: "runner process", limit: quick, look: (*host).lookAtProcesses},
		{name: "serve", needs: []string{checkState}, limit: quick, look: (*host).lookAtServe},
		{name: "ledger", needs: []string{checkState}, limit: quick, look: (*host).lookAtLedger},
	}
}

// Run looks at the host and gives what it finds, in the order of the checks. Those that do not wait for each other are done side by side.
func Run(ctx context.Context, o Options) []Finding {
	h := &host{Options: o}
	found := examine(ctx, h, checks())
	if h.docker != nil {
		_ = h.docker.Close()
	}
	return found
}

// result is what a check has found, once done is closed.
type result struct {
	found []Finding
	done  chan struct{}
}

func examine(ctx context.Context, h *host, checks []check) []Finding {
	results := map[string]*result{}
	for _, c := range checks {
		results[c.name] = &result{done: make(chan struct{})}
	}
	for _, c := range checks {
		go func() {
			mine := results[c.name]
			defer close(mine.done)
			for _, other := range slices.Concat(c.needs, c.after) {
				<-results[other].done
			}
			mine.found = c.run(ctx, h, results)
		}()
	}
	var all []Finding
	for _, c := range checks {
		<-results[c.name].done
		for _, f := range results[c.name].found {
			f.Check, f.Finding, f.Remedy = c.name, oneLine(f.Finding), oneLine(f.Remedy)
			all = append(all, f)
		}
	}
	return all
}

// run does one check in its time. One that does not end is left behind.
func (c check) run(ctx context.Context, h *host, results map[string]*result) []Finding {
	var missing []string
	for _, name := range c.needs {
		if slices.ContainsFunc(results[name].found, func(f Finding) bool { return f.State == Wrong || f.State == Skipped }) {
			missing = append(missing, name)
		}
	}
	if len(missing) > 0 {
		return []Finding{skipped(missing...)}
	}
	ctx, cancel := context.WithTimeoutCause(ctx, c.limit, fmt.Errorf("waited %s: %w", c.limit, context.DeadlineExceeded))
	defer cancel()
	found := make(chan []Finding, 1)
	go func() { found <- c.look(h, ctx) }()
	select {
	case f := <-found:
		return f
	case <-ctx.Done():
	}
	select {
	case f := <-found:
		return f
	case <-time.After(grace):
		return []Finding{wrong("see what it waits for (dmesg, network file systems, Docker's log), then try again", "the check has not ended: %v", context.Cause(ctx))}
	}
}

// grace is what a check may take to clean up when its time is over.
const grace = 2 * time.Second

// Count tells how many findings are wrong, and how many are warnings.
func Count(found []Finding) (faults, warnings int) {
	for _, f := range found {
		switch f.State {
		case Wrong:
			faults++
		case Warning:
			warnings++
		}
	}
	return faults, warnings
}

// failed is a finding about an error that the check did not expect.
func failed(err error, remedy string) []Finding { return []Finding{wrong(remedy, "%v", err)} }
