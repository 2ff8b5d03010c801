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
// remembered on the host for a while, in which nobody asks. So is the first small object that does not come; if it comes broken, that
// may be its own fault.

const (
	answerLimit = 10 * time.Second // for a listing or a small object
	downFor     = time.Minute
)

// listFar lists the far store, and learns from it whether that answers.
func (s *Spool) listFar(ctx context.Context, prefix string, limit int) (objects []Object, err error) {
	err = s.ask(ctx, func(bounded context.Context) error {
		objects, err = s.far.List(bounded, prefix, limit)
		if err != nil && ctx.Err() == nil && !errors.Is(err, ErrRefused) {
			s.noteDown(err)
		}
		return err
	})
	return objects, err
}

// getFar reads a small object of the far store, likewise.
func (s *Spool) getFar(ctx context.Context, key string, limit int64) (data []byte, err error) {
	err = s.ask(ctx, func(bounded context.Context) error {
		data, err = s.far.Get(bounded, key, limit)
		if err != nil && ctx.Err() == nil && bounded.Err() != nil {
			s.noteDown(err)
		}
		return err
	})
	return data, err
}

// Probe asks the far store whether it answers, even while nobody else shall ask, and has all of this host know.
func (s *Spool) Probe(ctx context.Context) error {
	err := quickly(ctx, func(bounded context.Context) error {
		_, err := s.far.List(bounded, "", 1)
		return err
	})
	switch {
	case err == nil || errors.Is(err, ErrRefused): // which is an answer too
		_ = os.Remove(s.mark)
	case ctx.Err() == nil:
		s.noteDown(err)
	}
	return err
}

// ask makes a call that should not take long, unless nobody shall ask.
func (s *Spool) ask(ctx context.Context, call func(bounded context.Context) error) error {
	if err := s.down(); err != nil {
		return err
	}
	return quickly(ctx, call)
}

func quickly(ctx context.Context, call func(bounded context.Context) error) error {
	bounded, cancel := context.WithTimeoutCause(ctx, answerLimit, fmt.Errorf("no answer within %s: %w", answerLimit, context.DeadlineExceeded))
	defer cancel()
	return call(bounded)
}

func (s *Spool) noteDown(why error) {
	_ = os.MkdirAll(filepath.Dir(s.mark), 0o700)
	_ = os.WriteFile(s.mark, []byte(why.Error()), 0o600)
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
