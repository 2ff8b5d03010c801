// Package cache gives a job's caches their content and takes what the job adds: restore and save. A cache is a stack of layers
// (package layer) that the journal of a store (package store) names; what is in a layer, and what of a job's files may go
// into one, is for the kinds to say (package kind). The package knows neither Docker nor GitLab Runner.
//
// The life of a job's caches:
//
//	Restore   the plan, which is also the lease on the layers, then the mount
//	Watch     around each script of the job: which files it opens
//	Save      when nobody writes any more: harvest, a layer of its own, an entry in the journal; then the unmount
//	Abandon   instead of Save, when the job was killed: what it made is kept for Salvage
//
// Each may be called by a process of its own. What they know of each other is in the job's work folder.
package cache

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"time"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/kind"
	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/layer"
	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/store"
)

// Cache is the caches of one host. Several goroutines and processes may use it at the same time.
type Cache struct {
	Options
	host   layer.Host
	driver layer.Driver
	store  store.Store
	spool  *store.Spool // nil if the store is near
}

// Options say where the caches of a host are.
type Options struct {
	Dir    string // the host's state directory
	Store  store.Store
	Far    bool   // what is written to Store is spooled on this host first (see Send), and the pools are compacted by Tend
	Driver string // "image", "copy", or "auto": image where the host can
	// SigningKey, if it is not empty, signs the entries that are written, and no others are believed.
	SigningKey string
	// Idle is how long a layer that no job uses stays mounted; MaxSize, in bytes, is what layers may take on this host, 0 is no
	// limit.
	Idle    time.Duration
	MaxSize int64
}

// Open gives the caches of a host. Folders are made when they are needed.
func Open(ctx context.Context, o Options) *Cache {
	host := layer.Host{Dir: o.Dir}
	image := layer.NewImage(host)
	c := &Cache{Options: o, host: host, driver: image, store: o.Store}
	if o.Far {
		c.spool = store.NewSpool(filepath.Join(o.Dir, "spool"), o.Store)
		c.store = c.spool
	}
	if o.Driver == "copy" || o.Driver == "auto" && errors.Is(image.Probe(ctx), layer.ErrUnsupported) {
		c.driver = layer.NewCopy(host)
	}
	return c
}

// Mode is what a job wants of its caches.
type Mode string

// The modes.
const (
	ReadWrite  Mode = ""
	NoSave     Mode = "read-only" // restore, save nothing
	FromNewest Mode = "refresh"   // restore nothing, save all, and replace what the tier had
)

// Request says whose job it is, what it may see and what it needs. Whatever of it names a folder or a key has been checked by
// (Request).check; nothing of it may come from the job's scripts.
type Request struct {
	Instance  string    `json:"instance"`
	Project   string    `json:"project"`
	Tier      string    `json:"tier"`  // the trust tier that is read first, and the only one that is written
	Below     string    `json:"below"` // a further tier that is read; may be empty
	Job       string    `json:"job"`
	Speaker   string    `json:"speaker"` // the same for all jobs that are alike: of one name and ref
	Platform  string    `json:"platform"`
	Toolchain string    `json:"toolchain"`
	Graph     string    `json:"graph"`   // the graph hash; empty if there is none
	Modules   []string  `json:"modules"` // that the graph names: path@version
	Sums      kind.Sums `json:"sums"`
	Kinds     []string  `json:"kinds"` // those of Kinds, and tools' caches, see kind.Named
	Mode      Mode      `json:"mode"`
	// MaxSizes are the bytes that the job may add to a tool's cache, by kind; those that are not there have no limit of their own.
	MaxSizes map[string]int64 `json:"max_sizes,omitempty"`
}

// Kinds are the names of the kinds that hold Go's own caches. What other kinds there are is for those who make requests to say: a journal, a plan or a mark of
// a pool that grew names a kind that nobody asks for any more, and is taken care of all the same.
func Kinds() []string { return []string{kind.Modules().Name(), kind.Build().Name()} }

func (r Request) check() error {
	var problems []error
	for _, part := range []string{r.Instance, r.Project, r.Tier, r.Job, r.Platform, r.Toolchain} {
		if !segment.MatchString(part) {
			problems = append(problems, Because(Bug, "%q cannot be part of a key", part))
		}
	}
	if r.Below != "" && !segment.MatchString(r.Below) {
		problems = append(problems, Because(Bug, "tier %q cannot be part of a key", r.Below))
	}
	if r.Graph != "" && !hash.MatchString(r.Graph) {
		problems = append(problems, Because(Bug, "%q is no graph hash", r.Graph))
	}
	for _, name := range r.Kinds {
		if kind.Named(name) == nil {
			problems = append(problems, Because(Bug, "%q can be no kind of cache", name))
		}
	}
	return errors.Join(problems...)
}

// tiers are those that are read, the upper first.
func (r Request) tiers() []string {
	if r.Below == "" || r.Below == r.Tier {
		return []string{r.Tier}
	}
	return []string{r.Tier, r.Below}
}

// headline is the kind whose reason speaks for the job: compiled packages, if they are cached at all.
func (r Request) headline() string {
	if build := kind.Build().Name(); slices.Contains(r.Kinds, build) {
		return build
	}
	return r.Kinds[0]
}

// WorkOf is the work folder of a job whose own folder is dir.
func WorkOf(dir string) layer.Work { return layer.Work{Dir: filepath.Join(dir, "cache")} }
