package store

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// A store that does not answer would hold up each call of each job until its limit. So the first listing that fails is
// remembered on the host for a while, in which nobody asks.

const (
	listLimit = 10 * time.Second // for a listing
	downFor   = time.Minute
)

// listFar lists the far store, and learns from it whether that answers.
func (s *Spool) listFar(ctx context.Context, prefix string, limit int) ([]Object, error) {
	if err := s.down(); err != nil {
		return nil, err
	}
	bounded, cancel := context.WithTimeoutCause(ctx, listLimit, fmt.Errorf("no answer within %s: %w", listLimit, context.DeadlineExceeded))
	defer cancel()
	objects, err := s.far.List(bounded, prefix, limit)
	if err != nil && ctx.Err() == nil && !errors.Is(err, ErrRefused) {
		_ = os.MkdirAll(filepath.Dir(s.mark), 0o700)
		_ = os.WriteFile(s.mark, []byte(err.Error()), 0o600)
	}
	return objects, err
}

// down is an error while nobody shall ask.
func (s *Spool) down() error {
	if age := s.age(); age >= 0 && age <= downFor {
		why, _ := os.ReadFile(s.mark) // another process may just have written it
		return fmt.Errorf("it did not answer %s ago, and is not asked again before %s have passed: %s", age.Round(time.Second), downFor, why)
	}
	return nil
}

// age is that of the mark, and less than 0 if there is none.
func (s *Spool) age() time.Duration {
	info, err := os.Stat(s.mark)
	if err != nil {
		return -1
	}
	return time.Since(info.ModTime())
}
