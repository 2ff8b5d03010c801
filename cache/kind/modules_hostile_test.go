package kind

import (
	"context"
	"errors"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/module"
)

func TestAModuleIsTakenOnlyIfItIsWhatItsSumSays(t *testing.T) {
	t.Parallel()
	none, modFile, whole := Class(""), ModFile, Module
	tests := map[string]struct {
		spoil   func(*job)
		want    Class  // of what is left of the module
		refused string // words
	}{
		"nothing is wrong":                         {func(*job) {}, whole, ""},
		"a hard link":                              {func(j *job) { j.must(os.Link(j.mods+"/"+partFile(spoilt, partZip), j.src+"/second")) }, whole, ""},
		"a setuid bit":                             {func(j *job) { j.must(os.Chmod(j.mods+"/"+partFile(spoilt, partTree)+"/a.go", os.ModeSetuid|0o777)) }, whole, ""},
		"a file of the tree was changed":           {tree("a.go", text("package b\n")), modFile, RefusedHash},
		"a file of the tree grew":                  {tree("a.go", text("package a\n// more\n")), modFile, RefusedHash},
		"a file of the tree is missing":            {tree("inner/b.go", gone), modFile, RefusedIncomplete},
		"a file too many in the tree":              {tree("extra.go", text("package a\n")), modFile, RefusedHash},
		"a folder too many in the tree":            {tree("vendor", func(file string) error { return os.Mkdir(file, 0o777) }), modFile, RefusedHash},
		"a go.mod too many in the tree":            {tree("inner/go.mod", text("module inner\n")), modFile, RefusedHash},
		"a link in the tree":                       {tree("a.go", linkTo("LICENSE")), modFile, RefusedType},
		"a link in the tree to a file of the host": {tree("a.go", linkOut), modFile, RefusedType},
		"a link in the place of a folder":          {tree("inner", linkTo(".")), modFile, RefusedHash},
		"a FIFO in the tree":                       {tree("a.go", fifo), modFile, RefusedType},
		"a device in the tree":                     {tree("a.go", device), modFile, RefusedType},
		"1 TB of holes in the tree":                {tree("a.go", holes), modFile, RefusedHash},
		"no tree":                                  {part(partTree, gone), modFile, RefusedIncomplete},
		"a tree that is a FIFO":                    {part(partTree, fifo), modFile, RefusedName + " " + RefusedType},
		"a tree that is a link":                    {part(partTree, linkTo("../../..")), modFile, RefusedName + " " + RefusedType},
		"a tree that is being extracted":           {part("partial", text("")), modFile, RefusedIncomplete},
		"a zip that is a link":                     {part(partZip, linkOut), modFile, RefusedType},
		"a zip that is a link to itself":           {part(partZip, linkTo("v1.2.3.zip")), modFile, RefusedType},
		"a zip that is a FIFO":                     {part(partZip, fifo), modFile, RefusedType},
		"a zip that is a folder":                   {part(partZip, func(file string) error { return os.Mkdir(file, 0o777) }), modFile, RefusedType},
		"a zip of 1 TB of holes":                   {part(partZip, holes), modFile, RefusedSize},
		"a zip of nonsense":                        {part(partZip, text("nonsense")), modFile, RefusedFormat},
		"no zip":                                   {part(partZip, gone), modFile, RefusedIncomplete},
		"a zip of other content": {part(partZip, func(file string) error {
			return os.WriteFile(file, []byte(zipped(t, prefixed(spoilt.String()+"/a.go", "package evil\n"))), 0o600)
		}), modFile, RefusedHash},
		"a zip and a tree that agree on other content": {func(j *job) {
			evil := "package evil\n"
			j.write(j.mods, partFile(spoilt, partTree)+"/a.go", evil)
			j.write(j.mods, partFile(spoilt, partZip), zipped(t, prefixed(spoilt.String()+"/a.go", evil)))
		}, modFile, RefusedHash},
		"a zip that lost its end":                {func(j *job) { j.must(os.Truncate(j.mods+"/"+partFile(spoilt, partZip), 300)) }, modFile, RefusedFormat},
		"a zip that leads out":                   {inZip(prefixed("../../../evil.go", "package evil\n")), modFile, RefusedName},
		"a zip that leads out of its prefix":     {inZip(prefixed(spoilt.String()+"/../evil.go", "package evil\n")), modFile, RefusedName},
		"a zip with an absolute name":            {inZip(prefixed("/evil.go", "package evil\n")), modFile, RefusedName},
		"a zip of another version":               {inZip(prefixed("example.com/spoilt@v1.2.4/a.go", "package evil\n")), modFile, RefusedName},
		"a zip with a backslash":                 {inZip(prefixed(spoilt.String()+`/..\evil.go`, "package evil\n")), modFile, RefusedName},
		"a zip with names that differ in case":   {inZip(prefixed(spoilt.String()+"/A.go", "package evil\n")), modFile, RefusedName},
		"a zip with folders that differ in case": {inZip(prefixed(spoilt.String()+"/Inner/c.go", "package evil\n")), modFile, RefusedName},
		"a zip with an entry for a folder":       {inZip(prefixed(spoilt.String()+"/folder/", "")), modFile, RefusedName},
		"a zip with a name of two lines": {func(j *job) {
			j.write(j.mods, partFile(spoilt, partZip), zipped(j.t, prefixed(spoilt.String()+"/a\nb", "")))
		}, modFile, RefusedName},
		"a zip that inflates to 600 MB":            {func(j *job) { j.bomb(600 << 20) }, modFile, RefusedSize},
		"a zip that inflates to more than it says": {func(j *job) { j.lyingZip() }, modFile, RefusedFormat},
		"a zip with a directory of 60 MB":          {func(j *job) { j.manyEntries() }, modFile, RefusedSize},
		"a sum that is not the zip's":              {part(partZipHash, text("h1:AAAAIFmeBqHfdjD+gZwtXXI+RODJ2Wc4O7MPEh/QiW4=")), modFile, RefusedSum},
		"a sum of many bytes":                      {part(partZipHash, holes), modFile, RefusedSize},
		"no sum beside the zip":                    {part(partZipHash, gone), modFile, RefusedIncomplete},
		"go.sum says otherwise":                    {sums(spoilt.Version, "h1:AAAAIFmeBqHfdjD+gZwtXXI+RODJ2Wc4O7MPEh/QiW4="), modFile, RefusedSum},
		"go.sum says nothing":                      {sums(spoilt.Version), modFile, RefusedSum},
		"two go.sum files disagree": {func(j *job) {
			key := spoilt.Path + " " + spoilt.Version
			j.sums[key] = append(j.sums[key], "h1:AAAAIFmeBqHfdjD+gZwtXXI+RODJ2Wc4O7MPEh/QiW4=")
		}, modFile, RefusedSum},
		"go.sum also has a sum of the future": {func(j *job) {
			key := spoilt.Path + " " + spoilt.Version
			j.sums[key] = append([]string{"h2:x"}, j.sums[key]...)
		}, whole, ""},
		"go.sum says otherwise of the go.mod": {sums(spoilt.Version+"/go.mod", "h1:AAAAIFmeBqHfdjD+gZwtXXI+RODJ2Wc4O7MPEh/QiW4="), none, RefusedSum},
		"the go.mod was changed":              {part(partMod, text("module evil\n")), none, RefusedSum},
		"the go.mod is missing":               {part(partMod, gone), none, RefusedIncomplete},
		"the go.mod is a link":                {part(partMod, linkTo("../../../../../example.com/spoilt@v1.2.3/go.mod")), none, RefusedType},
		"the go.mod is a FIFO":                {part(partMod, fifo), none, RefusedType},
		"the go.mod has 1 TB of holes":        {part(partMod, holes), none, RefusedSize},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			j := newJob(t)
			honest := module.Version{Path: "github.com/Honest/Module", Version: "v0.1.0"}
			j.fetch(honest, source(honest))
			j.fetch(spoilt, source(spoilt))
			test.spoil(j)
			var h Harvest
			within(t, time.Minute, func() { h = j.harvest(Modules()) })
			want := []Item{{ID: honest.String(), Class: Module, Detail: detailInfo}}
			if test.want != none {
				want = append([]Item{{ID: spoilt.String(), Class: test.want, Detail: detailInfo}}, want...)
			}
			for i := range h.Items {
				h.Items[i].Size = 0
			}
			if !slices.Equal(h.Items, want) {
				t.Errorf("saved %v, want %v", h.Items, want)
			}
			refused := map[string]int{}
			for _, word := range strings.Fields(test.refused) {
				refused[word] = 1
			}
			if !maps.Equal(h.Refused, refused) {
				t.Errorf("refused %v, want %v", h.Refused, refused)
			}
			if !slices.Equal(h.New, []string{spoilt.String(), honest.String()}) {
				t.Errorf("new: %v", h.New)
			}
			unpack(t, Modules(), j.modRoot, h.Items, t.TempDir())
		})
	}
}

func TestAnInfoIsTakenOnlyIfItIsOneOfItsVersion(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		with    func(string) error
		refused map[string]int
	}{
		"of another version":   {text(`{"Version":"v1.2.4"}`), map[string]int{RefusedFormat: 1}},
		"of nonsense":          {text(`{"Version":`), map[string]int{RefusedFormat: 1}},
		"of many bytes":        {text(`{"Version":"v1.2.3","Time":"` + strings.Repeat("0", maxInfo) + `"}`), map[string]int{RefusedSize: 1}},
		"a link":               {linkOut, map[string]int{RefusedType: 1}},
		"a FIFO":               {fifo, map[string]int{RefusedType: 1}},
		"missing as in a fork": {gone, map[string]int{}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			j := newJob(t)
			j.fetch(spoilt, source(spoilt))
			j.replace(j.mods, partFile(spoilt, partInfo), test.with)
			var h Harvest
			within(t, time.Minute, func() { h = j.harvest(Modules()) })
			if len(h.Items) != 1 || h.Items[0].Class != Module || h.Items[0].Detail != "" || !maps.Equal(h.Refused, test.refused) {
				t.Fatalf("saved %v, refused %v", h.Items, h.Refused)
			}
			for _, name := range unpack(t, Modules(), j.modRoot, h.Items, t.TempDir()) {
				if strings.HasSuffix(name, ".info") {
					t.Errorf("%s is in the layer", name)
				}
			}
			j.knows(h.Items)
			j.fetch(spoilt, source(spoilt)) // and later a right one comes
			h = j.harvest(Modules())
			if len(h.Items) != 1 || h.Items[0].Detail != detailInfo || len(h.Refused) != 0 {
				t.Errorf("saved %v, refused %v", h.Items, h.Refused)
			}
		})
	}
}

func TestStrayFilesInTheModuleCacheAreLeftOut(t *testing.T) {
	t.Parallel()
	j := newJob(t)
	for _, name := range []string{
		"cache/lock", "cache/vcs/0123/config", "cache/download/sumdb/sum.golang.org/tile/8/0/000", // Go's own: not even counted
		"cache/download/example.com/a/@v/list", "cache/download/example.com/a/@v/v1.0.0.lock", "cache/download/example.com/a/@v/main.info",
		"cache/download/example.com/a/@v/v1.0.0.zip12345.tmp", "cache/download/example.com/a/@v/v1.0.0.partial",
		"notes", "example.com/a@main/go.mod", "cache/download/example.com/a/@v/v1.0.zip", "cache/notes", // counted
		"cache/download/example.com/A/@v/v1.0.0.zip",
	} {
		j.write(j.mods, name, "x")
	}
	h := j.harvest(Modules())
	if len(h.Items)+len(h.New) != 0 || !maps.Equal(h.Refused, map[string]int{RefusedName: 5}) {
		t.Errorf("saved %v, new %v, refused %v", h.Items, h.New, h.Refused)
	}
}

// A toolchain's zip has _go.mod files, which Go copies when it first switches, and then it makes the commands executable.
func TestAToolchainIsTakenAsGoLeavesIt(t *testing.T) {
	t.Parallel()
	mod := module.Version{Path: toolchain, Version: "v0.0.1-go1.25.0.linux-amd64"}
	for name, test := range map[string]struct {
		spoil func(dir string) error
		want  map[string]int // refused
	}{
		"just extracted": {func(string) error { return nil }, map[string]int{}},
		"switched to":    {func(dir string) error { return text("module std\n")(dir + "/src/go.mod") }, map[string]int{}},
		"with a go.mod of its own": {
			func(dir string) error { return text("module evil\n")(dir + "/src/go.mod") }, map[string]int{RefusedHash: 1},
		},
		"with a go.mod where there was none": {
			func(dir string) error { return text("module evil\n")(dir + "/bin/go.mod") }, map[string]int{RefusedHash: 1},
		},
		"with a go.mod that is a link": {
			func(dir string) error { return linkTo("_go.mod")(dir + "/src/go.mod") }, map[string]int{RefusedType: 1},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			j := newJob(t)
			j.fetch(mod, map[string]string{"bin/go": "#!", "src/_go.mod": "module std\n", "VERSION": "go1.25.0\n"})
			dir := filepath.Join(j.mods, partFile(mod, partTree))
			j.must(os.Chmod(dir+"/bin/go", 0o755))
			j.must(test.spoil(dir))
			h := j.harvest(Modules())
			if !maps.Equal(h.Refused, test.want) || len(h.Items) != 1-len(test.want) {
				t.Fatalf("saved %v, refused %v", h.Items, h.Refused)
			}
			for file, err := range Modules().Files(j.modRoot, h.Items) {
				j.must(err)
				if (file.Mode == 0o555) != strings.HasSuffix(file.Name, "/bin/go") || file.Mode&^0o111 != 0o444 {
					t.Errorf("%s: %v", file.Name, file.Mode)
				}
			}
		})
	}
}

func TestAHarvestOfModulesEndsWithItsContext(t *testing.T) {
	t.Parallel()
	j := newJob(t)
	j.fetch(spoilt, source(spoilt))
	j.bomb(400 << 20)
	ctx, cancel := context.WithTimeoutCause(t.Context(), 50*time.Millisecond, io.ErrClosedPipe)
	defer cancel()
	began := time.Now()
	_, err := Modules().Harvest(ctx, j.input(j.modRoot, changed(t, j.mods)...))
	if took := time.Since(began); !errors.Is(err, io.ErrClosedPipe) || took > time.Second {
		t.Errorf("%v after %v", err, took)
	}
}
