package executor

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"regexp"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/sirupsen/logrus"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache"
	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/crash"
	"gitlab.com/gitlab-go-executor/gitlab-go-executor/executor/docker"
	"gitlab.com/gitlab-go-executor/gitlab-go-executor/executor/oplog"
	"gitlab.com/gitlab-go-executor/gitlab-go-executor/executor/settings"
)

// pruneLimit bounds what a person waits for.
const pruneLimit = 10 * time.Minute

// Pruning says what a prune is about: this host, or the store.
type Pruning struct {
	Store     bool          // the store, and not this host
	Unused    bool          // of this host: every layer that no job uses
	OlderThan time.Duration // what no job has used for so long; 0 is none
	MaxSize   int64         // bytes that layers may take; 0 is no limit
	Project   string        // of the store: only this one's
	Refs      io.Reader     // of the store: what git ls-remote prints for the project, whose other refs are gone; nil if that is not asked
	DryRun    bool          // only tell
}

var projectPattern = regexp.MustCompile(`^([A-Za-z0-9_+][A-Za-z0-9._+-]*/)?[0-9]+$`)

func (p Pruning) check() error {
	switch {
	case p.Store && p.Unused:
		return errors.New("--unused is about the layers of this host, --store about the store alone: leave one of them out")
	case !p.Store && p.Refs != nil:
		return errors.New("--refs is about the caches in the store: add --store")
	case !p.Store && p.Project != "":
		return errors.New("--project is about the store: a layer of this host bears no project's name, and goes when no job has used it for long; add --store, or leave out --project")
	case p.Refs != nil && p.Project == "":
		return errors.New("--refs lists the refs of one project: say which with --project ID")
	case p.Project != "" && !projectPattern.MatchString(p.Project):
		return fmt.Errorf("--project %q is no project's ID, such as 42, or gitlab.example.com/42 if several GitLabs share the store", p.Project)
	}
	return nil
}

// Prune removes what is not needed any more from this host, or from the store. Jobs that are running are not disturbed.
func Prune(ctx context.Context, call Call, what Pruning) error {
	if err := what.check(); err != nil {
		return err
	}
	var tiers map[string]bool
	if what.Refs != nil {
		var err error
		if tiers, err = tiersOf(what.Refs); err != nil {
			return err
		}
	}
	j, done, err := openHost(ctx, call, "prune", what.DryRun)
	if err != nil {
		return err
	}
	defer done()
	ctx, cancel := context.WithTimeoutCause(ctx, pruneLimit, fmt.Errorf("waited %s: %w", pruneLimit, context.DeadlineExceeded))
	defer cancel()
	say := newTeller(call.Stdout, what.DryRun)
	if what.Store {
		o := cache.PruneOptions{Project: what.Project, OlderThan: what.OlderThan, MaxSize: what.MaxSize, Tiers: tiers, DryRun: what.DryRun}
		return j.pruneStore(ctx, o, say)
	}
	return j.pruneHost(ctx, cache.HostOptions{Unused: what.Unused, OlderThan: what.OlderThan, MaxSize: what.MaxSize, DryRun: what.DryRun}, say)
}

// pruneHost removes what killed jobs have left on this host: containers, networks, mounts, folders; it saves what they have made in their
// caches, sends what waits to the store, compacts the pools there that this host has added to, unmounts layers that are idle and deletes
// those beyond the limits.
func (j *job) pruneHost(ctx context.Context, o cache.HostOptions, say *teller) error {
	var err error
	if o.DryRun {
		err = j.tellDead(say)
	} else {
		_, err = j.reapAll(ctx)
		crash.At(crash.HostReaped)
		if err := errors.Join(j.salvageCaches(ctx), j.trimLedger(ctx)); err != nil {
			j.log.WithError(err).Warn("the host tier cannot be tidied up")
		}
		crash.At(crash.HostTidied)
		if !j.served(ctx) {
			if err := j.caches.Tend(ctx, true); err != nil {
				j.log.WithError(err).Warn("the store cannot be tended")
			}
		}
	}
	done, problem := j.caches.PruneHost(ctx, o, say.goes)
	if problem == nil || done != (cache.Pruned{}) {
		inUse := ""
		if done.InUse > 0 {
			inUse = fmt.Sprintf("; %d more stay, since jobs use them", done.InUse)
		}
		say.line("host: %s %d layers (%s)%s", say.verb, done.Layers, humanize.Bytes(uint64(done.Bytes)), inUse)
	}
	return errors.Join(err, problem)
}

func (j *job) pruneStore(ctx context.Context, o cache.PruneOptions, say *teller) error {
	done, err := j.caches.PruneStore(ctx, o, say.goes, say.progress)
	if err == nil || done != (cache.Pruned{}) {
		say.line("store: %s %d entries and %d layers (%s); %d layers that nothing names wait for a prune a day from now",
			say.verb, done.Entries, done.Layers, humanize.Bytes(uint64(done.Bytes)), done.Waiting)
	}
	return err
}

// tellDead tells what reapAll would remove, as far as records know of it.
func (j *job) tellDead(say *teller) error {
	c, err := takeCensus(j.tree, "", time.Now())
	for _, dead := range c.dead {
		say.goes("what job " + dead.get().Identity.String() + " has left")
	}
	return err
}

// teller says what a prune does while it does it.
type teller struct {
	out   io.Writer
	verb  string
	every time.Duration // how long a step may be silent
	last  time.Time     // when something was said
}

func newTeller(out io.Writer, dryRun bool) *teller {
	t := &teller{out: out, verb: "removed", every: 3 * time.Second, last: time.Now()}
	if dryRun {
		t.verb = "would remove"
	}
	return t
}

func (t *teller) line(format string, args ...any) {
	t.last = time.Now()
	fmt.Fprintf(t.out, format+"\n", args...)
}

func (t *teller) goes(what string) { t.line("%s %s", t.verb, what) }

// progress says how far a step is, unless something was said just before.
func (t *teller) progress(step string, done, all int) {
	if time.Since(t.last) >= t.every {
		t.line("%s: %d of %d", step, done, all)
	}
}

// openHost is for commands that see to a host and not to a job. One that only looks must not even try a mount.
func openHost(ctx context.Context, call Call, command string, onlyLook bool) (*job, func(), error) {
	s, err := settings.Load(call.ConfigPath)
	if err != nil {
		return nil, nil, err
	}
	if onlyLook && s.Cache.Driver == settings.DriverAuto {
		s.Cache.Driver = settings.DriverImage
	}
	logger, closer, err := oplog.New(s.Log, oplog.Options{Mode: oplog.Direct, Stderr: call.Stderr})
	if err != nil {
		return nil, nil, err
	}
	logger.AddHook(oplog.Redact(hostSecrets(s)))
	j := &job{
		call: call, settings: s, tree: tree(filepath.Clean(s.StateDir)), started: time.Now(),
		log: logrus.NewEntry(logger).WithField(oplog.FieldStage, command),
	}
	j.caches = j.openCaches(ctx)
	return j, func() { _ = closer.Close() }, nil
}

// orphans are jobs of which nobody takes care: those whose record stays though they are dead, or says nothing, and those that are not running and of
// which Docker has something.
type orphans struct{ jobs, containers int }

// reapAll reaps every dead job, and counts what is left of them; nil if that is not known.
func (j *job) reapAll(ctx context.Context) (left *orphans, err error) {
	state, err := j.tree.id()
	if err != nil {
		return nil, stateError(err)
	}
	if state == "" {
		return &orphans{}, nil // no job was ever prepared here
	}
	if err := j.connect(ctx); err != nil {
		return nil, fmt.Errorf("what killed jobs left cannot be removed: %w", err)
	}
	defer func() { _ = j.docker.Close() }()
	unlock, err := lockJobs(ctx, j.tree)
	if err != nil {
		return nil, err
	}
	defer unlock()
	_, others, err := j.reap(ctx, docker.Owner{State: state})
	left, unknown := j.countOrphans(ctx, state)
	return left, errors.Join(append(others, err, unknown)...)
}

// countOrphans is called under lockJobs.
func (j *job) countOrphans(ctx context.Context, state string) (*orphans, error) {
	c, err := takeCensus(j.tree, "", time.Now())
	if err != nil {
		return nil, err
	}
	labels, err := j.docker.Jobs(ctx, state)
	if err != nil {
		return nil, err
	}
	left := &orphans{jobs: len(c.dead) + len(c.unknown)}
	for _, label := range labels {
		if !c.labels[label] {
			left.containers++
		}
	}
	return left, nil
}
