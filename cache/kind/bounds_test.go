package kind

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/module"
)

func TestThereIsAnEndToWhatAHarvestLooksAt(t *testing.T) {
	t.Parallel()
	many := func(name func(i int) string) []string {
		names := make([]string, maxItems+3)
		for i := range names {
			names[i] = name(i)
		}
		return names
	}
	refused := tally{}
	if found := changedVersions(many(func(i int) string { return fmt.Sprintf("cache/download/evil.com/m/@v/v1.0.%d.mod", i) }), refused); len(found) != maxItems || !maps.Equal(refused, tally{RefusedSize: 3}) {
		t.Errorf("%d versions are looked at, refused %v", len(found), refused)
	}
	j := newJob(t)
	refused = tally{}
	entries := many(func(i int) string { return actionFile(fmt.Sprintf("%064x", i)) })
	if _, err := readActions(t.Context(), Input{Root: j.buildRoot, Changed: entries}, refused); err != nil || refused[RefusedSize] != 3 {
		t.Errorf("refused %v, %v", refused, err)
	}
	b := newBudget()
	for _, test := range []struct {
		size int64
		ok   bool
	}{{maxTotal - 10, true}, {11, false}, {maxFile, false}, {10, true}, {1, false}} {
		if err := b.take(test.size); (err == nil) != test.ok || err != nil && !errors.Is(err, refusal(RefusedSize)) {
			t.Errorf("%d more bytes: %v", test.size, err)
		}
	}
}

// The budget of bytes is one for all that is hashed.
func TestHarvestsHashNoMoreThanTheirBudget(t *testing.T) {
	t.Parallel()
	j := newJob(t)
	j.fetch(spoilt, source(spoilt))
	id := j.entry("compiled", goArchive)
	spent := newBudget()
	if err := spent.take(maxTotal); err != nil {
		t.Fatal(err)
	}
	v := &version{mod: spoilt, id: spoilt.String(), ctx: t.Context(), root: j.modRoot, sums: j.sums, budget: spent, changed: map[string]bool{partMod: true, partZip: true}}
	if _, err := v.goMod(); !errors.Is(err, refusal(RefusedSize)) {
		t.Errorf("a go.mod: %v", err)
	}
	if _, err := v.zipAndTree(); !errors.Is(err, refusal(RefusedSize)) {
		t.Errorf("a zip: %v", err)
	}
	var o output
	if err := o.read(t.Context(), j.buildRoot, hashOf(goArchive), build{}.classOf, spent); !errors.Is(err, refusal(RefusedSize)) {
		t.Errorf("the output of %s: %v", id, err)
	}
}

// overlapping is a zip of so many files that are all the same bytes of it: each inflates to 1 MB.
func overlapping(t *testing.T, files int) string {
	t.Helper()
	var out bytes.Buffer
	w := zip.NewWriter(&out)
	f, err := w.Create(spoilt.String() + "/zeros0000")
	if err == nil {
		_, err = io.CopyN(f, zeros{}, 1<<20)
	}
	if err = errors.Join(err, w.Close()); err != nil {
		t.Fatal(err)
	}
	data := out.Bytes()
	directory, end := bytes.LastIndex(data, []byte("PK\x01\x02")), bytes.LastIndex(data, []byte("PK\x05\x06")) // APPNOTE.TXT 4.3.12, 4.3.16
	entry, last := data[directory:end], bytes.Clone(data[end:])
	packed := bytes.Clone(data[:directory])
	for i := range files {
		packed = append(packed, bytes.Replace(entry, []byte("zeros0000"), fmt.Appendf(nil, "zeros%04d", i), 1)...)
	}
	binary.LittleEndian.PutUint16(last[8:], uint16(files))
	binary.LittleEndian.PutUint16(last[10:], uint16(files))
	binary.LittleEndian.PutUint32(last[12:], uint32(len(packed)-directory))
	return string(append(packed, last...))
}

func TestAZipWhoseEntriesOverlapInflatesToNoMoreThanAnyOther(t *testing.T) {
	t.Parallel()
	for files, want := range map[int]map[string]int{600: {RefusedSize: 1}, 100: {RefusedHash: 1}} { // of 100 MB the sum is another one
		j := newJob(t)
		j.fetch(spoilt, source(spoilt))
		j.write(j.mods, partFile(spoilt, partZip), overlapping(t, files))
		within(t, time.Minute, func() {
			if h := j.harvest(Modules()); !maps.Equal(h.Refused, want) || len(h.Items) != 1 || h.Items[0].Class != ModFile {
				t.Errorf("%d files: saved %v, refused %v", files, h.Items, h.Refused)
			}
		})
	}
}

func TestNamesThatCollideOrAreSwappedAreLeftOut(t *testing.T) {
	t.Parallel()
	j := newJob(t)
	j.fetch(spoilt, source(spoilt))
	// In the cache upper case is written with an exclamation mark: what has an upper case letter is no name of Go's, and would be the honest module on other systems.
	for _, name := range []string{
		"example.com/Spoilt@v1.2.3/a.go", "cache/download/example.com/Spoilt/@v/v1.2.3.zip", "cache/download/example.com/spoilt/@v/V1.2.3.mod", "EXAMPLE.com/spoilt@v1.2.3/a.go",
		"example.com/!!spoilt@v1.2.3/a.go", "example.com/spo!ilt@v1.2.3/a.go\n",
	} {
		j.write(j.mods, name, "evil")
	}
	swapped := module.Version{Path: "example.com/swapped", Version: "v1.0.0"}
	j.fetch(swapped, source(swapped))
	j.write(j.mods, partFile(swapped, partInfo), source(swapped)["go.mod"])
	j.write(j.mods, partFile(swapped, partMod), `{"Version":"v1.0.0"}`)
	other := module.Version{Path: "example.com/other", Version: "v1.0.0"} // with zip, sum and tree of the spoilt one, which are right there
	j.fetch(other, source(other))
	for _, part := range []string{partZip, partZipHash} {
		data, err := j.modRoot.ReadFile(partFile(spoilt, part))
		j.must(err)
		j.write(j.mods, partFile(other, part), string(data))
	}
	h := j.harvest(Modules())
	if got := ids(h.Items, Module); !slices.Equal(got, []string{spoilt.String()}) {
		t.Errorf("saved %v", got)
	}
	if got := strings.Join(ids(h.Items, ModFile), " "); got != other.String() {
		t.Errorf("saved the go.mod files of %s", got)
	}
	if h.Refused[RefusedName] < 5 || h.Refused[RefusedSum] < 2 {
		t.Errorf("refused %v", h.Refused)
	}
}
