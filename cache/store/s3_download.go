package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"sync/atomic"

	"github.com/minio/minio-go/v7"
	"golang.org/x/sync/errgroup"
)

// Sizes of a download. BenchmarkGetFile, 700 MiB from an optimized MinIO on the same two processors, which others used too, means of five
// runs: 1 range 803 MB/s (566 to 1195), 4 ranges 939 (770 to 1198), 8 ranges 1083 (741 to 1295), 16 ranges 958 (800 to 1103). So on loopback
// the number matters little. Where each answer takes its time, which was not measured, more than one should.
const (
	ranges    = 8 // that are read side by side
	rangeSize = 16 << 20
	copying   = 256 << 10 // bytes in memory for each of them
)

// errChanged is met when an object is written a second time while it is read: with the same bytes, but maybe in other parts, and
// so with another ETag.
var errChanged = errors.New("the object was written again while it was read")

// GetFile implements Store.
func (s *S3) GetFile(ctx context.Context, key, path string, have func(int64)) error {
	undo := func() { _ = os.Remove(path) }
	return s.runOrUndo(ctx, "fetch", key, undo, func(ctx context.Context, p *patience) error {
		file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
		if err != nil {
			return final{local(err)}
		}
		err = s.fetch(ctx, p, key, file, have)
		if err == nil {
			err = file.Chmod(objectMode)
		}
		if err = errors.Join(err, file.Close()); err != nil {
			return errors.Join(err, os.Remove(path))
		}
		return nil
	})
}

func (s *S3) fetch(ctx context.Context, p *patience, key string, file *os.File, have func(int64)) error {
	for attempt := 1; ; attempt++ {
		d := &download{s: s, key: key, file: file, whole: wholeness{tell: have}}
		err := d.run(ctx, p)
		if !errors.Is(err, errChanged) || attempt >= s.bounds.attempts {
			return err
		}
		if err := file.Truncate(0); err != nil {
			return final{local(err)}
		}
		d.whole.anew()
	}
}

// download reads one version of an object. Its first answer tells which, and how big it is.
type download struct {
	s    *S3
	key  string
	file *os.File

	size  int64
	etag  string // empty where the server has none
	all   bool   // the server sends all, whatever range it is asked for
	whole wholeness
	next  atomic.Int64
}

func (d *download) run(ctx context.Context, p *patience) error {
	var body io.ReadCloser
	err := d.s.again(ctx, func() (err error) {
		body, err = d.first(ctx)
		return err
	})
	if err != nil {
		return err
	}
	p.extend(d.size)
	end := min(d.size, rangeSize)
	if d.all {
		end = d.size
	}
	d.next.Store(end)
	all, ctx := errgroup.WithContext(ctx)
	all.Go(func() error { return d.work(ctx, 0, end, body) })
	for range min(int64(d.s.ranges)-1, (d.size-end+rangeSize-1)/rangeSize) {
		all.Go(func() error { return d.work(ctx, 0, 0, nil) })
	}
	return all.Wait()
}

// work reads a range whose beginning is under way, and then whatever nobody reads yet.
func (d *download) work(ctx context.Context, from, end int64, body io.ReadCloser) error {
	buffer := make([]byte, copying)
	for {
		if err := d.read(ctx, from, end, body, buffer); err != nil {
			return err
		}
		d.whole.add(from, end)
		from, body = d.next.Add(rangeSize)-rangeSize, nil
		if from >= d.size {
			return nil
		}
		end = min(from+rangeSize, d.size)
	}
}

// progress is how many bytes more make a new beginning: a connection that breaks, but brings so much each time, is good enough.
const progress = 1 << 20

// read copies a range into the file. After a broken connection it goes on where that broke.
func (d *download) read(ctx context.Context, from, end int64, body io.ReadCloser, buffer []byte) error {
	for from < end || body != nil {
		begun := from
		err := d.s.again(ctx, func() (err error) {
			if body == nil {
				if body, err = d.open(ctx, from, end); err != nil {
					return err
				}
			}
			n, err := io.CopyBuffer(disk{io.NewOffsetWriter(d.file, from)}, io.LimitReader(body, end-from), buffer)
			from += n
			_ = body.Close()
			body = nil
			if err == nil && from < end {
				err = io.ErrUnexpectedEOF
			}
			if err != nil && from-begun >= progress && passes(ctx, err) {
				return nil
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// disk is where an error is not the server's.
type disk struct{ to io.Writer }

// Write implements io.Writer.
func (d disk) Write(p []byte) (int, error) {
	n, err := d.to.Write(p)
	if err != nil {
		err = final{local(err)}
	}
	return n, err
}

// first asks for the first range. An object without bytes has none; servers say so in several ways.
func (d *download) first(ctx context.Context) (io.ReadCloser, error) {
	body, info, span, err := d.get(ctx, 0, rangeSize)
	var answer minio.ErrorResponse
	if errors.As(err, &answer) && (answer.Code == minio.InvalidRange || answer.StatusCode == http.StatusRequestedRangeNotSatisfiable) {
		body, info, span, err = d.get(ctx, 0, 0)
	}
	if err != nil {
		return nil, err
	}
	d.all, d.size, d.etag = span == nil, info.Size, info.ETag
	if span != nil {
		d.size = span.size
	}
	if d.size < 0 || (span != nil && (span.from != 0 || info.Size != min(d.size, rangeSize))) {
		_ = body.Close()
		return nil, fmt.Errorf("asked for the first %d bytes, the server sends %d of %d", rangeSize, info.Size, d.size)
	}
	return body, nil
}

// open asks for a range of what first found.
func (d *download) open(ctx context.Context, from, end int64) (io.ReadCloser, error) {
	body, info, span, err := d.get(ctx, from, end)
	var answer minio.ErrorResponse
	switch {
	case errors.As(err, &answer) && (answer.Code == minio.PreconditionFailed || answer.StatusCode == http.StatusPreconditionFailed):
		return nil, final{errChanged}
	case err != nil:
		return nil, err
	case info.ETag != d.etag || (span == nil && info.Size != d.size) || (span != nil && span.size != d.size):
		err = final{errChanged}
	case span == nil: // the server knows no ranges
		_, err = io.CopyN(io.Discard, body, from)
	case span.from != from || info.Size != end-from:
		err = fmt.Errorf("asked for %d bytes from %d on, the server sends %d from %d on", end-from, from, info.Size, span.from)
	}
	if err != nil {
		_ = body.Close()
		return nil, err
	}
	return body, nil
}

// span is what a Content-Range tells.
type span struct{ from, size int64 }

// get asks for a range, or for all if it is empty. The span is nil if all is what the server sends.
func (d *download) get(ctx context.Context, from, end int64) (io.ReadCloser, minio.ObjectInfo, *span, error) {
	var options minio.GetObjectOptions
	if end > from {
		if err := options.SetRange(from, end-1); err != nil {
			return nil, minio.ObjectInfo{}, nil, final{err}
		}
	}
	if d.etag != "" {
		if err := options.SetMatchETag(d.etag); err != nil {
			return nil, minio.ObjectInfo{}, nil, final{err}
		}
	}
	body, info, header, err := d.s.core.GetObject(ctx, d.s.bucket, d.s.prefix+d.key, options)
	if err != nil {
		return nil, info, nil, err
	}
	text := header.Get("Content-Range")
	if text == "" {
		return body, info, nil, nil
	}
	var got span
	var last int64
	if _, err := fmt.Sscanf(text, "bytes %d-%d/%d", &got.from, &last, &got.size); err != nil {
		_ = body.Close()
		return nil, info, nil, fmt.Errorf("the server sends a range that cannot be read: %.80q", text)
	}
	return body, info, &got, nil
}
