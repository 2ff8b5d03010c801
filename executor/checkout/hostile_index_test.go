package checkout

import (
	"bytes"
	"crypto/sha1" //nolint:gosec // git's
	"encoding/binary"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// indexed is an entry of an index that a job wrote by hand.
type indexed struct {
	name  string
	mode  uint32
	oid   string // of 40 digits; zeros if it is empty
	strip int    // version 4: how much of the name before is cut off; less than 0 is what is right
	flags uint16 // extended: skip-worktree is 1<<14
}

// gitIndex writes entries in git's format (gitformat-index(5)), in any order and with any name.
func gitIndex(version, count uint32, entries ...indexed) []byte {
	out := bytes.NewBufferString("DIRC")
	put := func(v any) { _ = binary.Write(out, binary.BigEndian, v) } // a buffer takes everything
	put(version)
	put(count)
	last := ""
	for _, e := range entries {
		begin := out.Len()
		put([6]uint32{})
		put(e.mode)
		put([3]uint32{})
		oid, _ := hex.DecodeString((e.oid + strings.Repeat("0", 40))[:40])
		out.Write(oid)
		flags := uint16(min(len(e.name), 0xfff))
		if e.flags != 0 {
			flags |= 1 << 14
		}
		put(flags)
		if e.flags != 0 {
			put(e.flags)
		}
		if version < 4 {
			out.WriteString(e.name)
			out.Write(make([]byte, 8-(out.Len()-begin)%8))
			continue
		}
		strip, same := e.strip, 0
		if strip < 0 {
			strip = len(last) - same
		}
		out.Write(offsetInt(strip))
		out.WriteString(e.name)
		out.WriteByte(0)
		last = e.name
	}
	seal := sha1.Sum(out.Bytes()) //nolint:gosec // git's
	return append(out.Bytes(), seal[:]...)
}

// offsetInt is git's variable width of a number (varint.c).
func offsetInt(n int) []byte {
	out := []byte{byte(n & 127)}
	for n >>= 7; n > 0; n >>= 7 {
		n--
		out = append([]byte{byte(128 | n&127)}, out...)
	}
	return out
}

// An index can name anything. Whatever it says, nothing outside of the checkout is stamped or read, no git outlives its time, and the rest of the report is there.
func TestWhateverAJobsIndexSaysNothingOutsideOfTheCheckoutIsTouched(t *testing.T) {
	t.Parallel()
	const file, link, gitlink, exec = 0o100644, 0o120000, 0o160000, 0o100755
	blob := strings.TrimSpace(runIn(t, t.TempDir(), "git", "hash-object", "-t", "blob", "/dev/null"))
	many := make([]indexed, 20_000)
	for i := range many {
		many[i] = indexed{name: strings.Repeat("d/", 400) + hex.EncodeToString(binary.BigEndian.AppendUint32(nil, uint32(i))), mode: file, oid: blob}
	}
	for what, data := range map[string][]byte{
		"a name that leads out":                      gitIndex(2, 1, indexed{name: "../outside/file", mode: file, oid: blob}),
		"a name that leads out further down":         gitIndex(2, 1, indexed{name: "a/../../outside/file", mode: file, oid: blob}),
		"an absolute name":                           gitIndex(2, 1, indexed{name: "OUTSIDE/file", mode: file, oid: blob}),
		"a name in .git":                             gitIndex(2, 1, indexed{name: ".git/config", mode: file, oid: blob}),
		"a name in a .git further down":              gitIndex(2, 1, indexed{name: "sub/.git/config", mode: file, oid: blob}),
		"no name":                                    gitIndex(2, 1, indexed{name: "", mode: file, oid: blob}),
		"a name of 5000 bytes":                       gitIndex(2, 1, indexed{name: strings.Repeat("n/", 2500) + "n", mode: file, oid: blob}),
		"a file below a link that leads out":         gitIndex(2, 2, indexed{name: "link", mode: link, oid: blob}, indexed{name: "link/file", mode: file, oid: blob}),
		"a file below a link without the link":       gitIndex(2, 1, indexed{name: "link/file", mode: file, oid: blob}),
		"a submodule that leads out":                 gitIndex(2, 1, indexed{name: "../outside", mode: gitlink, oid: blob}),
		"a submodule that is a link out":             gitIndex(2, 1, indexed{name: "link", mode: gitlink, oid: blob}),
		"a submodule whose git is elsewhere":         gitIndex(2, 1, indexed{name: "elsewhere", mode: gitlink, oid: blob}),
		"a submodule that is the checkout":           gitIndex(2, 1, indexed{name: "itself", mode: gitlink, oid: blob}),
		"a file that is not to be looked at":         gitIndex(3, 1, indexed{name: "link/file", mode: file, oid: blob, flags: 1 << 14}),
		"a file of no known mode":                    gitIndex(2, 1, indexed{name: "file", mode: 0o60660, oid: blob}),
		"the same name twice":                        gitIndex(2, 2, indexed{name: "file", mode: file, oid: blob}, indexed{name: "file", mode: exec, oid: blob}),
		"a file and a folder of one name":            gitIndex(2, 2, indexed{name: "file", mode: file, oid: blob}, indexed{name: "file/x", mode: file, oid: blob}),
		"more entries than it has":                   gitIndex(2, 1<<31, indexed{name: "file", mode: file, oid: blob}),
		"a name cut by more than there is":           gitIndex(4, 2, indexed{name: "file", mode: file, oid: blob}, indexed{name: "x", mode: file, oid: blob, strip: 1 << 20}),
		"a name cut by more than a number can count": gitIndex(4, 1, indexed{name: "x", mode: file, oid: blob, strip: 1 << 60}),
		"a version that nobody knows":                gitIndex(99, 1, indexed{name: "file", mode: file, oid: blob}),
		"nothing":                                    {},
		"20 000 entries 400 folders deep":            gitIndex(2, 20_000, many...),
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			top := t.TempDir()
			dir := newProject(t, files{"file": "", "go.mod": "module example.org/m\n"}).clone(filepath.Join(top, "ci"))
			outside := newProject(t, files{"file": "", "go.mod": "module example.org/secret\n"}).clone(filepath.Join(top, "outside"))
			write(t, dir, files{"elsewhere/.git": "gitdir: " + outside + "/.git\n", "elsewhere/file": "", "itself/.git": "gitdir: ../.git\n"})
			if err := os.Symlink(outside, filepath.Join(dir, "link")); err != nil {
				t.Fatal(err)
			}
			name := []byte("OUTSIDE")
			if strings.Contains(what, "absolute") {
				data = gitIndex(2, 1, indexed{name: strings.Replace("OUTSIDE/file", string(name), outside, 1), mode: file, oid: blob})
			}
			if err := os.WriteFile(filepath.Join(dir, ".git", "index"), data, 0o600); err != nil {
				t.Fatal(err)
			}
			before := mtimes(t, outside)
			began := time.Now()
			r := runWithProblems(t, dir)
			if took := time.Since(began); took > time.Minute {
				t.Errorf("it took %s", took)
			}
			equal(t, "what changed outside", differing(before, mtimes(t, outside)), []string{})
			for _, module := range r.Graph.Modules {
				if strings.Contains(module, "secret") {
					t.Errorf("it read %s", module)
				}
			}
		})
	}
}

// What a tree of a repository may hold that git itself would not let in: it is made with mktree, fetched, and checked out as far as git does.
func TestATreeThatGitWouldNotMakeIsReadOnlyAsFarAsItIsSafe(t *testing.T) {
	t.Parallel()
	top := t.TempDir()
	p := newProject(t, files{"go.mod": "module example.org/m\n", "sub/x": "x"})
	outside := filepath.Join(top, "outside")
	write(t, outside, files{"file": "x", "go.mod": "module example.org/secret\n"})
	blob := strings.TrimSpace(runIn(t, p.dir, "git", "rev-parse", "HEAD:sub/x"))
	dir := p.clone(filepath.Join(top, "ci"))
	before := mtimes(t, outside)
	for what, tree := range map[string]string{
		"a folder .git":             "040000 tree %s\t.git",
		"a folder of two dots":      "040000 tree %s\t..",
		"a folder .GIT":             "040000 tree %s\t.GIT",
		"a file and a folder alike": "100644 blob %b\tsub\n040000 tree %s\tsub",
		"a submodule of two dots":   "160000 commit %c\t..",
	} {
		sub, head := strings.TrimSpace(runIn(t, p.dir, "git", "rev-parse", "HEAD:sub")), strings.TrimSpace(runIn(t, p.dir, "git", "rev-parse", "HEAD"))
		text := strings.NewReplacer("%s", sub, "%b", blob, "%c", head).Replace(tree)
		cmd := command(t, dir, "git", "mktree", "--missing")
		cmd.Stdin = strings.NewReader(text + "\n")
		made, err := cmd.Output()
		if err != nil {
			continue // this git does not even make it
		}
		_ = command(t, dir, "git", "read-tree", strings.TrimSpace(string(made))).Run() // and most refuse to read it
		r := runWithProblems(t, dir)
		equal(t, what+": what changed outside", differing(before, mtimes(t, outside)), []string{})
		if _, err := os.Stat(filepath.Join(dir, ".git", "config")); err != nil {
			t.Errorf("%s: %v, %+v", what, err, r.Times)
		}
	}
}
