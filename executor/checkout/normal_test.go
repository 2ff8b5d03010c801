package checkout

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/modfile"
)

// longMod is a go.mod of so many requirements, with a replacement and an exclusion for each.
func longMod(t *testing.T, lines int) mod {
	t.Helper()
	var text strings.Builder
	text.WriteString("module example.org/m\n\ngo 1.24\n")
	for i := range lines {
		fmt.Fprintf(&text, "require example.org/m%d v1.0.0\nreplace example.org/m%d => example.org/fork%d v1.0.1\nexclude example.org/m%d v1.0.2\n", i, lines-1-i, lines-1-i, i)
	}
	file, err := modfile.Parse("go.mod", []byte(text.String()), nil)
	if err != nil {
		t.Fatal(err)
	}
	return newMod(".", file)
}

func TestALongModuleFileCostsNoMoreThanItsLength(t *testing.T) {
	t.Parallel()
	const lines = 20_000
	short, long := longMod(t, lines/10), longMod(t, lines)
	if list := buildList([]mod{long}, nil); len(list) != lines || list[0] != "example.org/fork0@v1.0.1" {
		t.Errorf("%d modules, the first %s", len(list), list[0])
	}
	quickest := func(m mod) time.Duration { // whatever else the machine does
		best := time.Hour
		for range 5 {
			began := time.Now()
			buildList([]mod{m}, nil)
			best = min(best, time.Since(began))
		}
		return best
	}
	if few, many := quickest(short), quickest(long); many > 40*few {
		t.Errorf("%d lines take %s, and a tenth of them %s", lines, many, few)
	}
}
