package cache

import (
	"reflect"
	"slices"
	"testing"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/stats"
)

func TestARestoreSaysWhichBasesItHadToChooseFrom(t *testing.T) {
	t.Parallel()
	c := newCache(t)
	compiled(t, c, request("1"), "a")
	other := request("2")
	other.Graph = digestOf("b")
	compiled(t, c, other, "b")
	compiled(t, c, request("3"), "c")

	ref := request("4")
	ref.Tier, ref.Below, ref.Graph = "ref-x", "protected", digestOf("b")
	got := begin(t, c, ref).got
	want := []stats.Base{
		{Kind: "build", Tier: "ref-x"},
		{Kind: "build", Tier: "protected", Entries: 3, Job: "2", Graph: digestOf("b"), Exact: true},
	}
	for i := range got.Bases {
		if got.Bases[i].Saved.IsZero() != (got.Bases[i].Entries == 0) {
			t.Errorf("saved at %v", got.Bases[i].Saved)
		}
		got.Bases[i].Saved = want[i].Saved
	}
	if !reflect.DeepEqual(got.Bases, want) {
		t.Errorf("got %+v\nwant %+v", got.Bases, want)
	}
	if base := got.Base(); base == nil || base.Job != "2" {
		t.Errorf("the base is %+v", base)
	}
	ref.Job, ref.Graph = "5", digestOf("c")
	if base := begin(t, c, ref).got.Base(); base == nil || base.Job != "3" || base.Exact || base.Graph != digestOf("a") {
		t.Errorf("the nearest base is %+v", base)
	}
	if base := begin(t, newCache(t), request("6")).got.Base(); base != nil {
		t.Errorf("there was nothing, and the base is %+v", base)
	}
}

func TestModulesThatTheBaseLacksAreNamedWithWhatItHadInstead(t *testing.T) {
	t.Parallel()
	p := newPlan(Request{Modules: []string{"example.com/a@v1.0.0", "example.com/b@v1.10.0", "example.com/new@v0.1.0"}})
	p.Layers = []held{
		{LayerRef: LayerRef{Modules: []string{"example.com/a@v1.0.0", "example.com/b@v1.8.0"}}},
		{LayerRef: LayerRef{Modules: []string{"example.com/b@v1.9.0", "example.com/gone@v1.0.0"}}},
	}
	want := []stats.Change{{Path: "example.com/b", Had: "v1.9.0", Want: "v1.10.0"}, {Path: "example.com/new", Want: "v0.1.0"}}
	if got := p.changed(); !slices.Equal(got, want) {
		t.Errorf("got %+v", got)
	}
}

func TestCountingBetweenTwoScriptsSaysWhatTheSaveWillSayAndSavesNothing(t *testing.T) {
	t.Parallel()
	c := newCache(t)
	compiled(t, c, request("1"), "a", "b")
	j := begin(t, c, request("2"))
	j.compile("c")
	j.opened("a")
	before := journalOf(t, c, request(""))
	counted, err := c.Count(t.Context(), j.dir)
	if err != nil {
		t.Fatal(err)
	}
	if after := journalOf(t, c, request("")); len(after) != len(before) {
		t.Errorf("%d entries, before %d", len(after), len(before))
	}
	saved := j.end()
	if !reflect.DeepEqual(counted.Build, saved.Build) || *saved.Build.Hit != 1 || *saved.Build.New != 1 || saved.Items != 1 || counted.Items != 0 {
		t.Errorf("counted %+v, saved %+v", counted, saved)
	}
}
