package cache

import (
	"archive/tar"
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/kind"
	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/layer"
	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/store"
)

// image is a layer that somebody who can write to the store has made by hand.
type image struct {
	files  []tar.Header
	index  string       // empty is none
	spoil  func([]byte) // the bytes of the image
	items  int          // that its entry claims
	noTree bool
}

// crafted makes the image.
func crafted(t *testing.T, i image) []byte {
	t.Helper()
	var archive bytes.Buffer
	w := tar.NewWriter(&archive)
	add := func(h tar.Header, content string) {
		h.Size, h.Format = int64(len(content)), tar.FormatPAX
		if h.Mode == 0 {
			h.Mode = 0o777
		}
		must(t, w.WriteHeader(&h))
		_, err := io.WriteString(w, content)
		must(t, err)
	}
	if i.index != "" {
		add(tar.Header{Name: "index", Typeflag: tar.TypeReg}, i.index)
	}
	if !i.noTree {
		add(tar.Header{Name: "tree/", Typeflag: tar.TypeDir}, "")
	}
	for _, h := range i.files {
		content := ""
		if h.Typeflag == tar.TypeReg {
			content = "evil"
		}
		add(h, content)
	}
	must(t, w.Close())
	path := filepath.Join(t.TempDir(), "image")
	cmd := exec.CommandContext(t.Context(), "sqfstar", "-comp", "lz4", "-b", "32K", "-no-fragments", "-noI", "-quiet", "-no-progress", "-mem", "64M", path) //nolint:gosec // a path of our own
	cmd.Stdin = &archive
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("sqfstar: %v: %s", err, out)
	}
	data, err := os.ReadFile(path)
	must(t, err)
	if i.spoil != nil {
		i.spoil(data)
	}
	return data
}

// planted puts an image into the store, with an entry that names it.
func planted(t *testing.T, c *Cache, r Request, data []byte, items int) {
	t.Helper()
	p := r.pool(r.Tier, r.headline())
	digest := sum(string(data))
	must(t, c.Store.Put(t.Context(), p.layerKey(digest), data))
	e := Entry{
		Created: time.Now(), Job: "forged", Speaker: "forged", Graphs: []string{r.Graph}, Replaces: map[string]time.Time{},
		Layer: &LayerRef{Digest: digest, Size: int64(len(data)), Items: items},
	}
	must(t, c.write(t.Context(), p, e))
}

// line is an honest index.
func line(words ...string) string {
	var items []kind.Item
	for _, word := range words {
		items = append(items, kind.Item{ID: sum(word), Class: kind.Package, Detail: sum("!<arch>\nevil"), Size: 1})
	}
	return string(kind.MarshalIndex(items))
}

// claiming has the index's inode claim a size that is nowhere in the image.
func claiming(size, actual uint32) func([]byte) {
	return func(data []byte) {
		at := bytes.LastIndex(data, binary.LittleEndian.AppendUint32(nil, actual)) // of the inode: what follows is tables of few bytes
		binary.LittleEndian.PutUint32(data[at:], size)
	}
}

// What is crafted costs itself, if it is seen at all, and never the layers of others or the job.
func TestACraftedImageInTheStoreCostsItselfAlone(t *testing.T) {
	t.Parallel()
	long := line("u", "v", "w", "x", "y")
	file := tar.Header{Name: "tree/build/00/file", Typeflag: tar.TypeReg}
	for what, test := range map[string]struct {
		image
		corrupt bool   // it is seen before the job, and told
		lies    string // likewise, after it, in these words
	}{
		"a tree that is a link":                   {image{index: line("x"), noTree: true, files: []tar.Header{{Name: "tree", Typeflag: tar.TypeSymlink, Linkname: "/"}}}, true, ""},
		"no tree":                                 {image{index: line("x"), noTree: true}, true, ""},
		"no index":                                {image{files: []tar.Header{file}}, true, ""},
		"an index that is a link":                 {image{files: []tar.Header{file, {Name: "index", Typeflag: tar.TypeSymlink, Linkname: "/etc/hostname"}}}, true, ""},
		"an index that is a pipe":                 {image{files: []tar.Header{file, {Name: "index", Typeflag: tar.TypeFifo}}}, true, ""},
		"a cache that is a link":                  {image{index: line("x"), files: []tar.Header{{Name: "tree/build", Typeflag: tar.TypeSymlink, Linkname: "/"}}}, true, ""},
		"a cache that is a pipe":                  {image{index: line("x"), files: []tar.Header{{Name: "tree/build", Typeflag: tar.TypeFifo}}}, true, ""},
		"files of another cache":                  {image{index: line("x"), files: []tar.Header{{Name: "tree/modules/evil.com@v1.0.0/a.go", Typeflag: tar.TypeReg}}}, true, ""},
		"files of another cache beside its":       {image{index: line("x"), files: []tar.Header{file, {Name: "tree/modules/a.go", Typeflag: tar.TypeReg}}}, true, ""},
		"files beside the caches":                 {image{index: line("x"), files: []tar.Header{file, {Name: "tree/evil", Typeflag: tar.TypeReg}}}, true, ""},
		"an empty tree":                           {image{index: line("x")}, true, ""},
		"a superblock of zeros":                   {image{index: line("x"), files: []tar.Header{file}, spoil: func(d []byte) { clear(d[:96]) }}, true, ""},
		"a superblock with tables elsewhere":      {image{index: line("x"), files: []tar.Header{file}, spoil: func(d []byte) { clear(d[48:96]) }}, true, ""},
		"a superblock of another format":          {image{index: line("x"), files: []tar.Header{file}, spoil: func(d []byte) { d[28] = 9 }}, true, ""},
		"an inode table of zeros":                 {image{index: line("x"), files: []tar.Header{file}, spoil: zeroInodes}, true, ""},
		"a link in the place of a folder":         {image{index: line("x"), items: 1, files: []tar.Header{{Name: "tree/build/00", Typeflag: tar.TypeSymlink, Linkname: "/"}}}, false, ""},
		"a pipe in the place of a folder":         {image{index: line("x"), items: 1, files: []tar.Header{{Name: "tree/build/00", Typeflag: tar.TypeFifo}}}, false, ""},
		"a link in the place of trim.txt":         {image{index: line("x"), items: 1, files: []tar.Header{{Name: "tree/build/trim.txt", Typeflag: tar.TypeSymlink, Linkname: "/etc/hostname"}}}, false, ""},
		"devices, and files with setuid":          {image{index: line("x"), items: 1, files: []tar.Header{{Name: "tree/build/00/zero", Typeflag: tar.TypeChar, Devmajor: 1, Devminor: 5}, {Name: "tree/build/00/su", Typeflag: tar.TypeReg, Mode: 0o6777}}}, false, ""},
		"a file with many names":                  {image{index: line("x"), items: 1, files: []tar.Header{file, {Name: "tree/build/00/again", Typeflag: tar.TypeLink, Linkname: "tree/build/00/file"}}}, false, ""},
		"an index of fewer items than said":       {image{index: line("x"), items: 4 << 20, files: []tar.Header{file}}, false, "its entry says"},
		"an index of more items than said":        {image{index: long, items: 1, files: []tar.Header{file}}, false, "its entry says"},
		"an index that claims to be of 4 GB":      {image{index: long, items: 4 << 20, files: []tar.Header{file}, spoil: claiming(1<<32-1, uint32(len(long)))}, false, "too much for"},
		"an index of files that it does not hold": {image{index: line("x"), items: 1, files: []tar.Header{file}}, false, ""},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			c := newCache(t)
			r := request("1")
			compiled(t, c, r, "honest")
			planted(t, c, r, crafted(t, test.image), max(test.items, 1))
			endsSoon(t, func() {
				j := begin(t, c, request("2"))
				if found := j.has("honest"); found != "honest" {
					t.Errorf("the job finds %q", found)
				}
				if told := len(j.got.Problems) == 1 && ReasonOf(j.got.Problems[0]) == Corrupt; told != test.corrupt || len(j.got.Problems) > 1 {
					t.Errorf("problems: %v", j.got.Problems)
				}
				j.isSafe()
				j.compile("new")
				saved, err := c.Save(t.Context(), j.dir, true)
				if err != nil || saved.Items != 1 {
					t.Errorf("saved %+v, %v", saved, err)
				}
				if told := len(saved.Problems) == 1 && ReasonOf(saved.Problems[0]) == Corrupt && strings.Contains(saved.Problems[0].Error(), test.lies); told != (test.lies != "") || len(saved.Problems) > 1 {
					t.Errorf("problems of the save: %v", saved.Problems)
				}
				if n := len(journalOf(t, c, r)); n != 2 && (test.corrupt || test.lies != "") {
					t.Errorf("it is still in the journal of %d entries", n)
				}
				if err := c.Housekeep(t.Context(), false); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// No job notices a file that is not there: it is a miss. A compaction has to copy it.
func TestALayerThatLacksWhatItsIndexNamesDoesNotKeepAPoolFromBeingCompacted(t *testing.T) {
	t.Parallel()
	entry := func(name string) tar.Header { return tar.Header{Name: "tree/build/" + name, Typeflag: tar.TypeReg} }
	action := sum("x")[:2] + "/" + sum("x") + "-a"
	for what, files := range map[string][]tar.Header{
		"none of them":       {entry("00/file")},
		"no outputs":         {entry(action)},
		"a link in place":    {{Name: "tree/build/" + action, Typeflag: tar.TypeSymlink, Linkname: "/etc/hostname"}},
		"a pipe for folders": {{Name: "tree/build/" + sum("x")[:2], Typeflag: tar.TypeFifo}},
		"a link for folders": {{Name: "tree/build/" + sum("x")[:2], Typeflag: tar.TypeSymlink, Linkname: "/"}},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			c := newCache(t)
			r := request("1")
			planted(t, c, r, crafted(t, image{index: line("x"), files: files}), 1)
			words := strings.Split("abcdefgh", "")
			for _, word := range words {
				compiled(t, c, r, word)
			}
			before := len(journalOf(t, c, r))
			if err := c.Compact(t.Context(), true); ReasonOf(err) != Corrupt || before-len(journalOf(t, c, r)) != 1 {
				t.Errorf("the forged one is not named and taken off: %v; %d entries, then %d", err, before, len(journalOf(t, c, r)))
			}
			if err := c.Compact(t.Context(), true); err != nil {
				t.Error(err)
			}
			j := begin(t, c, request("2"))
			if found := j.has(words...); found != "abcdefgh" || j.got.Layers != 1 || len(j.got.Problems) > 0 {
				t.Errorf("the next job finds %q in %d layers: %v", found, j.got.Layers, j.got.Problems)
			}
		})
	}
}

func TestALayerThatIsReleasedMeanwhileIsNotTakenForForged(t *testing.T) {
	t.Parallel()
	l := indexed{dir: t.TempDir()} // of what was unpacked the last folders are just going
	must(t, os.MkdirAll(filepath.Join(l.dir, "tree", "build"), 0o700))
	items, err := kind.ParseIndex([]byte(line("x")))
	must(t, err)
	var forged *hollow
	l.files(kind.Build(), items, func(_ layer.File, err error) bool {
		if !kind.Refused(err) || errors.As(err, &forged) {
			t.Error(err)
		}
		return false
	})
}

// zeroInodes clears what the superblock says is the table of inodes.
func zeroInodes(data []byte) {
	from := binary.LittleEndian.Uint64(data[64:])
	clear(data[from+2 : from+64])
}

// isSafe tries what a crafted layer could offer to a job: devices, and programs that run as another user.
func (j *testJob) isSafe() {
	j.Helper()
	var s unix.Statfs_t
	must(j.T, unix.Statfs(j.got.Merged, &s))
	if s.Flags&unix.ST_NODEV == 0 || s.Flags&unix.ST_NOSUID == 0 {
		j.Errorf("the mount has flags %x", s.Flags)
	}
	if f, err := os.Open(filepath.Join(j.got.Merged, "build", "00", "zero")); err == nil {
		j.Errorf("a device can be opened: %v", f.Close())
	} else if !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, fs.ErrPermission) {
		j.Error(err)
	}
}

// Without the key nothing that is crafted is even fetched; neither is what takes the place of a layer that honest entries name.
func TestACraftedImageIsNotFetchedWithoutTheSigningKey(t *testing.T) {
	t.Parallel()
	remote := store.NewDirectory(t.TempDir())
	signing := func() *Cache { return hostOf(t, Options{Store: remote, SigningKey: "key", Far: true}) }
	c := signing()
	r := request("1")
	compiled(t, c, r, "honest")
	c.sends(t)
	genuine := journalOf(t, c, r)[0].Layer.Digest
	attacker := hostOf(t, Options{Store: remote})
	evil := crafted(t, image{index: line("x"), files: []tar.Header{{Name: "tree/build/00/evil", Typeflag: tar.TypeReg}}})
	planted(t, attacker, r, evil, 1)
	j := begin(t, signing(), request("2"))
	if j.has("honest") != "honest" || j.got.Layers != 1 || len(j.got.Problems) != 1 || ReasonOf(j.got.Problems[0]) != Unsigned {
		t.Errorf("%+v", j.got)
	}
	if _, err := os.Stat(j.c.host.File(sum(string(evil)))); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("it was fetched: %v", err)
	}
	key := r.pool(r.Tier, "build").layerKey(genuine)
	must(t, remote.Delete(t.Context(), key))
	forge(t, remote, key, evil)
	j = begin(t, signing(), request("3"))
	if j.has("honest") != "" || j.got.Layers != 0 || !strings.Contains(errors.Join(j.got.Problems...).Error(), "digest") {
		t.Errorf("with another layer under an honest digest: %+v", j.got)
	}
}
