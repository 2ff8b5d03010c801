package store_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/store"
)

func TestWhoProbesAStoreTellsTheWholeHost(t *testing.T) {
	t.Parallel()
	f := &far{Store: store.NewDirectory(t.TempDir()), gone: true}
	dir := t.TempDir()
	serve, job := store.NewSpool(dir, f), store.NewSpool(dir, f)
	layerAndEntry(t, job, "1")
	if err := serve.Probe(t.Context()); !errors.Is(err, errGone) {
		t.Errorf("the store is gone, and a probe says %v", err)
	}
	f.gone = false
	if _, err := job.Send(t.Context()); err == nil || len(f.wrote) > 0 {
		t.Errorf("a job asks a store that has just not answered: %v, %v", err, f.wrote)
	}
	if err := serve.Probe(t.Context()); err != nil {
		t.Errorf("the store is back, and a probe says %v", err)
	}
	if _, err := job.Send(t.Context()); err != nil || len(f.wrote) != 2 {
		t.Errorf("the store is known to be back, and a job says %v, sends %v", err, f.wrote)
	}
}

func TestAStoreThatRefusesAnswersAllTheSame(t *testing.T) {
	t.Parallel()
	s := store.NewSpool(t.TempDir(), store.Unusable(errors.New("no credentials")))
	for range 2 { // the second would not ask if it were thought to be down
		if err := s.Probe(t.Context()); !errors.Is(err, store.ErrRefused) {
			t.Error(err)
		}
		if _, err := s.List(t.Context(), "", 1); !errors.Is(err, store.ErrRefused) {
			t.Error(err)
		}
	}
}

func TestASpoolKnowsSinceWhenSomethingWaits(t *testing.T) {
	t.Parallel()
	s := store.NewSpool(t.TempDir(), store.NewDirectory(t.TempDir()))
	if since, err := s.WaitingSince(t.Context()); err != nil || !since.IsZero() {
		t.Errorf("nothing waits since %v, %v", since, err)
	}
	before := time.Now().Add(-time.Second) // file systems round
	layerAndEntry(t, s, "1")
	between := time.Now()
	for n := range 3 {
		layerAndEntry(t, s, fmt.Sprint("later-", n))
	}
	if since, err := s.WaitingSince(t.Context()); err != nil || since.Before(before) || since.After(between) {
		t.Errorf("waits since %v, %v; want the time of the first, between %v and %v", since, err, before, between)
	}
	if _, err := s.Send(t.Context()); err != nil {
		t.Fatal(err)
	}
	if since, err := s.WaitingSince(t.Context()); err != nil || !since.IsZero() {
		t.Errorf("all was sent, and something waits since %v, %v", since, err)
	}
}
