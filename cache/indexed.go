package cache

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/kind"
	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/layer"
)

// indexed is a layer with what is in it.
type indexed struct {
	held
	dir   string // its content
	items []kind.Item
	all   []kind.Item // in a compaction items are those that are alive, and this all of them
}

// itemsOf unites layers; the upper one wins. What a later release has put into them is left out.
func itemsOf(layers []indexed) map[string]kind.Item {
	all := map[string]kind.Item{}
	for _, l := range layers {
		for _, item := range l.items {
			if _, ok := all[item.ID]; !ok && !item.Foreign() {
				all[item.ID] = item
			}
		}
	}
	return all
}

// index reads what is in a layer.
func (c *Cache) index(ctx context.Context, l held) (indexed, error) {
	dir, err := c.driver.Layer(ctx, l.Digest)
	if err != nil {
		return indexed{}, err
	}
	data, err := readIndex(filepath.Join(dir, layer.Index), l.Items)
	if err != nil {
		return indexed{}, Because(Corrupt, "layer %.12s: %w", l.Digest, err)
	}
	items, err := kind.ParseIndex(data)
	if err == nil && len(items) != l.Items {
		err = fmt.Errorf("its index has %d items, and its entry says %d", len(items), l.Items)
	}
	if err != nil {
		return indexed{}, Because(Corrupt, "layer %.12s: %w", l.Digest, err)
	}
	return indexed{held: l, dir: dir, items: items}, nil
}

// Bounds of an index. An image of some KB can hold a file that claims to be larger than any memory, and all of it zeros.
const (
	maxIndex = 1 << 30 // bytes
	maxLine  = 4 << 10
)

// readIndex reads the index of a layer that is said to have so many items.
func readIndex(path string, items int) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if limit := min(int64(items)*maxLine, maxIndex); info.Size() > limit {
		return nil, fmt.Errorf("its index has %d bytes, which is too much for %d items", info.Size(), items)
	}
	return os.ReadFile(path)
}

// openKind opens the folder of a kind in a job's mount, or in the tree of a layer. os.OpenRoot by itself opens whatever is there before it looks, and wherever
// a link leads: a pipe, whose other end never comes, or a device of the host. What is no folder does not exist.
func openKind(dir, name string) (*os.Root, error) {
	parent, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	defer parent.Close()
	info, err := parent.Lstat(name)
	if err == nil && !info.IsDir() {
		err = fmt.Errorf("%s is no folder: %w", filepath.Join(dir, name), fs.ErrNotExist)
	}
	if err != nil {
		return nil, err
	}
	return parent.OpenRoot(name)
}
