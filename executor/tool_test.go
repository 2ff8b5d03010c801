package executor

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestCopiesOfOldReleasesGoWithTheirJobs(t *testing.T) {
	t.Parallel()
	root := tree(t.TempDir())
	now := time.Now()
	own, err := installTool(root)
	if err != nil {
		t.Fatal(err)
	}
	copied := func(name string, age time.Duration) string {
		path := filepath.Join(string(root), "bin", "gitlab-go-executor-"+name)
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, now.Add(-age), now.Add(-age)); err != nil {
			t.Fatal(err)
		}
		return path
	}
	if err := os.Chtimes(own, now.Add(-48*time.Hour), now.Add(-48*time.Hour)); err != nil {
		t.Fatal(err)
	}
	busy, recent, old := copied("busy", 48*time.Hour), copied("recent", time.Hour), copied("old", 48*time.Hour)
	living := &store{record: Record{Tool: busy}}

	sweepTools(root, census{living: []*store{living}, unknown: []string{"a job of another release"}}, now)
	if _, err := os.Stat(old); err != nil {
		t.Errorf("a copy is gone that a job may use whose record cannot be read: %v", err)
	}
	sweepTools(root, census{living: []*store{living}}, now)
	for _, path := range []string{own, busy, recent} {
		if _, err := os.Stat(path); err != nil {
			t.Errorf("a copy is gone that is in use: %v", err)
		}
	}
	if _, err := os.Stat(old); err == nil {
		t.Error("the copy of an old release stays for ever")
	}
}

// Two releases that take turns on a host: one sweeps, after the other has found its copy and before its job's record names it.
func TestACopyThatIsFoundIsNoOldOne(t *testing.T) {
	t.Parallel()
	root := tree(t.TempDir())
	own, err := installTool(root)
	if err != nil {
		t.Fatal(err)
	}
	old := time.Now().Add(-48 * time.Hour)
	if err := os.Chtimes(own, old, old); err != nil {
		t.Fatal(err)
	}
	if again, err := installTool(root); err != nil || again != own {
		t.Fatal(again, err)
	}
	if info, err := os.Stat(own); err != nil || time.Since(info.ModTime()) > oldTool {
		t.Errorf("%v, %v: another release may sweep it", info, err)
	}
}

func TestAProgramThatIsInstalledAgainHasACopyOfItsOwn(t *testing.T) {
	t.Parallel()
	root, program := tree(t.TempDir()), filepath.Join(t.TempDir(), "program")
	day := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	names := map[string]bool{}
	for _, content := range []string{"one", "two"} { // of the same size, and packed with the same time
		time.Sleep(20 * time.Millisecond) // the kernel's clock is that coarse
		if err := os.WriteFile(program+".new", []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(program+".new", day, day); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(program+".new", program); err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(program)
		if err != nil {
			t.Fatal(err)
		}
		names[root.tool(program, info)] = true
	}
	if len(names) != 2 {
		t.Errorf("two programs share a copy: %v", names)
	}
}
