package layer

import (
	"bytes"
	"context"
	"io/fs"
	"path"
	"path/filepath"
	"slices"

	"golang.org/x/sys/unix"
)

// Changes reads the overlay's upper folder, where each change is a whole file.
func (d *Image) Changes(ctx context.Context, w Work, layers []string) (Changes, error) {
	root, err := openFolder(filepath.Join(w.Dir, upper))
	if err != nil {
		return Changes{}, err
	}
	defer root.Close()
	u := &upperWalk{ctx: ctx}
	for _, digest := range layers {
		u.trees = append(u.trees, filepath.Join(d.host.Mnt(digest), Tree))
	}
	if err := u.walk(root, ".", maxDepth); err != nil {
		return Changes{}, err
	}
	slices.Sort(u.found.Files)
	return u.found, nil
}

type upperWalk struct {
	ctx   context.Context // of the walk
	trees []string
	found Changes
}

func (u *upperWalk) walk(dir folder, at string, depth int) error {
	return dir.each(u.ctx, func(e fs.DirEntry) error {
		switch name := path.Join(at, e.Name()); {
		case e.Type().IsRegular():
			u.found.add(name)
		case e.IsDir() && depth > 0:
			return u.enter(dir, e.Name(), name, depth-1)
		case e.Type()&fs.ModeCharDevice != 0:
			return u.device(dir, e.Name())
		default:
			u.found.Other++
		}
		return nil
	})
}

func (u *upperWalk) enter(parent folder, base, name string, depth int) error {
	dir, err := parent.sub(base)
	if err != nil {
		return err
	}
	defer dir.Close()
	if u.opaque(dir) && u.inLayers(name) {
		u.found.Removed++
	}
	return u.walk(dir, name, depth)
}

// device tells a whiteout, which is a character device 0:0 (overlayfs.rst, "whiteouts and opaque directories"), from others.
func (u *upperWalk) device(dir folder, base string) error {
	stat, err := dir.stat(base)
	if err != nil {
		return err
	}
	if stat.Rdev == 0 {
		u.found.Removed++
	} else {
		u.found.Other++
	}
	return nil
}

// opaque says whether a folder hides what the layers have in its place.
func (u *upperWalk) opaque(dir folder) bool {
	value := make([]byte, 1)
	n, err := unix.Fgetxattr(int(dir.Fd()), "trusted.overlay.opaque", value)
	return err == nil && bytes.Equal(value[:n], []byte("y"))
}

// inLayers is asked of opaque folders, since kernels mark as opaque some that hide nothing.
func (u *upperWalk) inLayers(name string) bool {
	return slices.ContainsFunc(u.trees, func(tree string) bool {
		var stat unix.Stat_t
		return unix.Lstat(filepath.Join(tree, name), &stat) == nil
	})
}
