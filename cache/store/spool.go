package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/flock"
)

// Spool is the Store of a host whose real one is far away: what is written is safe on the host's disk when a call returns, and Send
// brings it to the far one, whichever process calls it, now or after a crash. Readers of this host see what is written at once.
//
// Deletions are not spooled: they ask the far store.
type Spool struct {
	far  Store
	lock string // whoever sends an object, or deletes one, holds it alone
	// What PutFile wrote is kept apart from what Put wrote, since it has to be sent first (see Send).
	files, small *Directory
}

// NewSpool gives the spool in a folder, which need not exist yet. Files that are put should lie on the same filesystem: they are linked,
// not copied.
func NewSpool(dir string, far Store) *Spool {
	return &Spool{far: far, lock: filepath.Join(dir, ".lock"), files: NewDirectory(filepath.Join(dir, "files")), small: NewDirectory(filepath.Join(dir, "small"))}
}

// Put implements Store.
func (s *Spool) Put(ctx context.Context, key string, data []byte) error {
	return s.small.Put(ctx, key, data)
}

// PutFile implements Store.
func (s *Spool) PutFile(ctx context.Context, key, path string) error {
	return s.files.PutFile(ctx, key, path)
}

// Get implements Store.
func (s *Spool) Get(ctx context.Context, key string, limit int64) (data []byte, err error) {
	err = s.anywhere(func(from Store) error {
		data, err = from.Get(ctx, key, limit)
		return err
	})
	return data, err
}

// GetFile implements Store.
func (s *Spool) GetFile(ctx context.Context, key, path string) error {
	return s.anywhere(func(from Store) error { return from.GetFile(ctx, key, path) })
}

// anywhere reads from wherever an object may be. Send removes one here when it is there, so after the far store comes a second look
// at nothing: whoever did not find it here before that finds it there.
func (s *Spool) anywhere(read func(from Store) error) error {
	for _, from := range []Store{s.small, s.files, s.far} {
		if err := read(from); !errors.Is(err, fs.ErrNotExist) || from == s.far {
			return err
		}
	}
	return nil
}

// List implements Store. It looks here first, lest it misses what is sent meanwhile.
func (s *Spool) List(ctx context.Context, prefix string, limit int) ([]Object, error) {
	var all []Object
	for _, from := range []Store{s.small, s.files, s.far} {
		found, err := from.List(ctx, prefix, limit)
		if err != nil {
			return nil, err
		}
		all = append(all, found...)
	}
	slices.SortFunc(all, func(a, b Object) int { return strings.Compare(a.Key, b.Key) })
	all = slices.CompactFunc(all, func(a, b Object) bool { return a.Key == b.Key })
	if limit > 0 {
		all = all[:min(limit, len(all))]
	}
	return all, nil
}

// Delete implements Store. It waits for the object that is just being sent, which would be there again afterwards.
func (s *Spool) Delete(ctx context.Context, key string) error {
	unlock, err := flock.Lock(ctx, s.lock, flock.Exclusive)
	if err != nil {
		return err
	}
	defer unlock()
	return errors.Join(s.small.Delete(ctx, key), s.files.Delete(ctx, key), s.far.Delete(ctx, key))
}

// Waiting is what has not been sent yet.
func (s *Spool) Waiting(ctx context.Context) ([]Object, error) {
	small, err := s.small.List(ctx, "", 0)
	if err != nil {
		return nil, err
	}
	files, err := s.files.List(ctx, "", 0)
	return append(small, files...), err
}

// Sent is what one call of Send has done.
type Sent struct {
	Objects int
	Bytes   int64
}

// Send brings what is waiting to the far store, until ctx ends. Who puts files and then a small object that names them will have them
// sent in that order: small objects are listed first and sent last, and not at all if a file could not be. Processes that
// send at the same time take turns, an object at a time.
func (s *Spool) Send(ctx context.Context) (Sent, error) {
	var sent Sent
	small, err := s.small.List(ctx, "", 0)
	if err != nil {
		return sent, err
	}
	files, err := s.files.List(ctx, "", 0)
	if err != nil {
		return sent, err
	}
	for _, o := range files {
		put := func() error { return s.far.PutFile(ctx, o.Key, s.files.path(o.Key)) }
		if err := s.sendOne(ctx, s.files, o, put, &sent); err != nil {
			return sent, err
		}
	}
	for _, o := range small {
		put := func() error {
			data, err := s.small.Get(ctx, o.Key, o.Size)
			if err != nil {
				return err
			}
			return s.far.Put(ctx, o.Key, data)
		}
		if err := s.sendOne(ctx, s.small, o, put, &sent); err != nil {
			return sent, err
		}
	}
	return sent, nil
}

// sendOne sends an object and forgets it here. One that is gone was sent, or deleted, by somebody else.
func (s *Spool) sendOne(ctx context.Context, from *Directory, o Object, put func() error, sent *Sent) error {
	unlock, err := flock.Lock(ctx, s.lock, flock.Exclusive)
	if err != nil {
		return err
	}
	defer unlock()
	if _, err := stat(from.path(o.Key)); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err := put(); err != nil {
		return fmt.Errorf("send what waits in the spool: %w", err)
	}
	sent.Objects++
	sent.Bytes += o.Size
	return from.Delete(ctx, o.Key)
}
