package flock

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestOnlyOneHoldsALockAloneAndManyShareIt(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "not", "there", "yet")
	try := func(how How) (func(), error) {
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		return Lock(ctx, path, how)
	}
	one, err := try(Shared)
	if err != nil {
		t.Fatal(err)
	}
	two, err := try(Shared)
	if err != nil {
		t.Fatalf("a shared lock is not shared: %v", err)
	}
	if _, err := try(Exclusive); !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), path) {
		t.Errorf("got it alone while others hold it: %v", err)
	}
	one()
	two()
	alone, err := try(Exclusive)
	if err != nil {
		t.Fatalf("nobody holds it: %v", err)
	}
	if _, err := try(Shared); err == nil {
		t.Error("shared what another holds alone")
	}
	waited := make(chan error)
	go func() {
		unlock, err := Lock(t.Context(), path, Exclusive)
		if err == nil {
			unlock()
		}
		waited <- err
	}()
	time.Sleep(20 * time.Millisecond)
	alone()
	if err := <-waited; err != nil {
		t.Errorf("waited in vain: %v", err)
	}
}
