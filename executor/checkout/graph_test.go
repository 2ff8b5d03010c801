package checkout

import (
	"maps"
	"testing"
)

const baseMod = `module example.org/m

go 1.24

require (
	example.org/a v1.0.0
	example.org/b/v2 v2.1.0 // indirect
)
`

// graphOf reads a tree without git, which is quicker to make.
func graphOf(t *testing.T, content files) Report {
	t.Helper()
	dir := t.TempDir()
	write(t, dir, content)
	return runWithProblems(t, dir)
}

func TestTheGraphHashChangesWithWhatABuildUsesAndNothingElse(t *testing.T) {
	t.Parallel()
	base := files{"go.mod": baseMod, "main.go": "package main\n"}
	hash := graphOf(t, base).Graph.Hash
	if len(hash) != 64 {
		t.Fatalf("the hash is %q", hash)
	}
	for name, c := range map[string]struct {
		content files
		same    bool
	}{
		"reordered, with comments": {files{"go.mod": "// Hi.\nmodule example.org/m\ngo 1.24\nrequire example.org/b/v2 v2.1.0\nrequire example.org/a v1.0.0 // why\n"}, true},
		"other code":               {files{"main.go": "package main // changed\n"}, true},
		"a go.sum":                 {files{"go.sum": sumA}, true},
		"retract, tool, godebug":   {files{"go.mod": baseMod + "retract v1.0.0\ntool example.org/a\ngodebug default=go1.21\n"}, true},
		"a module below testdata":  {files{"x/testdata/m/go.mod": "module x\n"}, true},
		"a module below _old":      {files{"_old/go.mod": "module x\n", ".hidden/go.mod": "module x\n", "vendor/x/go.mod": "module x\n"}, true},
		"a bumped version":         {files{"go.mod": "module example.org/m\ngo 1.24\nrequire example.org/a v1.0.1\nrequire example.org/b/v2 v2.1.0\n"}, false},
		"a go line":                {files{"go.mod": "module example.org/m\ngo 1.25\nrequire example.org/a v1.0.0\nrequire example.org/b/v2 v2.1.0\n"}, false},
		"a toolchain":              {files{"go.mod": baseMod + "toolchain go1.26.5\n"}, false},
		"a replacement":            {files{"go.mod": baseMod + "replace example.org/a => example.org/fork v1.0.1\n"}, false},
		"an exclusion":             {files{"go.mod": baseMod + "exclude example.org/a v1.2.0\n"}, false},
		"another module":           {files{"tools/go.mod": "module example.org/tools\n"}, false},
		"a workspace":              {files{"go.work": "go 1.24\nuse .\n"}, false},
		"vendored modules":         {files{"vendor/modules.txt": "# example.org/a v1.0.0\n## explicit\nexample.org/a\n"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			content := maps.Clone(base)
			maps.Copy(content, c.content)
			equal(t, "the hash is the same", graphOf(t, content).Graph.Hash == hash, c.same)
		})
	}
}

func TestVendoredPackagesDoNotChangeTheGraphAndVendoredModulesDo(t *testing.T) {
	t.Parallel()
	hash := func(text string) string {
		r := graphOf(t, files{"go.mod": baseMod, "vendor/modules.txt": text})
		equal(t, "vendored", r.Graph.Vendored, true)
		return r.Graph.Hash
	}
	one := hash("# example.org/a v1.0.0\n## explicit\nexample.org/a\n")
	equal(t, "same hash with another package", hash("# example.org/a v1.0.0\n## explicit\nexample.org/a\nexample.org/a/b\n") == one, true)
	equal(t, "same hash with another version", hash("# example.org/a v1.0.1\n## explicit\nexample.org/a\n") == one, false)
}

func TestAChangeInAWorkspaceChangesTheHash(t *testing.T) {
	t.Parallel()
	hash := func(work string) string {
		return graphOf(t, files{"go.mod": baseMod, "sub/go.mod": "module example.org/sub\n", "go.work": work}).Graph.Hash
	}
	one := hash("go 1.24\nuse .\nuse ./sub\n")
	equal(t, "same hash when reordered", hash("go 1.24 // x\nuse (\n\t./sub/\n\t.\n)\n") == one, true)
	for _, work := range []string{
		"go 1.24\nuse .\n", "go 1.25\nuse .\nuse ./sub\n", "go 1.24\nuse .\nuse ./sub\ntoolchain go1.25.1\n",
		"go 1.24\nuse .\nuse ./sub\nreplace example.org/a => ./a\n",
	} {
		equal(t, "same hash with "+work, hash(work) == one, false)
	}
}

func TestTheModulesThatAGraphNames(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		content files
		want    []string
	}{
		"what go.mod requires": {files{"go.mod": baseMod}, []string{"example.org/a@v1.0.0", "example.org/b/v2@v2.1.0"}},
		"a local replacement":  {files{"go.mod": baseMod + "replace example.org/a => ./a\n"}, []string{"example.org/b/v2@v2.1.0"}},
		"a fork":               {files{"go.mod": baseMod + "replace example.org/a => example.org/fork v1.9.0\n"}, []string{"example.org/b/v2@v2.1.0", "example.org/fork@v1.9.0"}},
		"a fork of that version first": {
			files{"go.mod": baseMod + "replace example.org/a => example.org/any v1.9.0\nreplace example.org/a v1.0.0 => example.org/one v1.8.0\n"},
			[]string{"example.org/b/v2@v2.1.0", "example.org/one@v1.8.0"},
		},
		"a fork of another version": {
			files{"go.mod": baseMod + "replace example.org/a v1.0.7 => example.org/one v1.8.0\n"},
			[]string{"example.org/a@v1.0.0", "example.org/b/v2@v2.1.0"},
		},
		"an excluded version": {files{"go.mod": baseMod + "exclude example.org/a v1.0.0\n"}, []string{"example.org/b/v2@v2.1.0"}},
		"several modules": {
			files{"go.mod": baseMod, "tools/go.mod": "module example.org/tools\nrequire example.org/a v1.0.0\nrequire example.org/m v0.1.0\n"},
			[]string{"example.org/a@v1.0.0", "example.org/b/v2@v2.1.0", "example.org/m@v0.1.0"},
		},
		"a workspace": {
			files{
				"one/go.mod": "module example.org/one\nrequire example.org/two v0.1.0\nrequire example.org/a v1.0.0\nrequire example.org/c v1.0.0\n",
				"two/go.mod": "module example.org/two\nrequire example.org/d v1.0.0\nreplace example.org/d => ../d\n",
				"out/go.mod": "module example.org/out\nrequire example.org/a v1.0.0\nrequire example.org/two v0.2.0\n",
				"go.work":    "go 1.24\nuse ./one\nuse ./two\nreplace example.org/a => example.org/fork v1.9.0\n",
			},
			[]string{"example.org/a@v1.0.0", "example.org/c@v1.0.0", "example.org/fork@v1.9.0", "example.org/two@v0.2.0"},
		},
		"old and dotted ones": {
			files{"go.mod": "module example.org/m\nrequire gopkg.in/yaml.v3 v3.0.1\nrequire example.org/old v4.0.0+incompatible\nrequire example.org/x v0.0.0-20240101000000-abcdefabcdef\n"},
			[]string{"example.org/old@v4.0.0+incompatible", "example.org/x@v0.0.0-20240101000000-abcdefabcdef", "gopkg.in/yaml.v3@v3.0.1"},
		},
		"no Go at all": {files{"main.c": ""}, []string{}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := graphOf(t, c.content)
			equal(t, "the list", r.Graph.Modules, c.want)
			equal(t, "the problems", r.Problems, []string{})
			equal(t, "there is a hash", r.Graph.Hash != "", len(c.want) > 0)
		})
	}
}

func TestTheToolchainIsTheNewestThatAnyLineAsksFor(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		content files
		want    string
	}{
		"none":               {files{"go.mod": "module m\n"}, ""},
		"a go line":          {files{"go.mod": "module m\ngo 1.26.5\n"}, "go1.26.5"},
		"a language":         {files{"go.mod": "module m\ngo 1.21\n"}, "go1.21"},
		"a toolchain":        {files{"go.mod": "module m\ngo 1.24\ntoolchain go1.26.8\n"}, "go1.26.8"},
		"an older one":       {files{"go.mod": "module m\ngo 1.26.9\ntoolchain go1.26.8\n"}, "go1.26.9"},
		"not by alphabet":    {files{"go.mod": "module m\ngo 1.9\n", "x/go.mod": "module x\ngo 1.26.10\n", "y/go.mod": "module y\ngo 1.26.9\n"}, "go1.26.10"},
		"a candidate":        {files{"go.mod": "module m\ngo 1.26rc1\n"}, "go1.26rc1"},
		"a vendor's":         {files{"go.mod": "module m\ngo 1.24\ntoolchain go1.26.8-acme\n"}, "go1.26.8-acme"},
		"the default":        {files{"go.mod": "module m\ngo 1.24.1\ntoolchain default\n"}, "go1.24.1"},
		"the workspace's":    {files{"go.mod": "module m\ngo 1.24.1\n", "go.work": "go 1.25.3\ntoolchain go1.26.1\nuse .\n"}, "go1.26.1"},
		"the workspace's go": {files{"go.mod": "module m\ngo 1.24.1\n", "go.work": "go 1.25.3\nuse .\n"}, "go1.25.3"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			equal(t, "toolchain", graphOf(t, c.content).Graph.Toolchain, c.want)
		})
	}
}

func TestABrokenFileIsAProblemAndTheOthersCount(t *testing.T) {
	t.Parallel()
	want := graphOf(t, files{"go.mod": baseMod}).Graph.Modules
	for name, content := range map[string]files{
		"a go.mod that is none":         {"broken/go.mod": "module \"\nrequire ((("},
		"a go.work that is none":        {"go.work": "use ((("},
		"a directive of a later Go":     {"later/go.mod": "module example.org/later\nsomeday x\nrequire example.org/a v1.0.0\n"},
		"a version that is a branch":    {"branch/go.mod": "module example.org/branch\nrequire example.org/c main\n"},
		"a path that is not a module's": {"path/go.mod": "module example.org/path\nrequire ../../etc v1.0.0\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			content["go.mod"] = baseMod
			r := graphOf(t, content)
			equal(t, "the list", r.Graph.Modules, want)
			if len(r.Graph.Hash) != 64 {
				t.Errorf("the hash is %q", r.Graph.Hash)
			}
			if name != "a version that is a branch" && name != "a path that is not a module's" {
				equal(t, "number of problems", len(r.Problems), 1)
			}
		})
	}
}

const (
	hashA = "h1:ICeL3t2L30ljSPHHxDnR4fqVcBt/zR2zJAb9juavmQg="
	hashB = "h1:u5fzIrRInkL8MaO1cbRkUHT64v303YIT5KEqpNr7jRs="
	sumA  = "example.org/a v1.0.0 " + hashA + "\nexample.org/a v1.0.0/go.mod " + hashB + "\n"
)

func TestTheSumsAreThoseOfAllModulesAsTheyWereCommitted(t *testing.T) {
	t.Parallel()
	p := newProject(t, files{
		"go.mod": baseMod, "go.sum": sumA,
		"tools/go.mod": "module example.org/tools\n", "tools/go.sum": "example.org/a v1.0.0 " + hashB + "\nexample.org/c v1.0.0 " + hashA + "\n" +
			"example.org/d v1.0.0 h2:new\nexample.org/e v1.0.0\n../../etc v1.0.0 " + hashA + "\nexample.org/f v1.0.0 h1:short=\n",
		"go.work": "go 1.24\nuse .\n", "go.work.sum": "example.org/w v1.0.0/go.mod " + hashA + "\n",
		"testdata/x/go.mod": "module x\n", "testdata/x/go.sum": "example.org/x v1.0.0 " + hashA + "\n",
		"new/go.mod": "module example.org/new\n", ".gitignore": "new/go.sum\n",
	})
	write(t, p.dir, files{"new/go.sum": "example.org/untracked v1.0.0 " + hashA + "\n"})
	equal(t, "the sums", run(t, p.dir).Sums, map[string][]string{
		"example.org/a v1.0.0":        {hashA, hashB},
		"example.org/a v1.0.0/go.mod": {hashB},
		"example.org/c v1.0.0":        {hashA},
		"example.org/w v1.0.0/go.mod": {hashA},
	})
}
