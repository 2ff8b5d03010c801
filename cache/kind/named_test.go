package kind

import (
	"maps"
	"slices"
	"strings"
	"testing"
)

func TestAnExtraCacheHasANameOfItsOwn(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"golangci-lint": "", "staticcheck": "", "x": "", "2": "", strings.Repeat("a", 63): "",
		"modules": "is taken", "build": "is taken", "layers": "is taken", "dead": "is taken",
		"": "no name", "Lint": "no name", "-lint": "no name", "lint-": "no name", "a.b": "no name", "a/b": "no name", "..": "no name", "a_b": "no name", "lint\n": "no name",
		strings.Repeat("a", 64): "no name",
	} {
		err := CheckExtra(name)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", name, err, want)
		}
		switch k := Named(name); {
		case err == nil && (k == nil || k.Name() != name):
			t.Errorf("%q is the kind %v", name, k)
		case err != nil && k != nil && k != Modules() && k != Build():
			t.Errorf("%q is a kind", name)
		}
	}
	if Named("modules") != Modules() || Named("build") != Build() {
		t.Error("Go's own caches are not known by their names")
	}
}

// What a linter keeps is taken on the same terms as what Go keeps, and none of it is a package.
func TestAnExtraCacheIsHarvestedAsGosOwn(t *testing.T) {
	t.Parallel()
	j := newJob(t)
	lint := Named("golangci-lint")
	found, archive := j.entry("found nothing", "gob"), j.entry("like a package", goArchive)
	forged, torn := j.entry("forged", "as told"), j.entry("torn", "whole")
	j.write(j.build, outputFile(hashOf("as told")), "as sold")
	j.write(j.build, outputFile(hashOf("whole")), "wh")
	j.write(j.build, "results.json", "{}")
	h := j.harvest(lint)
	want := []string{found, archive}
	slices.Sort(want)
	if !slices.Equal(ids(h.Items, OtherRun), want) || len(h.Items) != 2 {
		t.Errorf("saved %v", h.Items)
	}
	if len(h.New) != 4 || !slices.Contains(h.New, forged) || !slices.Contains(h.New, torn) || len(h.Compiled) != 0 {
		t.Errorf("new: %v, compiled: %v", h.New, h.Compiled)
	}
	if !maps.Equal(h.Refused, map[string]int{RefusedHash: 2, RefusedName: 1}) {
		t.Errorf("refused %v", h.Refused)
	}
	j.knows(h.Items)
	if h := j.harvest(lint); len(h.Items) != 0 || !slices.Equal(h.New, slices.Sorted(slices.Values([]string{found, archive, forged, torn}))) {
		t.Errorf("what is known: saved %v, new %v", h.Items, h.New)
	}
}

func TestAJobAddsNoMoreToAnExtraCacheThanItMay(t *testing.T) {
	t.Parallel()
	j := newJob(t)
	for _, word := range []string{"a", "b", "c"} {
		j.entry(word, strings.Repeat(word, 1000))
	}
	in := j.input(j.buildRoot, changed(t, j.build)...)
	for limit, want := range map[int64]int{0: 3, 4000: 3, 3*(1000+actionSize) - 1: 2, 1000 + actionSize: 1, 1000: 0} {
		in.MaxSize = limit
		h, err := Named("golangci-lint").Harvest(t.Context(), in)
		j.must(err)
		if len(h.Items) != want || h.Refused[RefusedSize] != 3-want {
			t.Errorf("of up to %d bytes: %d entries, refused %v; want %d", limit, len(h.Items), h.Refused, want)
		}
	}
}

// Who writes to the store may say in an index what he likes.
func TestAnIndexOfAnotherKindIsAnErrorAndNoPanic(t *testing.T) {
	t.Parallel()
	j := newJob(t)
	for _, item := range []Item{{ID: "example.com/a@v1.0.0", Class: Module}, {ID: hashOf("a"), Class: OtherRun}} {
		for _, k := range []Kind{Build(), Named("golangci-lint")} {
			for _, err := range k.Files(j.buildRoot, []Item{item}) {
				if err == nil || !strings.Contains(err.Error(), "no entry") {
					t.Errorf("%s: %v", item.ID, err)
				}
			}
		}
	}
}
