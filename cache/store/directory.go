package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"golang.org/x/sys/unix"
)

// Directory is a Store in a folder of a filesystem, a local one or one that several hosts mount:
//
//	<key>        an object; it appears by a rename, or as a further name (a hard link) of a file that is complete
//	.staging/    what is being written; a killed process leaves it, and a later Put removes it
//
// The folder is made when it is needed, and only its owner may enter: an object that is a link is as writable as the file that it was
// made from. A key cannot be an object and the beginning of another key at once.
//
// What Put wrote is on disk before it has its name. What PutFile wrote may not be, should the machine lose power: who reads it
// knows its digest.
type Directory struct {
	dir   string
	swept sync.Once
}

// NewDirectory gives the store in a folder, which need not exist yet.
func NewDirectory(dir string) *Directory { return &Directory{dir: filepath.Clean(dir)} }

// Put implements Store.
func (d *Directory) Put(ctx context.Context, key string, data []byte) error {
	return d.run(ctx, "write", key, func(file string) error {
		return refused(d.write(ctx, file, bytes.NewReader(data), true))
	})
}

// Get implements Store.
func (d *Directory) Get(ctx context.Context, key string, limit int64) ([]byte, error) {
	var data []byte
	err := d.run(ctx, "read", key, func(file string) (err error) {
		data, err = read(file, limit)
		return err
	})
	if err != nil {
		return nil, err
	}
	return data, nil
}

func read(file string, limit int64) ([]byte, error) {
	object, err := open(file)
	if err != nil {
		return nil, refused(err)
	}
	defer object.Close()
	data, err := io.ReadAll(io.LimitReader(object, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(data)) > limit {
		return nil, fmt.Errorf("it has more than %d bytes", limit)
	}
	return data, nil
}

// PutFile implements Store. Within one filesystem it copies nothing.
func (d *Directory) PutFile(ctx context.Context, key, path string) error {
	return d.run(ctx, "write", key, func(file string) error { return d.putFile(ctx, file, path) })
}

func (d *Directory) putFile(ctx context.Context, file, path string) error {
	if _, err := stat(file); err == nil {
		return nil
	}
	source, err := open(path)
	if err != nil {
		return local(err)
	}
	defer source.Close()
	err = d.place(file, func() error { return os.Link(path, file) })
	if err == nil {
		return nil
	}
	if errors.Is(err, fs.ErrExist) { // whoever was faster wrote the same
		if _, err := stat(file); err == nil {
			return nil
		}
	}
	return refused(d.write(ctx, file, source, false)) // another filesystem, one without links, too many links; or it says what is wrong
}

// GetFile implements Store. Within one filesystem it copies nothing.
func (d *Directory) GetFile(ctx context.Context, key, path string, _ func(int64)) error {
	undo := func() { _ = os.Remove(path) }
	return d.runOrUndo(ctx, "fetch", key, undo, func(file string) error {
		object, err := open(file)
		if err != nil {
			return refused(err)
		}
		defer object.Close()
		if os.Link(file, path) == nil {
			return nil
		}
		return local(copyTo(ctx, path, object)) // whatever the link failed for: a copy works, or says what is wrong
	})
}

// Delete implements Store. Folders that become empty go too.
func (d *Directory) Delete(ctx context.Context, key string) error {
	return d.run(ctx, "delete", key, func(file string) error {
		_, err := stat(file)
		if err == nil {
			err = os.Remove(file)
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return refused(err)
		}
		// Not os.Remove: what is above a key that does not exist may be another object.
		for dir := filepath.Dir(file); dir != d.dir && unix.Rmdir(dir) == nil; {
			dir = filepath.Dir(dir)
		}
		return nil
	})
}

// path is an object's file.
func (d *Directory) path(key string) string { return filepath.Join(d.dir, filepath.FromSlash(key)) }

// run takes one step with the file of a key.
func (d *Directory) run(ctx context.Context, what, key string, step func(file string) error) error {
	return d.runOrUndo(ctx, what, key, func() {}, step)
}

// runOrUndo is run for a step that has to be undone if it succeeds too late.
func (d *Directory) runOrUndo(ctx context.Context, what, key string, undo func(), step func(file string) error) error {
	if err := CheckKey(key); err != nil {
		return err
	}
	file := d.path(key)
	if err := within(ctx, undo, func() error { return step(file) }); err != nil {
		return fmt.Errorf("%s the object %s: %w", what, key, err)
	}
	return nil
}
