package layer

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"

	"golang.org/x/sys/unix"
)

// Changes compares the folder with the trees of the layers.
func (d *Copy) Changes(ctx context.Context, w Work, layers []string) (Changes, error) {
	root, err := openFolder(w.Merged())
	if err != nil {
		return Changes{}, err
	}
	defer root.Close()
	var trees []folder
	defer func() { closeAll(trees) }()
	for _, digest := range layers {
		dir, err := d.Layer(ctx, digest)
		if err != nil {
			return Changes{}, err
		}
		tree, err := openFolder(filepath.Join(dir, Tree))
		if err != nil {
			return Changes{}, err
		}
		trees = append(trees, tree)
	}
	c := &comparison{ctx: ctx}
	if err := c.walk(root, trees, ".", maxDepth); err != nil {
		return Changes{}, err
	}
	slices.Sort(c.found.Files)
	return c.found, nil
}

func closeAll(folders []folder) {
	for _, f := range folders {
		_ = f.Close() // of what was only read
	}
}

type comparison struct {
	ctx   context.Context // of the walk
	found Changes
}

// walk compares a folder with the folders that the layers have in its place, the topmost first.
func (c *comparison) walk(dir folder, trees []folder, at string, depth int) error {
	if err := c.removed(dir, trees); err != nil {
		return err
	}
	return dir.each(c.ctx, func(e fs.DirEntry) error {
		base, name := e.Name(), path.Join(at, e.Name())
		switch {
		case e.Type().IsRegular():
			same, err := c.unchanged(dir, trees, base)
			if err == nil && !same {
				c.found.add(name)
			}
			return err
		case e.IsDir() && depth > 0:
			return c.enter(dir, trees, base, name, depth-1)
		default:
			c.found.Other++
		}
		return nil
	})
}

// removed counts what the layers have and the folder has not. Of a folder that is gone, what was in it is not counted.
func (c *comparison) removed(dir folder, trees []folder) error {
	if len(trees) == 0 {
		return nil
	}
	counted := map[string]bool{}
	for _, tree := range trees {
		err := tree.each(c.ctx, func(e fs.DirEntry) error {
			there, err := dir.has(e.Name())
			if err == nil && !there && !counted[e.Name()] {
				counted[e.Name()] = true
				c.found.Removed++
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (c *comparison) enter(parent folder, trees []folder, base, name string, depth int) error {
	dir, err := parent.sub(base)
	if err != nil {
		return err
	}
	defer dir.Close()
	var below []folder
	defer func() { closeAll(below) }()
	for _, tree := range trees {
		sub, err := tree.sub(base)
		switch {
		case err == nil:
			below = append(below, sub)
		case errors.Is(err, fs.ErrNotExist):
		case errors.Is(err, unix.ENOTDIR): // a file, and it hides what lower layers have there
			if len(below) == 0 {
				c.found.Removed++
			}
			return c.walk(dir, below, name, depth)
		default:
			return err
		}
	}
	return c.walk(dir, below, name, depth)
}

// unchanged says whether a file is as the topmost layer that has its name has it.
func (c *comparison) unchanged(dir folder, trees []folder, base string) (bool, error) {
	for _, tree := range trees {
		old, err := tree.stat(base)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return false, err
		}
		now, err := dir.stat(base)
		switch {
		case err != nil:
			return false, err
		case now.Size != old.Size || now.Mode != old.Mode:
			return false, nil
		case now.Mtim == old.Mtim:
			return true, nil
		}
		return sameContent(c.ctx, dir, tree, base)
	}
	return false, nil
}

func sameContent(ctx context.Context, a, b folder, base string) (bool, error) {
	one, err := a.file(base)
	if err != nil {
		return false, err
	}
	defer one.Close()
	other, err := b.file(base)
	if err != nil {
		return false, err
	}
	defer other.Close()
	return equal(ctx, one, other)
}

func equal(ctx context.Context, one, other *os.File) (bool, error) {
	left, right := make([]byte, 64<<10), make([]byte, 64<<10)
	for {
		if ctx.Err() != nil {
			return false, context.Cause(ctx)
		}
		n, err := io.ReadFull(one, left)
		m, otherErr := io.ReadFull(other, right)
		if !bytes.Equal(left[:n], right[:m]) {
			return false, nil
		}
		ended := errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
		if err == nil && otherErr == nil {
			continue
		}
		if ended && (errors.Is(otherErr, io.EOF) || errors.Is(otherErr, io.ErrUnexpectedEOF)) {
			return true, nil
		}
		return false, errors.Join(err, otherErr)
	}
}
