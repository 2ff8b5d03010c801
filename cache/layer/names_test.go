package layer_test

import (
	"strings"
	"testing"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/layer"
)

// A few folders whose names are long make the paths of a million files fill any memory.
func TestThereIsAnEndToTheNamesOfAJobsFiles(t *testing.T) {
	t.Parallel()
	var c layer.Changes
	c.Add(strings.Repeat("n", 4097)) // nobody can open it by its path
	c.Add("file")
	name := strings.Repeat("n", 4096) // one string, so that the test itself needs no memory
	const files, room = 70_000, 256 << 20
	for range files {
		c.Add(name)
	}
	if want := 1 + (room-len("file"))/len(name); len(c.Files) != want || c.Files[0] != "file" || c.Other != 1+files-(want-1) {
		t.Errorf("%d files and %d others, want %d files", len(c.Files), c.Other, want)
	}
}
