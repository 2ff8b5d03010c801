package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/minio/minio-go/v7"
)

// Sizes of a page. Amazon's are of 1000 at most; fewer than smallestPage save little, and tell little of the server's order.
const (
	smallestPage = 100
	biggestPage  = 1000
)

// List implements Store.
func (s *S3) List(ctx context.Context, prefix string, limit int) ([]Object, error) {
	if err := CheckPrefix(prefix); err != nil {
		return nil, err
	}
	var found []Object
	err := s.bounded(ctx, func() {}, func(ctx context.Context, _ *patience) error {
		return s.again(ctx, func() (err error) {
			found, err = s.list(ctx, prefix, limit)
			return err
		})
	})
	if err != nil {
		return nil, fmt.Errorf("list the objects %s*: %w", prefix, err)
	}
	return found, nil
}

func (s *S3) list(ctx context.Context, prefix string, limit int) ([]Object, error) {
	ctx, cancel := context.WithCancel(ctx) // ends the listing that is left early
	defer cancel()
	page := biggestPage
	if limit > 0 {
		page = min(max(limit, smallestPage), biggestPage)
	}
	noOwner := false
	p := pages{size: page, limit: limit}
	for o := range s.core.ListObjectsIter(ctx, s.bucket, minio.ListObjectsOptions{
		Prefix: s.prefix + prefix, Recursive: true, MaxKeys: page, FetchOwner: &noOwner,
	}) {
		if o.Err != nil {
			return nil, o.Err
		}
		key, ours := strings.CutPrefix(o.Key, s.prefix)
		// What is no key is not ours: an object whose name ends with a slash is how some tools make a folder.
		if ours = ours && strings.HasPrefix(key, prefix) && CheckKey(key) == nil; !ours {
			key = ""
		}
		more, err := p.add(o.Key, Object{Key: key, Size: o.Size})
		if err != nil {
			return nil, err
		}
		if !more {
			break
		}
	}
	if ctx.Err() != nil { // then the listing just ends
		return nil, context.Cause(ctx)
	}
	return p.result(), nil
}

// pages collects what a server lists. The first pages hold what is wanted if they are in order, as they are but for Amazon's directory
// buckets and servers that merge their nodes' listings carelessly; then the whole listing is read. What is trusted is one page at
// least: pages that are in order each, and not one after the other, are told only where more than the first is read.
type pages struct {
	size, limit int

	seen     int
	last     string // key that came last
	unsorted bool
	repeated int
	found    []Object
}

// errRepeats is met with a server whose pages do not get on.
var errRepeats = errors.New("the server lists the same objects again and again")

// add takes the next object of the server's, which is nothing of ours if its key is empty. It says whether to go on.
func (p *pages) add(name string, o Object) (bool, error) {
	p.seen++
	switch {
	case p.seen > 1 && name == p.last:
		p.repeated++
		o.Key = ""
	case p.seen > 1 && name < p.last:
		p.unsorted = true
	}
	p.last = name
	if o.Key != "" {
		p.found = append(p.found, o)
	}
	if p.unsorted && p.seen%(10*biggestPage) == 0 { // now and then, as sorting takes its time
		p.sort()
	}
	if p.repeated > 10*biggestPage {
		return false, errRepeats
	}
	// To the end of the page, which is there anyway: it shows whether there is an order.
	return p.unsorted || p.limit <= 0 || len(p.found) < p.limit || p.seen%p.size != 0, nil
}

// sort puts the objects in order, each of them once.
func (p *pages) sort() {
	slices.SortFunc(p.found, func(a, b Object) int { return cmp.Compare(a.Key, b.Key) })
	before := len(p.found)
	p.found = slices.CompactFunc(p.found, func(a, b Object) bool { return a.Key == b.Key })
	p.repeated += before - len(p.found)
}

func (p *pages) result() []Object {
	p.sort()
	if p.limit > 0 && len(p.found) > p.limit {
		p.found = p.found[:p.limit]
	}
	return p.found
}
