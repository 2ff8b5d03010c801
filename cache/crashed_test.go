package cache

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/flock"
)

// What crashes leave, made by hand; faults_crash_test.go has real ones.

func TestACompactionThatWasKilledIsTakenUpAgain(t *testing.T) {
	t.Parallel()
	c := newCache(t)
	var words []string
	for n := range mergeAt {
		words = append(words, fmt.Sprint("<", n, ">"))
		compiled(t, c, request(fmt.Sprint(n)), words[n])
	}
	marks, err := c.marks()
	if err != nil || len(marks) != 1 {
		t.Fatal(marks, err)
	}
	must(t, os.Rename(marks[0], marks[0]+takenMark))

	working, err := flock.Lock(t.Context(), c.poolLock(request("").pool("protected", "build"))+",compaction", flock.Exclusive)
	must(t, err)
	must(t, c.Compact(t.Context(), true))
	if layers, _ := living(journalOf(t, c, request("")), "", maxDepth); len(layers) != mergeAt {
		t.Errorf("somebody is at it, and there are %d layers", len(layers))
	}
	working()
	must(t, c.Compact(t.Context(), true))
	if layers, _ := living(journalOf(t, c, request("")), "", maxDepth); len(layers) != 1 {
		t.Errorf("%d layers are left", len(layers))
	}
	if marks, err := c.marks(); err != nil || len(marks) > 0 {
		t.Errorf("still to be looked at: %v, %v", marks, err)
	}
	if found, _ := sees(t, c, request("last"), words...); len(found) != len(words)*3 {
		t.Errorf("found %q", found)
	}
}

func TestOfAJobThatWasKilledBeforeItHadAMountNothingIsKept(t *testing.T) {
	t.Parallel()
	c := newCache(t)
	compiled(t, c, request("1"), "a")
	dir := filepath.Join(c.Dir, "jobs", "gitlab.example.com", "2")
	p, _ := c.choose(t.Context(), request("2"))
	must(t, c.lease(t.Context(), dir, p)) // its layers may have to be fetched
	must(t, c.Abandon(t.Context(), dir))
	if kept, err := c.salvageable(); err != nil || len(kept) > 0 {
		t.Errorf("kept: %v, %v", kept, err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("left: %v, %v", left, err)
	}
}

func TestAFolderThatNothingWasMovedIntoIsNotSalvaged(t *testing.T) {
	t.Parallel()
	c := newCache(t)
	must(t, os.MkdirAll(filepath.Join(c.Dir, salvageFolder, "1-1"), 0o700))
	must(t, c.Salvage(t.Context(), func(saved Saved, err error) { t.Errorf("salvaged %+v, %v", saved, err) }))
	if left, _ := filepath.Glob(filepath.Join(c.Dir, salvageFolder, "[^.]*")); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

func TestFilesThatWereNotRenamedIntoPlaceGo(t *testing.T) {
	t.Parallel()
	c := newCache(t)
	compiled(t, c, request("1"), "a")
	marks, err := c.marks()
	must(t, err)
	old := time.Now().Add(-2 * staleStaging)
	for _, file := range []string{marks[0] + ".1", c.rateFile() + ".1", marks[0] + takenMark, marks[0]} {
		must(t, os.MkdirAll(filepath.Dir(file), 0o700))
		must(t, os.WriteFile(file, nil, 0o600))
		must(t, os.Chtimes(file, old, old))
	}
	must(t, os.WriteFile(marks[0]+".2", nil, 0o600)) // somebody is just writing it
	must(t, c.Housekeep(t.Context(), false))
	var left []string
	for _, pattern := range []string{grownFolder + "/*", "spool/*"} {
		found, err := filepath.Glob(filepath.Join(c.Dir, pattern))
		must(t, err)
		left = append(left, found...)
	}
	if want := []string{marks[0], marks[0] + ".2", marks[0] + takenMark}; fmt.Sprint(left) != fmt.Sprint(want) {
		t.Errorf("left: %v, want %v", left, want)
	}
}
