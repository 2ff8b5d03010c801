package executor

import (
	"os"
	"path/filepath"
	"testing"
)

func TestWhatIsKeptOfFileVariablesGoesAndNoLinkIsFollowed(t *testing.T) {
	t.Parallel()
	tr := tree(t.TempDir())
	r := Record{Identity: identity("42", "protected", "1"), Slot: 1, Files: "group/project.tmp"}
	elsewhere := filepath.Join(t.TempDir(), "group")
	slot := tr.builds(r.Identity, r.Slot)
	for _, file := range []string{filepath.Join(slot, "group", "project.tmp", "KEY"), filepath.Join(slot, "group", "project", "go.mod"), filepath.Join(elsewhere, "project.tmp", "KEY")} {
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	there := func(name string) bool {
		_, err := os.Lstat(name)
		return err == nil
	}
	if err := tr.dropFiles(r); err != nil || there(filepath.Join(slot, r.Files)) || !there(filepath.Join(slot, "group", "project", "go.mod")) {
		t.Errorf("%v", err)
	}
	if err := tr.dropFiles(r); err != nil {
		t.Errorf("what is gone already: %v", err)
	}
	if err := os.RemoveAll(filepath.Join(slot, "group")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(elsewhere, filepath.Join(slot, "group")); err != nil {
		t.Fatal(err)
	}
	if err := tr.dropFiles(r); err == nil || !there(filepath.Join(elsewhere, "project.tmp", "KEY")) {
		t.Errorf("a link was followed: %v", err)
	}
	r.Slot = 2
	if err := tr.dropFiles(r); err != nil {
		t.Errorf("a slot that is gone: %v", err)
	}
}
