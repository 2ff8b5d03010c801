package layer

import (
	"context"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/flock"
)

// lock keeps others from making layers readable, or ending that, at the same time. Sixteen locks for all layers leave sixteen
// files, where one for each would leave any number: a lock's file cannot be removed safely. They are taken in order, so that
// nobody waits for somebody who waits for him.
func (h Host) lock(ctx context.Context, how flock.How, digests ...string) (unlock func(), err error) {
	needed := map[string]bool{}
	for _, digest := range digests {
		needed[".lock-"+digest[:1]] = true
	}
	var held []func()
	unlock = func() {
		for _, one := range held {
			one()
		}
	}
	for _, name := range slices.Sorted(maps.Keys(needed)) {
		one, err := flock.Lock(ctx, filepath.Join(h.mnt(), name), how)
		if err != nil {
			unlock()
			return nil, err
		}
		held = append(held, one)
	}
	return unlock, nil
}

// holdAttempts is how often layers are made readable that somebody releases meanwhile.
const holdAttempts = 20

// hold makes layers readable and keeps others from releasing them until unlock is called. That cannot be one step,
// since making them readable takes the same locks for itself.
func (h Host) hold(
	ctx context.Context, layers []string, read func(context.Context, string) (string, error), readable func(dir string) bool,
) (unlock func(), err error) {
	for range holdAttempts {
		for _, digest := range layers {
			if _, err := read(ctx, digest); err != nil {
				return nil, err
			}
		}
		unlock, err := h.lock(ctx, flock.Shared, layers...)
		if err != nil {
			return nil, err
		}
		gone := func(digest string) bool { return !readable(h.Mnt(digest)) }
		if !slices.ContainsFunc(layers, gone) {
			return unlock, nil
		}
		unlock()
	}
	return nil, errors.New("somebody releases the layers again and again while they are being mounted")
}

// readable gives the folder of a layer, which one process alone makes if is says that it is not there yet.
func (h Host) readable(ctx context.Context, digest string, is func(dir string) bool, bring func(dir string) error) (string, error) {
	if err := checkDigest(digest); err != nil {
		return "", err
	}
	dir := h.Mnt(digest)
	if is(dir) {
		return dir, nil
	}
	if _, err := os.Stat(h.File(digest)); err != nil {
		return "", err
	}
	unlock, err := h.lock(ctx, flock.Exclusive, digest)
	if err != nil {
		return "", err
	}
	defer unlock()
	if is(dir) {
		return dir, nil
	}
	if err := bring(dir); err != nil {
		return "", err
	}
	return dir, nil
}
