package checkout

import (
	"context"
	"encoding/json"
	"os"
	"path"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// FuzzIndex reads what git lists of an index that a job may have written: nothing outside of the tree comes out, and nothing that git
// cannot vouch for, nor a folder above it, gets a stable time.
func FuzzIndex(f *testing.F) {
	const oid = "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391"
	for _, seed := range [][2]string{
		{"H 100644 " + oid + " 0\ta.go\x00H 100755 " + oid + " 0\tcmd/run.sh\x00h 120000 " + oid + " 0\ttestdata/link", "cmd/run.sh"},
		{"H 100644 " + oid + " 0\ta\x00H 100644 " + oid + " 0\ta/b", "a/b/"},
		{"H 160000 " + oid + " 0\tsub\x00S 100644 " + oid + " 0\tsparse\x00M 100644 " + oid + " 1\tconflict", "sub"},
		{"H 100644 " + oid + " 0\t../../etc/passwd", "x"},
		{"H 100644 " + oid + " 0\t.git/config", ""},
		{"H 100644 " + oid + " 0\t" + strings.Repeat("d/", 3000) + "f", ""},
		{"x", ""},
	} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, index, dirty string) {
		entries, unsure, err := parseIndex(strings.Split(index, "\x00"))
		if err != nil {
			return
		}
		for _, e := range entries {
			if e.path != path.Clean(e.path) || !filepath.IsLocal(e.path) || len(e.path) > maxPath {
				t.Fatalf("%q leads out of the tree", e.path)
			}
		}
		top := newTree([]repository{{dir: ".", entries: entries, dirty: append(unsure, dirty)}})
		top.settle(true)
		checkTimes(t, top, ".")
		for _, name := range append(unsure, dirty) {
			if n := top.find(strings.TrimSuffix(name, "/")); n != nil && n.stable {
				t.Errorf("%q has a stable time", name)
			}
		}
	})
}

// checkTimes wants what is stable to have a time of ours, and nothing stable below which something is not.
func checkTimes(t *testing.T, n *node, name string) {
	t.Helper()
	if n.stable && !stamped(n.stamp(name)) {
		t.Errorf("%q has the time %d", name, n.stamp(name))
	}
	for name, child := range n.children {
		if n.stable && !child.stable {
			t.Errorf("a folder is stable, and its %q is not", name)
		}
		checkTimes(t, child, name)
	}
}

// find gives what lies at a name; nil is nothing.
func (n *node) find(name string) *node {
	for part := range strings.SplitSeq(name, "/") {
		if n = n.children[part]; n == nil {
			return nil
		}
	}
	return n
}

// FuzzGraph reads a checkout's module files. Whatever is in them, the host takes the report that comes of it, and the same files have the same hash.
func FuzzGraph(f *testing.F) {
	f.Add("module example.com/a\n\ngo 1.26.0\n\ntoolchain go1.26.8\n\nrequire (\n\texample.com/b v1.2.3\n\texample.com/C v0.0.0-20200101000000-abcdefabcdef // indirect\n)\n\n"+
		"replace example.com/b => example.com/d v1.0.0\n\nexclude example.com/C v1.0.0\n\ntool example.com/b/cmd\n",
		"go 1.26\n\nuse (\n\t.\n\t./inner\n)\n\nreplace example.com/b v1.2.3 => ./b\n",
		"# example.com/b v1.2.3\n## explicit; go 1.20\nexample.com/b\n",
		"example.com/b v1.2.3 "+hashA+"\nexample.com/b v1.2.3/go.mod "+hashB+"\nexample.com/b v1.2.3 "+hashB+"\n")
	f.Add("module \"a\n", "use ..\n", "#", "a b c\n\n example.com/a v1.0.0 h1:AAAA\n")
	f.Add("go 99.9\nfrobnicate x\nmodule x\nrequire x v1\n\x1b[2J", "toolchain default", "\x00", "\xff v1.0.0 "+hashA)
	dir := f.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "vendor"), 0o700); err != nil {
		f.Fatal(err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { _ = root.Close() })
	f.Fuzz(func(t *testing.T, mod, work, vendor, sum string) {
		names := []string{"go.mod", "go.work", "vendor/modules.txt", "go.sum"}
		for i, text := range []string{mod, work, vendor, sum} {
			if err := root.WriteFile(names[i], []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		run := func() Report {
			p := &problems{list: []string{}}
			r := Report{Times: Times{Mode: ModeNone}}
			r.Graph, r.Sums = readGraph(context.Background(), reader{root, p}, names)
			r.Problems = p.list
			return r
		}
		want := run()
		data, err := json.Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		got, err := ReadReport(strings.NewReader(string(data)))
		if err != nil {
			t.Fatalf("the host does not take it: %v", err)
		}
		if got.Graph.Hash != want.Graph.Hash || len(got.Sums) != len(want.Sums) || !reflect.DeepEqual(run(), want) {
			t.Errorf("got %+v, want %+v", got, want)
		}
		if lines := strings.Count(sum, "\n") + 1; len(want.Sums) > lines || len(want.Problems) > maxProblems {
			t.Errorf("%d sums of %d lines, %d problems", len(want.Sums), lines, len(want.Problems))
		}
	})
}

// FuzzReport reads what a container printed in place of a report: what is taken is written and read the same, and may be told to people and
// be part of a file's name.
func FuzzReport(f *testing.F) {
	good, err := json.Marshal(goodReport())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	for _, seed := range []string{
		`{}`, `null`, `{"times":{"mode":"none"}}`, `{"times":{"mode":"all","why":"\u001b[2J"}}`, `{"times":{"mode":"all"},"problems":["\u2028"]}`,
		`{"times":{"mode":"all"},"sums":{"a v1.0.0":["h1:"]},"graph":{"hash":"../"}}`, `{"times":{"mode":"all"}}{}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := ReadReport(strings.NewReader(string(data)))
		if err != nil {
			return
		}
		for _, text := range append([]string{r.Times.Why, r.Graph.Hash, r.Graph.Toolchain}, r.Problems...) {
			if text != printable(text) || len(text) > maxProblem {
				t.Errorf("%q is told", text)
			}
		}
		if strings.ContainsAny(r.Graph.Hash+r.Graph.Toolchain, "/ ") {
			t.Errorf("%q and %q are no names", r.Graph.Hash, r.Graph.Toolchain)
		}
		written, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		if again, err := ReadReport(strings.NewReader(string(written))); err != nil || !reflect.DeepEqual(again, r) {
			t.Errorf("%s\nis read as %+v, %v", written, again, err)
		}
	})
}
