package kind

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"testing"

	"golang.org/x/mod/module"
	modzip "golang.org/x/mod/zip"
)

const (
	hashA = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	hashB = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
)

// FuzzParseIndex reads the index of a layer that anybody may have put into the store: what is taken is written the same, and the names of
// files that are made of it stay in the cache's folder.
func FuzzParseIndex(f *testing.F) {
	for _, seed := range []string{
		hashA + " package " + hashB + " 12\n" + hashB + " other " + hashB + " 0\n",
		"example.com/A@v1.0.0 module info 5\nexample.com/a@v0.0.0-20200101000000-abcdefabcdef modfile - 5\n",
		"sumdb/sum.golang.org/lookup/example.com/!a@v1.0.0 checksum 512 300\nsumdb/sum.golang.org/tile/8/0/x001/234.p/5 checksum - 160\n",
		"../x@v1.0.0 module - 1\n", hashA + " package ../../x 1\n", "sumdb/../x/tile/8/0/001 checksum - 1\n", "a b c 1", "\n", hashA + " package " + hashB + " +12\n", hashA + " package " + hashB + " 012\n",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		items, err := ParseIndex(data)
		if err != nil {
			return
		}
		if again := MarshalIndex(items); !bytes.Equal(again, data) {
			t.Fatalf("%q is written as %q", data, again)
		}
		for _, item := range items {
			for _, name := range namesOf(item) {
				if !fs.ValidPath(name) || name == "." || path.Clean(name) != name {
					t.Errorf("%+v has the file %q", item, name)
				}
			}
		}
	})
}

// namesOf are the files that an item of an index is read from.
func namesOf(item Item) (names []string) {
	if item.Foreign() {
		return nil
	}
	switch item.Class {
	case Module, ModFile:
		mod, _ := parseVersion(item.ID)
		for _, part := range append(parts(mod, item), partTree) {
			names = append(names, partFile(mod, part))
		}
	case Checksum:
		names = []string{download + item.ID}
	default:
		names = entryFiles([]Item{item})
	}
	return names
}

// FuzzName gives both kinds a name that a job left or opened: an item is only what its files' names lead back to, and nothing is
// of two kinds.
func FuzzName(f *testing.F) {
	for _, seed := range []string{
		"aa/" + hashA + "-a", "bb/" + hashA + "-a", "aa/" + hashA + "-d", "aa/" + hashA + "-d/main", "aa/" + hashA + "-d/../x", "trim.txt", "fuzz/x",
		"cache/download/example.com/!a/@v/v1.0.0.zip", "cache/download/example.com/a/@v/v1.0.0+incompatible.info", "example.com/!a@v1.0.0/a.go",
		"cache/download/sumdb/sum.golang.org/lookup/example.com/!a@v1.0.0", "cache/download/sumdb/sum.golang.org/tile/8/1/x001/x234/567.p/8",
		"cache/download/example.com/a/@v/list", "golang.org/toolchain@v0.0.1-go1.26.8.linux-amd64/bin/go", "cache/vcs/x", "../x@v1.0.0/a",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, name string) {
		built, fetched := Build().ItemOf(name), Modules().ItemOf(name)
		if built != "" && actionFile(built) != name {
			t.Errorf("%q is of the entry %q, whose file is %q", name, built, actionFile(built))
		}
		if built != "" && fetched != "" {
			t.Errorf("%q is of the entry %q and of the module %q", name, built, fetched)
		}
		mod, part := parsePart(name)
		switch file := partFile(mod, part); {
		case part == partTree && !strings.HasPrefix(name, file+"/"), part != "" && part != partTree && file != name:
			t.Errorf("%q is the %s of %v, which is %q", name, part, mod, file)
		case part != "" && fetched != mod.String():
			t.Errorf("%q is of %v and of %q", name, mod, fetched)
		}
		if server, mod, ok := parseChecksum(name); ok && mod.Path != "" && recordID(server, mod) != name {
			t.Errorf("%q is the record of %v, which is %q", name, mod, recordID(server, mod))
		}
		refused := tally{}
		if found := changedVersions([]string{name}, refused); len(found)+len(refused) > 1 {
			t.Errorf("%q counts as %v and %v", name, found, refused)
		}
	})
}

// FuzzHarvestBuild leaves an entry and an output in a job's build cache. An item comes out only if the output hashes to what the entry
// says and has the size that it says; an error, which would cost the job all that it saves, never does.
func FuzzHarvestBuild(f *testing.F) {
	line := func(output string, size int) string {
		return fmt.Sprintf("v1 %s %s %20d %20d\n", hashA, output, size, 1)
	}
	empty := "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
	f.Add([]byte(line(empty, 0)), []byte(""), empty)
	f.Add([]byte(line(empty, 1)), []byte(""), empty)
	f.Add([]byte(line(empty, 0)), []byte("x"), empty)
	f.Add([]byte(line(empty, 1)), []byte("x"), empty)
	f.Add([]byte(line("../../../../etc/passwd", 0)), []byte("x"), hashB)
	f.Add([]byte(strings.ToUpper(line(hashB, 0))), []byte("# test log\n"), hashB)
	f.Add([]byte(line(hashB, -1)), objectOf(packageSymbol+"a", "a.go"), hashB)
	f.Add([]byte("v1 "), []byte(nil), "")
	dir := f.TempDir()
	root, err := os.OpenRoot(dir)
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { _ = root.Close() })
	f.Fuzz(func(t *testing.T, entry, content []byte, named string) {
		j := &job{t: t, build: dir}
		j.write(dir, actionFile(hashA), string(entry))
		if isHash(named) {
			j.write(dir, outputFile(named), string(content))
			defer func() { _ = root.Remove(outputFile(named)) }()
		}
		h, err := build{}.Harvest(context.Background(), Input{Root: root, Changed: []string{actionFile(hashA)}})
		if err != nil {
			t.Fatalf("%q costs a job all that it saves: %v", entry, err)
		}
		for _, item := range h.Items {
			if sum := sha256.Sum256(content); hex.EncodeToString(sum[:]) != item.Detail {
				t.Errorf("%q is taken under the name %s", content, item.Detail)
			}
			if fmt.Sprintf("v1 %s %s %20d", item.ID, item.Detail, len(content)) != string(entry[:153]) || item.Detail != named || item.check() != nil {
				t.Errorf("%q with %q is taken as %+v", entry, content, item)
			}
		}
		if len(h.Items)+len(h.Refused) != 1 {
			t.Errorf("%q counts as %v and %v", entry, h.Items, h.Refused)
		}
	})
}

// FuzzZip reads a module's zip as a job left it: whatever is in it, only names below the module's root are taken, each once, and no more
// bytes than a module may have.
func FuzzZip(f *testing.F) {
	mod := module.Version{Path: "example.com/a", Version: "v1.0.0"}
	for _, files := range []map[string]string{
		{mod.String() + "/go.mod": "module example.com/a\n", mod.String() + "/inner/b.go": "package b\n"},
		{mod.String() + "/../x": ""},
		{mod.String() + "/a": "", mod.String() + "/A": ""},
		{mod.String() + "/a/": ""},
		{"x": ""},
		{},
	} {
		f.Add([]byte(zipped(f, files)))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		a, err := openZip(bytes.NewReader(data), int64(len(data)), mod)
		if err != nil {
			return
		}
		var total uint64
		for name, file := range a.files {
			total += file.UncompressedSize64
			if !fs.ValidPath(name) || file.Name != mod.String()+"/"+name || a.folders[name] {
				t.Errorf("%q is taken as %q", file.Name, name)
			}
		}
		if total > modzip.MaxZipFile || len(a.names) != len(a.files) {
			t.Errorf("%d names of %d files, %d bytes", len(a.names), len(a.files), total)
		}
		if total > 1<<20 {
			return // to inflate that takes long
		}
		if sum, err := a.sum(context.Background()); err == nil && !strings.HasPrefix(sum, "h1:") {
			t.Errorf("the sum is %q", sum)
		}
	})
}

// FuzzChecksums changes what a job has of the checksum database: a sum is believed only if it is the one that the database signed, and nothing
// is kept that does not prove it.
func FuzzChecksums(f *testing.F) {
	db := newSumServer(f)
	mod := module.Version{Path: "example.com/a", Version: "v1.0.0"}
	record := db.get(f, "/lookup/"+mod.String())
	tile := db.get(f, "/tile/8/0/000.p/1")
	f.Add(record, tile)
	f.Add(append([]byte("1\n"), record...), tile)
	f.Add(bytes.ReplaceAll(record, []byte("h1:example.com/a"), []byte("h1:evil")), tile)
	f.Add(record, append(slices.Clone(tile), tile...))
	f.Add([]byte("0\nexample.com/a v1.0.0 h1:evil\n\n"), []byte(nil))
	const server = "sum.example.com"
	dir := f.TempDir()
	root, err := os.OpenRoot(dir)
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { _ = root.Close() })
	f.Fuzz(func(t *testing.T, record, tile []byte) {
		j := &job{t: t}
		name := download + recordID(server, mod)
		j.write(dir, name, string(record))
		j.write(dir, sumdbFolder+server+"/tile/8/0/000.p/1", string(tile))
		d, err := newDatabase(root, db.key, Input{Changed: []string{name}})
		j.must(err)
		if d.has(mod, "", "h1:evil") || d.has(mod, "", "") || d.has(mod, "/go.mod", "h1:evil") {
			t.Errorf("%q proves another sum", record)
		}
		if d.has(mod, "", "h1:example.com/a") && len(d.proven) != 2 {
			t.Errorf("kept is %v", d.proven)
		}
		for id, item := range d.proven {
			if item.ID != id || item.check() != nil {
				t.Errorf("kept is %+v", item)
			}
		}
	})
}
