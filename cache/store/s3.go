package store

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/encrypt"
)

// S3 is a Store in a bucket of Amazon S3 or of a server that speaks its protocol. It is for any of them, and needs only what all have:
// PUT, GET with a range, HEAD and DELETE of an object, uploads in parts, and listings of version 2. It needs no conditional
// write, no listing that is up to date, no checksum header and no particular order of a listing.
//
// What is used where it is there, and not missed elsewhere:
//
//	ETag and If-Match       ranges of two versions of an object are never mixed; without an ETag, its size has to be the same
//	HEAD of an object       a file that is there with its size is not sent again
//	order of a listing      one with a limit ends with the page that fills it
//	GetBucketLocation       where the settings do not name the region
//
// An upload in parts that fails is aborted, but for one whose process is killed: let the bucket's lifecycle rules abort incomplete
// uploads after a day (AbortIncompleteMultipartUpload).
type S3 struct {
	core    *minio.Core
	secrets *secrets
	bucket  string
	prefix  string // empty, or with a slash at its end
	sse     encrypt.ServerSide
	advice  advice
	bounds  bounds
	ranges  int // that GetFile reads side by side
}

// Put implements Store.
func (s *S3) Put(ctx context.Context, key string, data []byte) error {
	return s.run(ctx, "write", key, func(ctx context.Context, _ *patience) error {
		return s.place(ctx, func() error { return s.putSection(ctx, key, bytes.NewReader(data), int64(len(data))) })
	})
}

// Get implements Store.
func (s *S3) Get(ctx context.Context, key string, limit int64) ([]byte, error) {
	var data []byte
	err := s.run(ctx, "read", key, func(ctx context.Context, _ *patience) error {
		return s.again(ctx, func() (err error) {
			data, err = s.get(ctx, key, limit)
			return err
		})
	})
	if err != nil {
		return nil, err
	}
	return data, nil
}

func (s *S3) get(ctx context.Context, key string, limit int64) ([]byte, error) {
	body, info, _, err := s.core.GetObject(ctx, s.bucket, s.prefix+key, minio.GetObjectOptions{})
	if err != nil {
		return nil, err
	}
	defer body.Close()
	tooBig := final{fmt.Errorf("it has more than %d bytes", limit)}
	if info.Size > limit {
		return nil, tooBig
	}
	data, err := io.ReadAll(io.LimitReader(body, limit+1))
	switch {
	case err != nil:
		return nil, err
	case int64(len(data)) > limit:
		return nil, tooBig
	case info.Size >= 0 && int64(len(data)) != info.Size:
		return nil, io.ErrUnexpectedEOF
	}
	return data, nil
}

// Delete implements Store.
func (s *S3) Delete(ctx context.Context, key string) error {
	return s.run(ctx, "delete", key, func(ctx context.Context, _ *patience) error {
		err := s.again(ctx, func() error {
			return s.core.RemoveObject(ctx, s.bucket, s.prefix+key, minio.RemoveObjectOptions{})
		})
		if errors.Is(err, fs.ErrNotExist) { // Amazon's says nothing, others do
			return nil
		}
		return err
	})
}

// place tries to make an object until that works, cannot work, or was tried often enough. MinIO denies access to
// a new object while the last neighbour of it is being deleted, and with that their folder: seen in storetest, once in some 200 writes.
// So who is denied tries again, like one whose server is busy, and is refused in the end.
func (s *S3) place(ctx context.Context, put func() error) error {
	denials := 0
	err := s.again(ctx, func() error {
		err := s.explain(ctx, put())
		if errors.Is(err, errDenied) && denials < s.bounds.attempts-1 {
			denials++
			err = &s3Error{problem: err.Error()}
		}
		return err
	})
	if errors.Is(err, fs.ErrNotExist) { // of what? A server that says so is none of S3
		err = &s3Error{problem: err.Error()}
	}
	return err
}

// putSection writes an object by one request. The digest is part of what is signed, so a server takes the bytes only as they were sent;
// unlike the checksums that are newer, every server knows it.
func (s *S3) putSection(ctx context.Context, key string, data io.ReadSeeker, size int64) error {
	digest, err := digestOf(data)
	if err != nil {
		return err
	}
	_, err = s.core.PutObject(ctx, s.bucket, s.prefix+key, data, size, "", digest, minio.PutObjectOptions{
		ServerSideEncryption: s.sse,
		DisableContentSha256: true, // no signature for each chunk: the one digest is signed
	})
	return err
}

// digestOf reads all of data and goes back to its beginning.
func digestOf(data io.ReadSeeker) (string, error) {
	sum := sha256.New()
	if _, err := data.Seek(0, io.SeekStart); err != nil {
		return "", final{local(err)}
	}
	if _, err := io.Copy(sum, data); err != nil {
		return "", final{local(err)}
	}
	if _, err := data.Seek(0, io.SeekStart); err != nil {
		return "", final{local(err)}
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}
