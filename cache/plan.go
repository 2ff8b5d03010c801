package cache

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"time"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/crash"
	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/flock"
	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/stats"
)

// plan is what Restore decided for a job. Its file in the job's work folder is also the lease on its layers: it is written before
// they are fetched and mounted, and what a plan names is neither removed nor unmounted (see leased).
type plan struct {
	Request Request           `json:"request"`
	Created time.Time         `json:"created"`
	Layers  []held            `json:"layers"`       // the topmost first
	Reasons map[string]Reason `json:"reasons"`      // by kind
	Cold    float64           `json:"cold_seconds"` // what a job without a base took; 0 is unknown
	Damaged []held            `json:"damaged"`      // layers that the tier's own journal names, and that are missing or not what they should be

	bases            []stats.Base // the journals that were asked
	lookup, download float64      // seconds
}

// held is a layer of a plan.
type held struct {
	LayerRef
	Kind      string `json:"kind"`
	Tier      string `json:"tier"`
	FromStore bool   `json:"from_store"` // this host did not have it
}

const planName = "plan.json"

func newPlan(r Request) *plan {
	return &plan{Request: r, Created: time.Now(), Reasons: map[string]Reason{}}
}

func (p *plan) digests() []string {
	digests := make([]string, len(p.Layers))
	for i, l := range p.Layers {
		digests[i] = l.Digest
	}
	return digests
}

// of are the layers of one kind.
func (p *plan) of(kindName string) []held {
	return slices.DeleteFunc(slices.Clone(p.Layers), func(l held) bool { return l.Kind != kindName })
}

// recall notes which layers an earlier plan of the job has brought to the host.
func (p *plan) recall(before *plan) {
	for i, l := range p.Layers {
		p.Layers[i].FromStore = slices.ContainsFunc(before.Layers, func(b held) bool { return b.Digest == l.Digest && b.FromStore })
	}
}

// add appends layers of a pool. Two tiers may have saved the same one, and no overlay takes a layer twice.
func (p *plan) add(from pool, layers []LayerRef) {
	for _, l := range layers {
		if !slices.Contains(p.digests(), l.Digest) {
			p.Layers = append(p.Layers, held{LayerRef: l, Kind: from.kind.Name(), Tier: path.Base(from.tier)})
		}
	}
}

// drop forgets a layer that cannot be had, which becomes what is said of its kind. One that is damaged is taken off the journal by
// Save, where that is the tier's own.
func (p *plan) drop(digest string, why error) {
	reason := ReasonOf(why)
	for _, l := range p.Layers {
		if l.Digest != digest {
			continue
		}
		p.Reasons[l.Kind] = reason
		if reason == Corrupt {
			p.damaged(l)
		}
	}
	p.Layers = slices.DeleteFunc(p.Layers, func(l held) bool { return l.Digest == digest })
}

// damaged has Save take a layer off the journal, where that is the tier's own.
func (p *plan) damaged(l held) {
	if l.Tier == p.Request.Tier {
		p.Damaged = append(p.Damaged, l)
	}
}

// leaseLock orders leases and removals: who removes a layer holds it alone and reads all leases; who takes a lease shares it. What
// is leased after the removal is fetched again.
func (c *Cache) leaseLock() string { return filepath.Join(c.Dir, "layers", ".lease") }

// lease writes the plan.
func (c *Cache) lease(ctx context.Context, dir string, p *plan) error {
	unlock, err := flock.Lock(ctx, c.leaseLock(), flock.Shared)
	if err != nil {
		return err
	}
	defer unlock()
	data, err := json.Marshal(p)
	if err != nil {
		return err
	}
	work := WorkOf(dir).Dir
	if err := os.MkdirAll(work, 0o700); err != nil {
		return err
	}
	return replaceFile(filepath.Join(work, planName), data)
}

func readPlan(work string) (*plan, error) {
	data, err := os.ReadFile(filepath.Join(work, planName))
	if err != nil {
		return nil, err
	}
	var p plan
	if err := json.Unmarshal(data, &p); err != nil {
		return nil, fmt.Errorf("%s: %w", filepath.Join(work, planName), err)
	}
	if p.Reasons == nil { // another release wrote it, and had none
		p.Reasons = map[string]Reason{}
	}
	return &p, nil
}

// leased are the layers that some plan of the host names. Jobs whose lease has died are reaped by prepare, which removes their
// plans; until then their layers stay.
func (c *Cache) leased() (map[string]bool, error) {
	leased := map[string]bool{}
	for _, pattern := range []string{filepath.Join("jobs", "*", "*", "cache"), filepath.Join(salvageFolder, "*", "cache")} {
		works, err := filepath.Glob(filepath.Join(escapeGlob(c.Dir), pattern))
		if err != nil {
			return nil, err
		}
		for _, work := range works {
			p, err := readPlan(work)
			if os.IsNotExist(err) {
				continue
			}
			if err != nil {
				return nil, err // who cannot tell what is in use must not remove anything
			}
			for _, digest := range p.digests() {
				leased[digest] = true
			}
		}
	}
	return leased, nil
}

// sweepStaged removes what crashes have left of replaceFile outside of jobs' own folders.
func (c *Cache) sweepStaged() error {
	var problems []error
	for _, pattern := range []string{filepath.Join(grownFolder, "*.json.*"), filepath.Join("spool", "*.json.*")} {
		files, err := filepath.Glob(filepath.Join(escapeGlob(c.Dir), pattern))
		problems = append(problems, err)
		for _, file := range files {
			if info, err := os.Stat(file); err == nil && time.Since(info.ModTime()) > staleStaging && filepath.Ext(file) != takenMark {
				problems = append(problems, ignoreGone(os.Remove(file)))
			}
		}
	}
	return errors.Join(problems...)
}

func ignoreGone(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// replaceFile writes a file that appears whole or not at all.
func replaceFile(path string, data []byte) error {
	staged := fmt.Sprintf("%s.%d", path, os.Getpid())
	if err := os.WriteFile(staged, data, 0o600); err != nil {
		return err
	}
	crash.At(crash.FileStaged)
	return os.Rename(staged, path)
}
