package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/minio/minio-go/v7"
	"golang.org/x/sync/errgroup"
)

// Sizes of an upload. A part is at least 5 MiB, and there are at most 10 000 (Amazon S3 multipart upload limits). What is sent is read from the
// file, once for its digest and once for the wire, so memory holds none of it but the connections' buffers.
const (
	smallestPart = 16 << 20
	mostParts    = 10_000
	uploads      = 4 // parts that are sent side by side
)

// aborting is how long an upload that failed may take to be forgotten by the server.
const aborting = 10 * time.Second

// PutFile implements Store.
func (s *S3) PutFile(ctx context.Context, key, path string) error {
	return s.run(ctx, "write", key, func(ctx context.Context, p *patience) error {
		file, err := open(path)
		if err != nil {
			return final{local(err)}
		}
		defer file.Close()
		info, err := file.Stat()
		if err != nil {
			return final{local(err)}
		}
		if s.has(ctx, key, info.Size()) {
			return nil
		}
		p.extend(info.Size())
		if info.Size() <= smallestPart {
			return s.place(ctx, func() error { return s.putSection(ctx, key, io.NewSectionReader(file, 0, info.Size()), info.Size()) })
		}
		return s.putParts(ctx, key, file, info.Size())
	})
}

// has says whether an object is there for certain. When it cannot be told, what is done next will meet the reason: an answer to a
// HEAD has none, and Amazon's says 403 where it will not tell.
func (s *S3) has(ctx context.Context, key string, size int64) bool {
	info, err := s.core.StatObject(ctx, s.bucket, s.prefix+key, minio.StatObjectOptions{})
	return err == nil && info.Size == size
}

// partSize is a whole number of MiB.
func partSize(size int64) int64 {
	const unit = 1 << 20
	least := (size + mostParts - 1) / mostParts
	return max(smallestPart, (least+unit-1)/unit*unit)
}

// putParts writes an object that appears when all its parts are there.
func (s *S3) putParts(ctx context.Context, key string, file *os.File, size int64) error {
	var id string
	err := s.place(ctx, func() (err error) {
		id, err = s.core.NewMultipartUpload(ctx, s.bucket, s.prefix+key, minio.PutObjectOptions{ServerSideEncryption: s.sse})
		return err
	})
	if err != nil {
		return err
	}
	parts, err := s.sendParts(ctx, key, id, file, size)
	if err == nil {
		err = s.place(ctx, func() error {
			_, err := s.core.CompleteMultipartUpload(ctx, s.bucket, s.prefix+key, id, parts, minio.PutObjectOptions{})
			return err
		})
	}
	if err != nil {
		return s.abort(ctx, key, id, size, err)
	}
	return nil
}

func (s *S3) sendParts(ctx context.Context, key, id string, file *os.File, size int64) ([]minio.CompletePart, error) {
	length := partSize(size)
	parts := make([]minio.CompletePart, (size+length-1)/length)
	all, ctx := errgroup.WithContext(ctx)
	all.SetLimit(uploads)
	for i := range parts {
		if ctx.Err() != nil {
			break
		}
		from := int64(i) * length
		all.Go(func() error {
			n := min(length, size-from)
			return s.again(ctx, func() (err error) {
				parts[i], err = s.sendPart(ctx, key, id, i+1, io.NewSectionReader(file, from, n), n)
				return err
			})
		})
	}
	return parts, all.Wait()
}

func (s *S3) sendPart(ctx context.Context, key, id string, number int, data io.ReadSeeker, size int64) (minio.CompletePart, error) {
	digest, err := digestOf(data)
	if err != nil {
		return minio.CompletePart{}, err
	}
	sent, err := s.core.PutObjectPart(ctx, s.bucket, s.prefix+key, id, number, data, size,
		minio.PutObjectPartOptions{Sha256Hex: digest, DisableContentSha256: true}) // as in putSection
	return minio.CompletePart{PartNumber: number, ETag: sent.ETag}, err
}

// abort removes what a failed upload left, though its context may have ended. Nothing has failed if the server knows no such upload
// because it has made the object: then only the answer that said so got lost.
func (s *S3) abort(ctx context.Context, key, id string, size int64, why error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), aborting)
	defer cancel()
	err := s.again(ctx, func() error { return s.core.AbortMultipartUpload(ctx, s.bucket, s.prefix+key, id) })
	switch {
	case err == nil:
		return why
	case errors.Is(err, errNoUpload):
		if s.has(ctx, key, size) {
			return nil
		}
		return why
	default:
		return fmt.Errorf("%w; what was sent stays in the bucket until a lifecycle rule aborts the upload: %s", why, err.Error())
	}
}
