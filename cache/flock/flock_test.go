package flock

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
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

func TestLocksThatNobodyHoldsAreSweptAndNoTwoEverHoldOne(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	path, held := filepath.Join(folder, "free"), filepath.Join(folder, "held")
	unlock, err := Lock(t.Context(), held, Shared)
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	end, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	var group sync.WaitGroup
	var inside atomic.Int32
	for range 8 {
		group.Go(func() {
			for end.Err() == nil {
				unlock, err := Lock(context.WithoutCancel(end), path, Exclusive)
				if err != nil {
					t.Error(err)
					return
				}
				if n := inside.Add(1); n > 1 {
					t.Errorf("%d hold it", n)
				}
				inside.Add(-1)
				unlock()
			}
		})
	}
	for end.Err() == nil {
		if err := Sweep(t.Context(), folder, 0); err != nil {
			t.Error(err)
		}
	}
	group.Wait()
	if err := Sweep(t.Context(), folder, 0); err != nil {
		t.Error(err)
	}
	if names, err := os.ReadDir(folder); err != nil || len(names) != 1 || names[0].Name() != "held" {
		t.Errorf("left: %v, %v", names, err)
	}
	if err := Sweep(t.Context(), filepath.Join(folder, "not there"), 0); err != nil {
		t.Error(err)
	}
}

func TestALockThatIsNewIsNotSwept(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "new")
	unlock, err := Lock(t.Context(), path, Exclusive)
	if err != nil {
		t.Fatal(err)
	}
	unlock()
	if err := Sweep(t.Context(), filepath.Dir(path), time.Hour); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(path); err != nil {
		t.Error(err)
	}
}

func TestWhoWaitedForALockThatWasRemovedHoldsTheOneThatIsThere(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "lock")
	first, err := Lock(t.Context(), path, Exclusive)
	if err != nil {
		t.Fatal(err)
	}
	waited := make(chan func())
	go func() {
		unlock, err := Lock(t.Context(), path, Exclusive)
		if err != nil {
			t.Error(err)
		}
		waited <- unlock
	}()
	time.Sleep(10 * pause) // it has opened the file
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	first()
	defer (<-waited)()
	soon, cancel := context.WithTimeout(t.Context(), 10*pause)
	defer cancel()
	if _, err := Lock(soon, path, Exclusive); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("another holds it too: %v", err)
	}
}
