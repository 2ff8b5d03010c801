// Package store is the shared tier: immutable objects under slash-separated keys, in a folder or, elsewhere, in a bucket. It knows
// nothing of what it keeps.
package store

import (
	"context"
	"errors"
)

// ErrRefused says that the store answered and will not do what it was asked for, now or later: credentials, permissions, space.
var ErrRefused = errors.New("refused by the store")

// Store keeps objects. An object never changes: whoever writes a key a second time writes the same bytes. Nothing is asked for that
// not every S3-compatible server has: no conditional write, no listing that sees the newest write at once.
//
// All methods may be called by several goroutines and processes at the same time, and end soon after ctx does. A key that
// does not exist is fs.ErrNotExist, what the store will not do ErrRefused; any other error may pass.
type Store interface {
	// Put writes a small object. When it returns, every later Get of the key sees the whole of it; before, none sees a part.
	Put(ctx context.Context, key string, data []byte) error
	// Get reads a small object. One of more than limit bytes is an error.
	Get(ctx context.Context, key string, limit int64) ([]byte, error)
	// PutFile is Put for the content of a file, which stays where it is and must not change afterwards.
	PutFile(ctx context.Context, key, path string) error
	// GetFile writes the object to a file that does not exist yet, and leaves no file after an error. What it writes is not
	// verified: that is its caller's part, who knows the digest. The file must not be changed: it may share its bytes
	// with the store.
	//
	// have, unless it is nil, may be told while the file grows up to which byte it is whole, so that its digest can be made meanwhile; a
	// smaller number than before says that all is written anew. Calls come one at a time.
	GetFile(ctx context.Context, key, path string, have func(upTo int64)) error
	// List gives the objects whose keys begin with prefix, in the byte order of their keys, at most limit of them; 0 is no limit.
	List(ctx context.Context, prefix string, limit int) ([]Object, error)
	// Delete removes an object. One that does not exist is no error.
	Delete(ctx context.Context, key string) error
}

// Object is what a listing tells.
type Object struct {
	Key  string
	Size int64 // bytes
}
