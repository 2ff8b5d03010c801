package cache

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/kind"
	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/layer"
)

// doubt takes from a job's mount the modules that its go.sum contradicts, so that Go fetches them anew instead of failing the job. What it took is told in problems.
func (c *Cache) doubt(ctx context.Context, work layer.Work, p *plan) (problems []error, err error) {
	name := kind.Modules().Name()
	ids, several := p.doubtful()
	if len(ids) == 0 {
		return nil, nil
	}
	var layers []*os.Root
	defer func() {
		for _, root := range layers {
			_ = root.Close() // of what was only read
		}
	}()
	for _, l := range p.of(name) {
		if !several {
			break
		}
		dir, err := c.driver.Layer(ctx, l.Digest)
		if err != nil {
			return nil, err
		}
		root, err := openKind(filepath.Join(dir, layer.Tree), name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		layers = append(layers, root)
	}
	taken, err := kind.Doubt(filepath.Join(work.Merged(), name), layers, ids, p.Request.Sums)
	if len(taken) > 0 {
		problems = []error{Because(Corrupt, "go.sum says otherwise of %d modules than those that saved them, such as %s: they are fetched anew; GO_EXECUTOR_CACHE=refresh saves them anew",
			len(taken), taken[0])}
	}
	return problems, err
}

// doubtful are the modules of the plan's layers of which go.sum says something, or that several layers hold.
func (p *plan) doubtful() (ids []string, several bool) {
	held := map[string]int{}
	for _, l := range p.of(kind.Modules().Name()) {
		for _, id := range l.Modules {
			held[id]++
		}
	}
	for id, n := range held {
		key := strings.Replace(id, "@", " ", 1)
		several = several || n > 1
		if n > 1 || p.Request.Sums[key] != nil || p.Request.Sums[key+"/go.mod"] != nil {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids, several
}
