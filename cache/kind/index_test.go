package kind

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestAnIndexReadsBackAsItWasWritten(t *testing.T) {
	t.Parallel()
	a, b := strings.Repeat("a", 64), strings.Repeat("b", 64)
	items := []Item{
		{ID: b, Class: Package, Detail: a, Size: 12345},
		{ID: a, Class: TestLog, Detail: b, Size: 0},
		{ID: "github.com/BurntSushi/toml@v1.6.0", Class: Module, Detail: "info", Size: 1},
		{ID: "golang.org/x/mod@v0.42.0", Class: ModFile, Size: 77},
		{ID: "sumdb/sum.golang.org/lookup/golang.org/x/mod@v0.42.0", Class: Checksum, Detail: "71769961", Size: 400},
		{ID: "sumdb/sum.golang.org/tile/8/0/x123/456.p/7", Class: Checksum, Size: 224},
	}
	text := string(MarshalIndex(items))
	want := a + " testlog " + b + " 0\n" + b + " package " + a + " 12345\n" +
		"github.com/BurntSushi/toml@v1.6.0 module info 1\ngolang.org/x/mod@v0.42.0 modfile - 77\n" +
		"sumdb/sum.golang.org/lookup/golang.org/x/mod@v0.42.0 checksum 71769961 400\n" +
		"sumdb/sum.golang.org/tile/8/0/x123/456.p/7 checksum - 224\n"
	if text != want {
		t.Errorf("got\n%swant\n%s", text, want)
	}
	got, err := ParseIndex([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	if slices.SortFunc(items, byID); !slices.Equal(got, items) {
		t.Errorf("got %v, want %v", got, items)
	}
	if got, err := ParseIndex(nil); err != nil || len(got) != 0 {
		t.Errorf("an empty index gives %v, %v", got, err)
	}
}

func TestAnIndexThatWasTamperedWithIsRefused(t *testing.T) {
	t.Parallel()
	a, b := strings.Repeat("a", 64), strings.Repeat("b", 64)
	good := a + " package " + b + " 12\n"
	if _, err := ParseIndex([]byte(good)); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"cut off":                strings.TrimSuffix(good, "\n"),
		"an empty line":          good + "\n",
		"twice the same":         good + good,
		"out of order":           b + " package " + b + " 12\n" + good,
		"two blanks":             strings.Replace(good, " package", "  package", 1),
		"a fifth field":          strings.Replace(good, "12", "12 13", 1),
		"a negative size":        strings.Replace(good, "12", "-12", 1),
		"a signed size":          strings.Replace(good, "12", "+12", 1),
		"a size in another form": strings.Replace(good, "12", "012", 1),
		"a size beyond all":      strings.Replace(good, "12", "99999999999999999999", 1),
		"a carriage return":      strings.Replace(good, "\n", "\r\n", 1),
		"what is no class":       strings.Replace(good, "package", "Shell", 1),
		"a class of another release with an ID of no use": strings.Replace(good, a+" package", "\x1b shell", 1),
		"an empty detail":                "golang.org/x/mod@v0.42.0 modfile  12\n",
		"an ID that leads out":           "../../x package " + b + " 12\n",
		"an ID in upper case":            strings.Repeat("A", 64) + " package " + b + " 12\n",
		"no output":                      a + " package - 12\n",
		"an output that leads out":       a + " package ../" + b[3:] + " 12\n",
		"a module without version":       "golang.org/x/mod module info 12\n",
		"a module that leads out":        "../x@v1.0.0 module info 12\n",
		"a version that leads out":       "golang.org/x/mod@../v1.0.0 module info 12\n",
		"a version that is a branch":     "golang.org/x/mod@master module info 12\n",
		"a detail that modules have not": "golang.org/x/mod@v0.42.0 module else 12\n",
		"a hash as module":               a + " module info 12\n",
		"a checksum that leads out":      "sumdb/../tile/8/0/000 checksum - 12\n",
		"a record that leads out":        "sumdb/sum.golang.org/lookup/../x@v1.0.0 checksum 5 12\n",
		"a record of no tree":            "sumdb/sum.golang.org/lookup/golang.org/x/mod@v0.42.0 checksum - 12\n",
		"a record of a tree of no size":  "sumdb/sum.golang.org/lookup/golang.org/x/mod@v0.42.0 checksum 05 12\n",
		"a tile with a detail":           "sumdb/sum.golang.org/tile/8/0/000 checksum 5 12\n",
		"a tile of another height":       "sumdb/sum.golang.org/tile/9/0/000 checksum - 12\n",
		"a module as checksum":           "golang.org/x/mod@v0.42.0 checksum - 12\n",
		"a checksum as module":           "sumdb/sum.golang.org/lookup/golang.org/x/mod@v0.42.0 module - 12\n",
	} {
		if items, err := ParseIndex([]byte(text)); err == nil {
			t.Errorf("%s: accepted as %v", name, items)
		}
	}
}

// Its items have their places, which bits of use go by; nothing else is done with them.
func TestAnIndexOfALaterReleaseIsReadAsFarAsItIsKnown(t *testing.T) {
	t.Parallel()
	a, b := strings.Repeat("a", 64), strings.Repeat("b", 64)
	text := a + " package " + b + " 12\n" + "tomorrow/x tree-2 ../anything 5\n"
	items, err := ParseIndex([]byte(text))
	if err != nil || len(items) != 2 || items[0].Foreign() || !items[1].Foreign() || string(MarshalIndex(items)) != text {
		t.Errorf("%+v, %v", items, err)
	}
}

// A restore reads the indexes of all layers of a job's base.
func TestTheIndexOfABigProjectIsReadInNoTime(t *testing.T) {
	t.Parallel()
	items := make([]Item, 40_000)
	for i := range items {
		hash := fmt.Sprintf("%064x", i)
		items[i] = Item{ID: hash, Class: Package, Detail: hash, Size: int64(i)}
	}
	data := MarshalIndex(items)
	best := time.Hour
	for range 5 { // the machine may be busy
		began := time.Now()
		if _, err := ParseIndex(data); err != nil {
			t.Fatal(err)
		}
		best = min(best, time.Since(began))
	}
	if best > 200*time.Millisecond { // measured 11 ms on an idle machine
		t.Errorf("%v for %d items", best, len(items))
	}
	t.Logf("%v for %d items", best, len(items))
}
