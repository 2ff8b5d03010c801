package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// List implements Store.
func (d *Directory) List(ctx context.Context, prefix string, limit int) ([]Object, error) {
	if err := CheckPrefix(prefix); err != nil {
		return nil, err
	}
	folder := prefix[:strings.LastIndexByte(prefix, '/')+1]
	l := listing{dir: d.dir, prefix: prefix, limit: limit}
	err := within(ctx, func() {}, func() error { return l.walk(ctx, folder) })
	if err != nil {
		return nil, fmt.Errorf("list the objects %s*: %w", prefix, err)
	}
	return l.found, nil
}

// listing collects objects in the order of their keys.
type listing struct {
	dir    string
	prefix string
	limit  int // 0 is none
	found  []Object
}

func (l *listing) full() bool { return l.limit > 0 && len(l.found) >= l.limit }

// walk lists a folder, whose name ends with a slash unless it is the store's own. What disappears meanwhile is not listed.
func (l *listing) walk(ctx context.Context, folder string) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	entries, err := os.ReadDir(filepath.Join(l.dir, filepath.FromSlash(folder)))
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
		return nil
	}
	if err != nil {
		return refused(err)
	}
	for _, key := range l.keys(folder, entries) {
		if l.full() {
			return nil
		}
		if strings.HasSuffix(key, "/") {
			if err := l.walk(ctx, key); err != nil {
				return err
			}
			continue
		}
		info, err := stat(filepath.Join(l.dir, filepath.FromSlash(key)))
		if err == nil {
			l.found = append(l.found, Object{Key: key, Size: info.Size()})
		} else if !errors.Is(err, fs.ErrNotExist) {
			return refused(err)
		}
	}
	return nil
}

// keys gives those in a folder that the listing may be about, in byte order. A folder has its slash, since that is what the keys in it
// have: "a-b" comes before "a/b", though the folder "a" comes before the file "a-b".
func (l *listing) keys(folder string, entries []os.DirEntry) []string {
	var keys []string
	for _, e := range entries {
		key := folder + e.Name()
		switch {
		case !validElement(e.Name()):
			continue // what is being written, and what is not ours
		case e.IsDir():
			key += "/"
		case !e.Type().IsRegular():
			continue
		}
		if strings.HasPrefix(key, l.prefix) {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	return keys
}
