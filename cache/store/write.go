package store

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/crash"
)

// objectMode is that of a file that is copied, in the store or out of it: nobody ever changes an object.
const objectMode = 0o444

// write makes an object of what is read. durable says whether it has to be on disk before it has its name.
func (d *Directory) write(ctx context.Context, file string, from io.Reader, durable bool) error {
	d.swept.Do(d.sweep)
	if err := os.MkdirAll(d.staging(), 0o700); err != nil {
		return err
	}
	staged, err := os.CreateTemp(d.staging(), "*")
	if err != nil {
		return err
	}
	err = fill(ctx, staged, from)
	if err == nil && durable {
		err = staged.Sync()
	}
	if err = errors.Join(err, staged.Close()); err == nil {
		crash.At(crash.ObjectStaged)
		err = d.place(file, func() error { return os.Rename(staged.Name(), file) })
	}
	if err != nil {
		err = errors.Join(err, os.Remove(staged.Name()))
	}
	return err
}

// copyTo makes a file that does not exist yet, or leaves none.
func copyTo(ctx context.Context, path string, from io.Reader) error {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	if err := errors.Join(fill(ctx, file, from), file.Close()); err != nil {
		return errors.Join(err, os.Remove(path))
	}
	return nil
}

// portion is what is copied between two looks at the context. From file to file the kernel copies it, or shares the blocks
// (copy_file_range(2), by (*os.File).ReadFrom).
const portion = 16 << 20

func fill(ctx context.Context, file *os.File, from io.Reader) error {
	for {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		switch _, err := io.CopyN(file, from, portion); {
		case errors.Is(err, io.EOF):
			return file.Chmod(objectMode)
		case err != nil:
			return err
		}
	}
}

// placings bounds how often an object's folder is made: Delete removes it as long as it is empty, and may do so each time.
const placings = 100

// place makes an object's folder and calls put, which gives the object its name.
func (d *Directory) place(file string, put func() error) (err error) {
	for range placings {
		err = os.MkdirAll(filepath.Dir(file), 0o700)
		if errors.Is(err, fs.ErrExist) || errors.Is(err, fs.ErrNotExist) {
			continue // a folder was there and has gone, or the one above it
		}
		if err != nil {
			return err
		}
		if err = put(); !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return err
}

func (d *Directory) staging() string { return filepath.Join(d.dir, ".staging") }

// stale is the age from which on a staging file is nobody's: one that is being written is younger, whatever the clocks of hosts say.
const stale = 24 * time.Hour

// sweep removes what killed processes left. Once per process is enough, and whatever hinders it will hinder the Put too.
func (d *Directory) sweep() {
	entries, err := os.ReadDir(d.staging())
	if err != nil {
		return
	}
	for _, e := range entries {
		if info, err := e.Info(); err == nil && time.Since(info.ModTime()) > stale {
			_ = os.Remove(filepath.Join(d.staging(), e.Name()))
		}
	}
}
