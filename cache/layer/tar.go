package layer

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"maps"
	"math"
	"path"
	"slices"
	"time"
)

// archive writes a layer's content as a tar.
type archive struct {
	tar    *tar.Writer
	buf    []byte
	oldest time.Time
	names  map[string]fs.FileMode // all so far: fs.ModeDir, or 0 for a file
}

// writeTar writes all of the tar but its end.
func writeTar(ctx context.Context, w io.Writer, index []byte, files iter.Seq2[File, error]) error {
	a := &archive{tar: tar.NewWriter(w), buf: make([]byte, 256<<10), names: map[string]fs.FileMode{Tree: fs.ModeDir}}
	if err := a.tar.WriteHeader(&tar.Header{Name: Index, Mode: 0o444, Size: int64(len(index)), ModTime: time.Unix(0, 0)}); err != nil {
		return err
	}
	if _, err := a.tar.Write(index); err != nil {
		return err
	}
	for f, err := range files {
		if err != nil {
			return err
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err := a.add(f); err != nil {
			return fmt.Errorf("%q: %w", f.Name, err)
		}
	}
	if err := a.addFolders(); err != nil {
		return err
	}
	return a.tar.Flush()
}

func (a *archive) add(f File) error {
	if err := a.claim(f.Name); err != nil {
		return err
	}
	seconds := f.ModTime.Unix()
	if seconds < 0 || seconds > math.MaxUint32 {
		return fmt.Errorf("squashfs has no such time: %v", f.ModTime)
	}
	when := time.Unix(seconds, 0)
	if a.oldest.IsZero() || when.Before(a.oldest) {
		a.oldest = when
	}
	header := tar.Header{Name: path.Join(Tree, f.Name), Mode: int64(f.Mode.Perm()), Size: f.Size, ModTime: when}
	if err := a.tar.WriteHeader(&header); err != nil {
		return err
	}
	content, err := f.Open()
	if err != nil {
		return err
	}
	// Without the wrappers, each file would be copied through a new buffer of its own.
	n, err := io.CopyBuffer(struct{ io.Writer }{a.tar}, struct{ io.Reader }{content}, a.buf)
	if err := errors.Join(err, content.Close()); err != nil {
		return err
	}
	if n != f.Size {
		return fmt.Errorf("it has %d bytes instead of %d", n, f.Size)
	}
	return nil
}

// claim takes a name and those of the folders above it. sqfstar would only warn of a name that it has already.
func (a *archive) claim(name string) error {
	if !fs.ValidPath(name) || name == "." {
		return errors.New("not the name of a file in a layer")
	}
	name = path.Join(Tree, name)
	if _, ok := a.names[name]; ok {
		return errors.New("the layer has this name already")
	}
	a.names[name] = 0
	for dir := path.Dir(name); dir != Tree; dir = path.Dir(dir) {
		mode, ok := a.names[dir]
		if ok && !mode.IsDir() {
			return fmt.Errorf("%q is a file", dir)
		}
		if ok {
			break
		}
		a.names[dir] = fs.ModeDir
	}
	return nil
}

// addFolders comes last, when the oldest file is known: sqfstar makes a folder when it meets a name below it, and changes it when
// it meets its own.
func (a *archive) addFolders() error {
	when := a.oldest
	if when.IsZero() {
		when = time.Unix(0, 0)
	}
	for _, name := range slices.Sorted(maps.Keys(a.names)) {
		if !a.names[name].IsDir() {
			continue
		}
		header := tar.Header{Typeflag: tar.TypeDir, Name: name + "/", Mode: 0o777, ModTime: when}
		if err := a.tar.WriteHeader(&header); err != nil {
			return err
		}
	}
	return nil
}
