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
	"time"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/crash"
	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/flock"
)

// Spool is the Store of a host whose real one is far away: what is written is safe on the host's disk when a call returns, and Send
// brings it to the far one, whichever process calls it, now or after a crash. Readers of this host see what is written at once. Small
// objects that were read are kept too, so that each is asked for once, and that something is known when the far store cannot be asked.
//
// Deletions are not spooled: they ask the far store. What others delete there may still be read here, but is not listed.
type Spool struct {
	far  Store
	lock string // whoever sends an object, or deletes one, holds it alone
	mark string // that the far store does not answer, see down
	// What PutFile wrote is kept apart from what Put wrote, since it has to be sent first (see Send).
	files, small *Directory
	known        *Directory // copies of the far store's small objects
}

// NewSpool gives the spool in a folder, which need not exist yet. Files that are put should lie on the same filesystem: they are linked,
// not copied.
func NewSpool(dir string, far Store) *Spool {
	in := func(folder string) *Directory { return NewDirectory(filepath.Join(dir, folder)) }
	return &Spool{far: far, lock: filepath.Join(dir, ".lock"), mark: filepath.Join(dir, ".down"), files: in("files"), small: in("small"), known: in("known")}
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
func (s *Spool) Get(ctx context.Context, key string, limit int64) ([]byte, error) {
	for _, from := range []Store{s.small, s.files, s.known} {
		data, err := from.Get(ctx, key, limit)
		if err == nil && from == Store(s.known) {
			s.noteRead(key)
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return data, err
		}
	}
	data, err := s.getFar(ctx, key, limit)
	if err == nil {
		_ = s.known.Put(ctx, key, data) // if it cannot be kept, it is asked for again
	}
	return data, err
}

// Forget drops the copy of a small object, which is not what it should be: the far store's may be.
func (s *Spool) Forget(ctx context.Context, key string) error { return s.known.Delete(ctx, key) }

// Sweep drops the copies of small objects that nobody has read for so long. Those of a journal that is still read go when it is listed and no longer has
// them; those of one that is not, as of a ref that was merged, would stay for ever.
func (s *Spool) Sweep(ctx context.Context, unread time.Duration) error {
	known, err := s.known.List(ctx, "", 0)
	for _, o := range known {
		if info, err := stat(s.known.path(o.Key)); err != nil || time.Since(info.ModTime()) < unread {
			continue
		}
		if err := s.known.Delete(ctx, o.Key); err != nil {
			return err
		}
	}
	return err
}

// readAgain is how much later a copy is noted to have been read again.
const readAgain = time.Hour

// noteRead has Sweep know that a copy is read.
func (s *Spool) noteRead(key string) {
	path := s.known.path(key)
	if info, err := stat(path); err == nil && time.Since(info.ModTime()) > readAgain {
		now := time.Now()
		_ = os.Chtimes(path, now, now) // if that fails, it is asked for once more some day
	}
}

// GetFile implements Store.
func (s *Spool) GetFile(ctx context.Context, key, path string, have func(int64)) error {
	for _, from := range []Store{s.small, s.files} {
		if err := from.GetFile(ctx, key, path, have); !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	if err := s.down(); err != nil {
		return err
	}
	return s.far.GetFile(ctx, key, path, have)
}

// List implements Store. If the far store cannot be asked, the error comes with what is known here.
func (s *Spool) List(ctx context.Context, prefix string, limit int) ([]Object, error) {
	// What waits is looked at first, lest it is missed when it is sent meanwhile.
	all, err := list(ctx, prefix, limit, s.small, s.files)
	if err != nil {
		return nil, err
	}
	there, asked := s.listFar(ctx, prefix, limit)
	if asked == nil {
		return first(limit, append(all, there...)), s.forget(ctx, prefix, limit, there)
	}
	known, err := s.known.List(ctx, prefix, limit)
	return first(limit, append(all, known...)), errors.Join(asked, err)
}

func list(ctx context.Context, prefix string, limit int, from ...Store) (all []Object, err error) {
	for _, s := range from {
		found, err := s.List(ctx, prefix, limit)
		if err != nil {
			return nil, err
		}
		all = append(all, found...)
	}
	return all, nil
}

// first are the first of objects, in the order of their keys, each once.
func first(limit int, of []Object) []Object {
	slices.SortFunc(of, func(a, b Object) int { return strings.Compare(a.Key, b.Key) })
	of = slices.CompactFunc(of, func(a, b Object) bool { return a.Key == b.Key })
	if limit > 0 {
		return of[:min(limit, len(of))]
	}
	return of
}

// forget drops the copies of what is no longer there. A listing that stops at its limit tells nothing of what comes after.
func (s *Spool) forget(ctx context.Context, prefix string, limit int, there []Object) error {
	known, err := s.known.List(ctx, prefix, limit)
	if err != nil {
		return err
	}
	for _, o := range known {
		_, found := slices.BinarySearchFunc(there, o.Key, func(o Object, key string) int { return strings.Compare(o.Key, key) })
		beyond := limit > 0 && len(there) == limit && o.Key > there[limit-1].Key
		if found || beyond {
			continue
		}
		if err := s.known.Delete(ctx, o.Key); err != nil {
			return err
		}
	}
	return nil
}

// Delete implements Store. It waits for the object that is just being sent, which would be there again afterwards.
func (s *Spool) Delete(ctx context.Context, key string) error {
	unlock, err := flock.Lock(ctx, s.lock, flock.Exclusive)
	if err != nil {
		return err
	}
	defer unlock()
	return errors.Join(s.small.Delete(ctx, key), s.files.Delete(ctx, key), s.far.Delete(ctx, key), s.known.Delete(ctx, key))
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

// WaitingSince is when the oldest small object that has not been sent yet was put; zero if there is none. Files are put before the small object
// that names them, and their times tell something else.
func (s *Spool) WaitingSince(ctx context.Context) (since time.Time, err error) {
	small, err := s.small.List(ctx, "", 0)
	for _, o := range small {
		info, err := stat(s.small.path(o.Key))
		if errors.Is(err, fs.ErrNotExist) {
			continue // sent meanwhile
		}
		if err != nil {
			return since, err
		}
		if since.IsZero() || info.ModTime().Before(since) {
			since = info.ModTime()
		}
	}
	return since, err
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
	if len(small)+len(files) == 0 {
		return sent, nil
	}
	if _, err := s.listFar(ctx, "", 1); err != nil {
		return sent, fmt.Errorf("send what waits in the spool: %w", err)
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
	crash.At(crash.ObjectSent)
	sent.Objects++
	sent.Bytes += o.Size
	return from.Delete(ctx, o.Key)
}
