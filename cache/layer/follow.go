package layer

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"hash"
	"io"
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// follower hashes a file while it is written: as far as it is whole.
type follower struct {
	path  string
	whole chan int64 // the newest offset that is not looked at yet
	ended chan struct{}

	mu      sync.Mutex
	stopped bool // a store may leave behind a call that does not end in time, which may still tell

	// Of the goroutine, until it has ended.
	file   *os.File
	hash   hash.Hash
	pos    int64
	failed error // then all is hashed again in the end
}

func newFollower(path string) *follower {
	f := &follower{path: path, whole: make(chan int64, 1), ended: make(chan struct{}), hash: sha256.New()}
	go f.run()
	return f
}

// have is told up to which byte the file is whole.
func (f *follower) have(upTo int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.stopped {
		return
	}
	select { // only the newest counts
	case last := <-f.whole:
		if upTo < last || last == anew {
			upTo = anew
		}
	default:
	}
	f.whole <- upTo
}

// anew stands for a file that is written anew.
const anew = 0

func (f *follower) run() {
	defer close(f.ended)
	for upTo := range f.whole {
		if f.failed == nil {
			f.failed = f.read(upTo)
		}
	}
}

var errAnew = errors.New("the file is written anew")

func (f *follower) read(upTo int64) error {
	if upTo == anew || upTo < f.pos {
		return errAnew
	}
	if f.file == nil {
		file, err := os.Open(f.path)
		if err != nil {
			return err
		}
		f.file = file
	}
	// The kernel begins to write it to disk (sync_file_range(2)), so that there is less to wait for in the end.
	_ = unix.SyncFileRange(int(f.file.Fd()), f.pos, upTo-f.pos, unix.SYNC_FILE_RANGE_WRITE)
	n, err := io.Copy(f.hash, io.NewSectionReader(f.file, f.pos, upTo-f.pos))
	f.pos += n
	if err == nil && f.pos < upTo {
		err = io.ErrUnexpectedEOF
	}
	return err
}

// stop ends the goroutine.
func (f *follower) stop() {
	f.mu.Lock()
	if !f.stopped {
		f.stopped = true
		close(f.whole)
	}
	f.mu.Unlock()
	<-f.ended
	if f.file != nil {
		_ = f.file.Close() // it was only read
		f.file = nil
	}
}

// seal is that of a file that is complete, with what is hashed of it already.
func (f *follower) seal(ctx context.Context) (Info, error) {
	f.stop()
	if f.failed != nil || f.pos == 0 {
		return seal(ctx, f.path)
	}
	file, err := os.Open(f.path)
	if err != nil {
		return Info{}, err
	}
	defer file.Close()
	flushed := make(chan error, 1)
	go func() { flushed <- file.Sync() }()
	n, err := io.Copy(f.hash, io.NewSectionReader(file, f.pos, 1<<62))
	info := Info{Digest: hex.EncodeToString(f.hash.Sum(nil)), Size: f.pos + n}
	return info, errors.Join(err, <-flushed)
}
