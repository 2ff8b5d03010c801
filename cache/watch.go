package cache

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"time"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/crash"
	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/kind"
	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/layer"
)

// usage is what a job opened: item IDs by kind. It is nil if nobody knows.
type usage map[string]map[string]bool

func newUsage(kinds []string) usage {
	u := usage{}
	for _, name := range kinds {
		u[name] = map[string]bool{}
	}
	return u
}

// Files of the work folder in which the watched stages of a job leave what they saw. A watch that was not ended leaves its begin
// without an end, and then nobody knows.
const (
	watchBegun = "watch-%d.begun"
	watchEnded = "watch-%d.json"
)

// Watch notes, until stop is called, which items the job opens. target is the folder's path in the container. It is called before
// the container is started, and stop after its end. Where the driver cannot watch, hits stay unknown and it is an error that wraps
// layer.ErrUnsupported.
func (c *Cache) Watch(dir, target string) (stop func() error, err error) {
	work := WorkOf(dir)
	began := time.Now().UnixNano()
	begun := filepath.Join(work.Dir, fmt.Sprintf(watchBegun, began))
	if err := os.WriteFile(begun, nil, 0o600); err != nil {
		return nil, err
	}
	crash.At(crash.WatchBegun)
	p, err := readPlan(work.Dir)
	if err != nil {
		return nil, err
	}
	watcher, ok := c.driver.(layer.Watcher)
	if !ok {
		return nil, fmt.Errorf("this driver cannot watch opens: %w", layer.ErrUnsupported)
	}
	seen, kinds := newUsage(p.Request.Kinds), map[string]kind.Kind{}
	for _, name := range p.Request.Kinds {
		kinds[name] = kind.Named(name)
	}
	end, err := watcher.Watch(work, target, func(path string) {
		name, rest, _ := strings.Cut(path, "/")
		if k := kinds[name]; k != nil {
			if id := k.ItemOf(rest); id != "" {
				seen[name][id] = true
			}
		}
	})
	if err != nil {
		return nil, err
	}
	return func() error {
		if err := end(); err != nil {
			return err
		}
		data, err := json.Marshal(seen)
		if err != nil {
			return err
		}
		if err := replaceFile(filepath.Join(work.Dir, fmt.Sprintf(watchEnded, began)), data); err != nil {
			return err
		}
		crash.At(crash.WatchEnded)
		return os.Remove(begun)
	}, nil
}

// used unites what the watched stages of a job saw; nil if none was watched, or one of them not to its end: of what a job used without being watched, a
// compaction would think that nobody uses it.
func used(work layer.Work, kinds []string) (usage, error) {
	if begun, err := filepath.Glob(filepath.Join(escapeGlob(work.Dir), "watch-*.begun")); err != nil || len(begun) > 0 {
		return nil, err
	}
	ended, err := filepath.Glob(filepath.Join(escapeGlob(work.Dir), "watch-*.json"))
	if err != nil || len(ended) == 0 {
		return nil, err
	}
	all := newUsage(kinds)
	for _, file := range ended {
		data, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		one := usage{}
		if err := json.Unmarshal(data, &one); err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		for name, ids := range all {
			maps.Copy(ids, one[name])
		}
	}
	return all, nil
}

// escapeGlob makes a path match itself alone.
func escapeGlob(path string) string {
	return strings.NewReplacer(`\`, `\\`, "*", `\*`, "?", `\?`, "[", `\[`).Replace(path)
}
