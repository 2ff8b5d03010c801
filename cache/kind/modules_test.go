package kind

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/mod/module"
)

func TestOnlyFilesOfModuleVersionsAndChecksumsBelongToItems(t *testing.T) {
	t.Parallel()
	for path, want := range map[string]string{
		"cache/download/golang.org/x/mod/@v/v0.42.0.info":                     "golang.org/x/mod@v0.42.0",
		"cache/download/golang.org/x/mod/@v/v0.42.0.mod":                      "golang.org/x/mod@v0.42.0",
		"cache/download/golang.org/x/mod/@v/v0.42.0.zip":                      "golang.org/x/mod@v0.42.0",
		"cache/download/golang.org/x/mod/@v/v0.42.0.ziphash":                  "golang.org/x/mod@v0.42.0",
		"cache/download/github.com/!burnt!sushi/toml/@v/v1.6.0.zip":           "github.com/BurntSushi/toml@v1.6.0",
		"github.com/!burnt!sushi/toml@v1.6.0/decode.go":                       "github.com/BurntSushi/toml@v1.6.0",
		"github.com/docker/docker@v28.5.2+incompatible/api/types/a.go":        "github.com/docker/docker@v28.5.2+incompatible",
		"github.com/a/b/v2@v2.0.0-rc.1/x@v1.0.0/y":                            "github.com/a/b/v2@v2.0.0-rc.1",
		"golang.org/toolchain@v0.0.1-go1.25.0.linux-amd64/bin/go":             "golang.org/toolchain@v0.0.1-go1.25.0.linux-amd64",
		"golang.org/x/text@v0.0.0-20170915032832-14c0d48ead0c/a/b":            "golang.org/x/text@v0.0.0-20170915032832-14c0d48ead0c",
		"cache/download/golang.org/x/mod/@v/v0.42.0.lock":                     "",
		"cache/download/golang.org/x/mod/@v/v0.42.0.partial":                  "",
		"cache/download/golang.org/x/mod/@v/list":                             "",
		"cache/download/golang.org/x/mod/@v/master.info":                      "",
		"cache/download/golang.org/x/mod/@v/v0.42.info":                       "",
		"cache/download/golang.org/x/mod/@v/v0.42.0.zip1234.tmp":              "",
		"cache/download/golang.org/x/mod/@v/a/v0.42.0.zip":                    "",
		"cache/download/github.com/BurntSushi/toml/@v/v1.6.0.zip":             "",
		"cache/download/../@v/v1.0.0.zip":                                     "",
		"cache/download/sumdb/sum.golang.org/lookup/golang.org/x/mod@v0.42.0": "sumdb/sum.golang.org/lookup/golang.org/x/mod@v0.42.0",
		"cache/download/sumdb/sum.golang.org/lookup/golang.org/x/mod@v0.42":   "",
		"cache/download/sumdb/sum.golang.org/lookup/../mod@v0.42.0":           "",
		"cache/download/sumdb/sum.golang.org/tile/8/0/x123/456":               "sumdb/sum.golang.org/tile/8/0/x123/456",
		"cache/download/sumdb/sum.golang.org/tile/8/1/000.p/7":                "sumdb/sum.golang.org/tile/8/1/000.p/7",
		"cache/download/sumdb/sum.golang.org/tile/8/1/000.p/256":              "",
		"cache/download/sumdb/sum.golang.org/tile/9/0/000":                    "",
		"cache/download/sumdb/sum.golang.org/tile/8/data/000":                 "",
		"cache/download/sumdb/../tile/8/0/000":                                "",
		"cache/download/sumdb/sum.golang.org/latest":                          "",
		"sumdb/sum.golang.org/tile/8/0/x123/456":                              "",
		"cache/vcs/0123/config":                                               "",
		"cache/lock":                                                          "",
		"golang.org/x/mod@v0.42.0":                                            "",
		"golang.org/x/mod@master/go.mod":                                      "",
		"golang.org/x/mod@v0.42/go.mod":                                       "",
		"golang.org/x/mod/v2@v0.42.0/go.mod":                                  "",
		"golang.org/../mod@v0.42.0/go.mod":                                    "",
		"golang.org/x/m\nod@v0.42.0/go.mod":                                   "",
		"@v0.42.0/go.mod":                                                     "", "": "", "@": "", "cache/download/": "", "cache/download/@v/.zip": "",
	} {
		if got := Modules().ItemOf(path); got != want {
			t.Errorf("%q: %q, want %q", path, got, want)
		}
	}
}

// hello is a program with three modules, one of which it does not import.
func (j *job) hello() {
	sum := `golang.org/x/text v0.0.0-20170915032832-14c0d48ead0c h1:qgOY6WgZOaTkIIMiVjBQcw93ERBE4m30iBm00nkL0i8=
golang.org/x/text v0.0.0-20170915032832-14c0d48ead0c/go.mod h1:NqM8EUOU14njkJ3fqMW+pc6Ldnwhi/IjpwHt7yyuwOQ=
rsc.io/quote v1.5.2 h1:w5fcysjrx7yqtD/aO+QwRjYZOKnaM9Uh2b40tElTs3Y=
rsc.io/quote v1.5.2/go.mod h1:LzX7hefJvL54yjefDEDHNONDjII0t9xZLPXsUe+TKr0=
rsc.io/sampler v1.3.0 h1:7uVkIFmeBqHfdjD+gZwtXXI+RODJ2Wc4O7MPEh/QiW4=
rsc.io/sampler v1.3.0/go.mod h1:T1hPZKmBbMNahiBKFy5HrXp6adAjACjK9JXDnKaTXpA=
`
	j.sums = Sums{}
	for line := range strings.Lines(sum) {
		f := strings.Fields(line)
		j.sums[f[0]+" "+f[1]] = append(j.sums[f[0]+" "+f[1]], f[2])
	}
	j.write(j.src, "go.sum", sum)
	// Without the indirect requirements, Go reads the whole graph, as it does for a go.mod before Go 1.17.
	j.write(j.src, "go.mod", "module example.com/hello\n\ngo 1.16\n\nrequire rsc.io/quote v1.5.2\n")
	j.write(j.src, "main.go", "package main\n\nimport \"rsc.io/quote\"\n\nfunc main() { println(quote.Hello()) }\n")
}

func TestTheNextJobFetchesNoModule(t *testing.T) {
	t.Parallel()
	first := newJob(t)
	first.hello()
	first.run("go", "mod", "download")
	h := first.harvest(Modules())
	want := []string{"golang.org/x/text@v0.0.0-20170915032832-14c0d48ead0c", "rsc.io/quote@v1.5.2", "rsc.io/sampler@v1.3.0"}
	if !slices.Equal(ids(h.Items, Module), want) || !slices.Equal(h.New, want) || len(h.Refused) != 0 {
		t.Fatalf("saved %v, new %v, refused %v", h.Items, h.New, h.Refused)
	}

	second := newJob(t)
	second.hello()
	names := unpack(t, Modules(), first.modRoot, h.Items, second.mods)
	for _, name := range names {
		info, err := os.Stat(filepath.Join(second.mods, name))
		second.must(err)
		if info.Mode() != 0o444 || !info.ModTime().Equal(moduleTime) {
			t.Errorf("%s: %v %v", name, info.Mode(), info.ModTime())
		}
	}
	second.env = append(second.env, "GOPROXY=off")
	second.knows(h.Items)
	for _, args := range [][]string{{"mod", "download"}, {"mod", "verify"}, {"mod", "graph"}, {"list", "-deps", "."}, {"mod", "vendor"}} {
		second.run("go", args...)
	}
	second.run("chmod", "-R", "a+rwX", second.mods) // copies all of it up
	if h := second.harvest(Modules()); len(h.Items)+len(h.New)+len(h.Refused) != 0 {
		t.Errorf("the second job left %v, new %v, refused %v", h.Items, h.New, h.Refused)
	}
}

func TestTheGraphsGoModFilesAreKeptWithoutTheirModules(t *testing.T) {
	t.Parallel()
	first := newJob(t)
	first.hello()
	first.run("go", "mod", "graph") // reads go.mod files only
	graph := first.harvest(Modules())
	if len(ids(graph.Items, ModFile)) != 3 || len(graph.Items) != 3 || len(graph.New) != 3 {
		t.Fatalf("%+v", graph)
	}
	second := newJob(t)
	second.hello()
	unpack(t, Modules(), first.modRoot, graph.Items, second.mods)
	second.knows(graph.Items)
	online := second.env
	second.env = append(slices.Clone(online), "GOPROXY=off")
	second.run("go", "mod", "graph")
	second.env = online
	second.run("go", "mod", "download") // now the rest
	if h := second.harvest(Modules()); len(ids(h.Items, Module)) != 3 || len(h.New) != 3 {
		t.Errorf("known go.mod files keep their modules from being saved: %+v", h)
	}
	// A job that only reads the graph has nothing to add to modules.
	for id, item := range second.known {
		item.Class, item.Detail = Module, detailInfo
		second.known[id] = item
	}
	second.modRoot, second.mods = first.modRoot, first.mods
	if h := second.harvest(Modules()); len(h.Items) != 0 {
		t.Errorf("saved again, with less: %v", h.Items)
	}
}

// Toolchains, and tools as in go install tool@version, are in no go.sum.
func TestWhatIsInNoGoSumIsProvenByTheChecksumDatabase(t *testing.T) {
	t.Parallel()
	j := newJob(t)
	tool := module.Version{Path: "rsc.io/sampler", Version: "v1.3.0"}
	j.run("go", "mod", "download", tool.String())
	h := j.harvest(Modules())
	if !slices.Equal(ids(h.Items, Module), []string{tool.String()}) || len(h.Refused) != 0 {
		t.Fatalf("%+v", h)
	}
	second := j.after(t, h.Items...)
	second.env = append(second.env, "GOPROXY=off")
	second.run("go", "mod", "download", tool.String())
	for name, test := range map[string]struct {
		spoil func(j *job)
		want  int
	}{
		"the record is gone":           {func(j *job) { j.must(os.RemoveAll(j.mods + "/cache/download/sumdb/sum.golang.org/lookup")) }, 0},
		"the tiles are gone":           {func(j *job) { j.must(os.RemoveAll(j.mods + "/cache/download/sumdb/sum.golang.org/tile")) }, 0},
		"the record tells another sum": {func(j *job) { j.edit("lookup/rsc.io/sampler@v1.3.0", "h1:7uVk", "h1:7uVl") }, 0},
		"the record is another's":      {func(j *job) { j.edit("lookup/rsc.io/sampler@v1.3.0", "rsc.io/sampler", "rsc.io/simpler") }, 0},
		"the tree is not signed":       {func(j *job) { j.edit("lookup/rsc.io/sampler@v1.3.0", "— sum.golang.org Az", "— sum.golang.org Aa") }, 0},
		"the tiles are forged":         {func(j *job) { j.forgeTiles() }, 0},
		"the job's go.sum disagrees": {func(j *job) {
			j.sums = Sums{"rsc.io/sampler v1.3.0": {"h1:AAAAIFmeBqHfdjD+gZwtXXI+RODJ2Wc4O7MPEh/QiW4="}}
		}, 1},
		"an honest copy": {func(*job) {}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			spoilt := newJob(t)
			spoilt.must(os.CopyFS(spoilt.mods, os.DirFS(j.mods)))
			test.spoil(spoilt)
			if h := spoilt.harvest(Modules()); len(ids(h.Items, Module)) != test.want || h.Refused[RefusedSum] != 1-test.want {
				t.Errorf("saved %v, refused %v", h.Items, h.Refused)
			}
		})
	}
}

// edit changes a file of the checksum database.
func (j *job) edit(name, old, replacement string) {
	j.t.Helper()
	file := filepath.Join(j.mods, sumdbFolder, "sum.golang.org", name)
	data, err := os.ReadFile(file)
	j.must(err)
	if !strings.Contains(string(data), old) {
		j.t.Fatalf("no %q in\n%s", old, data)
	}
	j.must(os.WriteFile(file, []byte(strings.ReplaceAll(string(data), old, replacement)), 0o600))
}

// forgeTiles changes the first hash of every tile.
func (j *job) forgeTiles() {
	for _, name := range changed(j.t, j.mods) {
		if strings.HasPrefix(name, sumdbFolder+"sum.golang.org/tile/") {
			data, err := os.ReadFile(filepath.Join(j.mods, name))
			j.must(err)
			data[0] ^= 1
			j.must(os.WriteFile(filepath.Join(j.mods, name), data, 0o600))
		}
	}
}
