package kind

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func hashOf(content string) string { return fmt.Sprintf("%x", sha256.Sum256([]byte(content))) }

// entryLine is what Go writes into a <hash>-a.
func entryLine(id, output string, size int) string {
	return fmt.Sprintf("v1 %s %s %20d %20d\n", id, output, size, 1700000000000000000)
}

// entry puts an entry and its output into the cache, as Go does, and gives the entry's ID.
func (j *job) entry(action, content string) (id string) {
	j.t.Helper()
	id = hashOf(action)
	j.write(j.build, actionFile(id), entryLine(id, hashOf(content), len(content)))
	j.write(j.build, outputFile(hashOf(content)), content)
	return id
}

const goArchive = "!<arch>\n" // how a compiled package begins

func TestWhatAJobForgesInTheBuildCacheIsLeftOut(t *testing.T) {
	t.Parallel()
	content := goArchive + "of the victim"
	output := outputFile(hashOf(content))
	tests := map[string]struct {
		spoil func(j *job, id string)
		want  map[string]int // refused
		isNew bool           // it counts as compiled all the same
	}{
		"an entry that is a link to a file of the host": {func(j *job, id string) {
			j.replace(j.build, actionFile(id), linkOut)
		}, map[string]int{RefusedType: 1}, false},
		"an entry that is a link to itself": {func(j *job, id string) {
			j.replace(j.build, actionFile(id), func(file string) error { return os.Symlink(filepath.Base(file), file) })
		}, map[string]int{RefusedType: 1}, false},
		"an entry that is a FIFO": {func(j *job, id string) {
			j.replace(j.build, actionFile(id), func(file string) error { return syscall.Mkfifo(file, 0o666) })
		}, map[string]int{RefusedType: 1}, false},
		"an entry of another action": {func(j *job, id string) {
			j.write(j.build, actionFile(id), entryLine(hashOf("other"), hashOf(content), len(content)))
		}, map[string]int{RefusedFormat: 1}, false},
		"an entry that is cut off": {func(j *job, id string) {
			j.must(os.Truncate(filepath.Join(j.build, actionFile(id)), actionSize-1))
		}, map[string]int{RefusedFormat: 1}, false},
		"an entry of 176 bytes": {func(j *job, id string) {
			j.write(j.build, actionFile(id), entryLine(id, hashOf(content), len(content))+"\n")
		}, map[string]int{RefusedFormat: 1}, false},
		"an entry of 175 bytes of nonsense": {func(j *job, id string) {
			j.write(j.build, actionFile(id), strings.Repeat("v1 \n\x00", 35))
		}, map[string]int{RefusedFormat: 1}, false},
		"an entry that Go reads but would not write": {func(j *job, id string) {
			line := strings.Replace(entryLine(id, hashOf(content), len(content)), " 1700", "+1700", 1)
			j.write(j.build, actionFile(id), line)
		}, map[string]int{RefusedFormat: 1}, false},
		"an entry whose output is in upper case": {func(j *job, id string) {
			j.write(j.build, actionFile(id), entryLine(id, strings.ToUpper(hashOf(content)), len(content)))
		}, map[string]int{RefusedFormat: 1}, false},
		"an entry whose output leads out": {func(j *job, id string) {
			j.write(j.build, actionFile(id), entryLine(id, "../../"+hashOf(content)[6:], len(content)))
		}, map[string]int{RefusedFormat: 1}, false},
		"an entry that tells another size": {func(j *job, id string) {
			j.write(j.build, actionFile(id), entryLine(id, hashOf(content), len(content)+1))
		}, map[string]int{RefusedSize: 1}, true},
		"an output that was changed": {func(j *job, _ string) {
			j.write(j.build, output, strings.Replace(content, "victim", "hacker", 1))
		}, map[string]int{RefusedHash: 1}, true},
		"an output that a killed job left cut off": {func(j *job, _ string) {
			j.must(os.Truncate(filepath.Join(j.build, output), 10))
		}, map[string]int{RefusedHash: 1}, true},
		"an output that is not there": {func(j *job, _ string) {
			j.must(os.Remove(filepath.Join(j.build, output)))
		}, map[string]int{RefusedIncomplete: 1}, false},
		"an output that is a link to the right content": {func(j *job, _ string) {
			j.write(j.build, "elsewhere", content)
			j.replace(j.build, output, func(file string) error { return os.Symlink("../elsewhere", file) })
		}, map[string]int{RefusedType: 1, RefusedName: 1}, false},
		"an output that is a FIFO": {func(j *job, _ string) {
			j.replace(j.build, output, func(file string) error { return syscall.Mkfifo(file, 0o666) })
		}, map[string]int{RefusedType: 1}, false},
		"an output that is a device": {func(j *job, _ string) {
			j.replace(j.build, output, func(file string) error { return unix.Mknod(file, unix.S_IFCHR|0o666, int(unix.Mkdev(1, 5))) })
		}, map[string]int{RefusedType: 1}, false},
		"an output of 1 TB of holes": {func(j *job, _ string) {
			j.must(os.Truncate(filepath.Join(j.build, output), 1<<40))
		}, map[string]int{RefusedSize: 1}, true},
		"an output folder that is empty": {func(j *job, _ string) {
			j.replace(j.build, output, func(file string) error { return os.Mkdir(file, 0o777) })
		}, map[string]int{RefusedIncomplete: 1}, false},
		"an executable beside another": {func(j *job, _ string) {
			j.replace(j.build, output, func(file string) error { return os.Mkdir(file, 0o777) })
			j.write(j.build, output+"/tool", content)
			j.write(j.build, output+"/other", "")
		}, map[string]int{RefusedName: 1}, false},
		"an executable with a name of two lines": {func(j *job, _ string) {
			j.replace(j.build, output, func(file string) error { return os.Mkdir(file, 0o777) })
			j.write(j.build, output+"/to\nol", content)
		}, map[string]int{RefusedName: 2}, false}, // the entry and the stray file
		"an executable that is a link": {func(j *job, _ string) {
			j.replace(j.build, output, func(file string) error { return os.Mkdir(file, 0o777) })
			j.must(linkOut(filepath.Join(j.build, output, "tool")))
		}, map[string]int{RefusedType: 1}, false},
		"a folder of outputs that is a link to one with forged content": {func(j *job, _ string) {
			j.write(j.build, "evil/"+filepath.Base(output), "evil")
			folder := filepath.Join(j.build, output[:2])
			j.must(os.RemoveAll(folder))
			j.must(os.Symlink("evil", folder))
		}, map[string]int{RefusedHash: 1, RefusedName: 2}, false},
		"a folder of outputs that is a link out": {func(j *job, _ string) {
			folder := filepath.Join(j.build, output[:2])
			j.must(os.RemoveAll(folder))
			j.must(os.Symlink(j.src, folder))
		}, map[string]int{RefusedType: 1, RefusedName: 1}, false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			j := newJob(t)
			id := j.entry("the victim", content)
			honest := j.entry("the honest one", goArchive+"honest")
			test.spoil(j, id)
			var h Harvest
			within(t, time.Minute, func() { h = j.harvest(Build()) })
			if got := ids(h.Items); !slices.Equal(got, []string{honest}) {
				t.Errorf("saved %v, want only %s", got, honest)
			}
			if !maps.Equal(h.Refused, test.want) {
				t.Errorf("refused %v, want %v", h.Refused, test.want)
			}
			if got := slices.Contains(h.New, id); got != test.isNew || !slices.Contains(h.New, honest) {
				t.Errorf("new: %v", h.New)
			}
		})
	}
}

// replace puts something else in the place of a file.
func (j *job) replace(dir, name string, with func(file string) error) {
	j.t.Helper()
	file := filepath.Join(dir, name)
	j.must(os.RemoveAll(file))
	j.must(with(file))
}

func TestStrayFilesInTheBuildCacheAreLeftOut(t *testing.T) {
	t.Parallel()
	j := newBuildJob(t)
	hash := hashOf("stray")
	for _, name := range []string{
		"README", "testexpire.txt", "fuzz/example.com/a/FuzzParse/0123", // Go's own, trim.txt is there: not even counted
		"notes", "0g/" + hash + "-a", hash[:2] + "/" + hash + "-x", hash[:2] + "/" + hash + "-a.tmp", // counted
		hash[:2] + "/" + strings.ToUpper(hash) + "-a", hash[:2] + "/" + hash + "-a\n", "a/b/" + hash + "-a",
	} {
		j.write(j.build, name, entryLine(hash, hash, 0))
	}
	j.write(j.build, outputFile(hash), "stray") // of no entry
	h := j.harvest(Build())
	if len(h.Items)+len(h.New) != 0 || !maps.Equal(h.Refused, map[string]int{RefusedName: 7}) {
		t.Errorf("saved %v, new %v, refused %v", h.Items, h.New, h.Refused)
	}
}

func TestTheModesThatAJobGaveAreNotSaved(t *testing.T) {
	t.Parallel()
	j := newJob(t)
	id := j.entry("compiled", goArchive)
	tool, program := hashOf("go run"), "\x7fELF"
	j.write(j.build, actionFile(tool), entryLine(tool, hashOf(program), len(program)))
	j.write(j.build, outputFile(hashOf(program))+"/my tool", program)
	j.must(os.Chmod(filepath.Join(j.build, outputFile(hashOf(program)), "my tool"), 0o700))
	j.must(os.Chmod(filepath.Join(j.build, outputFile(hashOf(goArchive))), os.ModeSetuid|os.ModeSetgid|0o755))
	j.must(os.Link(filepath.Join(j.build, outputFile(hashOf(goArchive))), filepath.Join(j.src, "second name")))
	h := j.harvest(Build())
	if len(h.Items) != 2 || len(h.Refused) != 0 {
		t.Fatalf("saved %v, refused %v", h.Items, h.Refused)
	}
	got := map[string]string{}
	for file, err := range Build().Files(j.buildRoot, h.Items) {
		if err != nil {
			t.Fatal(err)
		}
		got[file.Name] = fmt.Sprint(file.Mode, file.ModTime.Year(), file.Size)
	}
	want := map[string]string{
		actionFile(id): "-rw-rw-rw- 2100 175", outputFile(hashOf(goArchive)): "-rw-rw-rw- 2100 8",
		actionFile(tool): "-rw-rw-rw- 2100 175", outputFile(hashOf(program)) + "/my tool": "-rwxrwxrwx 2100 4",
	}
	if !maps.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestOutputsOfTheBaseCompleteEntriesOfTheJob(t *testing.T) {
	t.Parallel()
	j := newJob(t)
	id := j.entry("again", goArchive)
	kept := j.entry("kept", goArchive) // same output
	h, err := Build().Harvest(t.Context(), j.input(j.buildRoot, actionFile(id), actionFile(kept)))
	if err != nil || len(h.Items) != 2 {
		t.Fatalf("%v, %v", h, err)
	}
	if size := h.Items[0].Size + h.Items[1].Size; size != 2*actionSize+int64(len(goArchive)) {
		t.Errorf("%d bytes: an output that two items share is one", size)
	}
	if names := unpack(t, Build(), j.buildRoot, h.Items, t.TempDir()); len(names) != 3 {
		t.Errorf("a layer is not whole, or not small: %v", names)
	}
}

func TestAnEntryWithAnotherOutputThanTheKnownOneReplacesIt(t *testing.T) {
	t.Parallel()
	j := newJob(t)
	id, log := j.entry("test inputs", "# test log\nopen a\n"), hashOf("# test log\nopen a\n")
	j.knows([]Item{{ID: id, Class: TestLog, Detail: hashOf("# test log\n")}})
	h := j.harvest(Build())
	if len(h.Items) != 1 || h.Items[0].Detail != log || h.Items[0].Class != TestLog || len(h.New) != 0 {
		t.Errorf("%+v", h)
	}
	j.knows(h.Items)
	if h := j.harvest(Build()); len(h.Items) != 0 {
		t.Errorf("saved again: %v", h.Items)
	}
}

func TestALayerWithAMissingFileIsAnError(t *testing.T) {
	t.Parallel()
	j := newJob(t)
	id := j.entry("compiled", goArchive)
	j.must(os.Remove(filepath.Join(j.build, outputFile(hashOf(goArchive)))))
	var last error
	for _, err := range Build().Files(j.buildRoot, []Item{{ID: id, Class: Package, Detail: hashOf(goArchive)}}) {
		last = err
	}
	if !errors.Is(last, os.ErrNotExist) {
		t.Errorf("got %v", last)
	}
}

func TestAHarvestEndsWithItsContext(t *testing.T) {
	t.Parallel()
	j := newJob(t)
	j.entry("huge", "")
	huge := strings.Repeat("ab", 32)
	j.write(j.build, actionFile(huge), entryLine(huge, huge, 2<<30))
	j.write(j.build, outputFile(huge), "")
	j.must(os.Truncate(filepath.Join(j.build, outputFile(huge)), 2<<30)) // some seconds of hashing
	ctx, cancel := context.WithTimeoutCause(t.Context(), 50*time.Millisecond, io.ErrClosedPipe)
	defer cancel()
	began := time.Now()
	_, err := Build().Harvest(ctx, j.input(j.buildRoot, changed(t, j.build)...))
	if took := time.Since(began); !errors.Is(err, io.ErrClosedPipe) || took > time.Second {
		t.Errorf("%v after %v", err, took)
	}
}
