package checkout

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/modfile"
	"golang.org/x/sys/unix"
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
	const lines, longer = 20_000, 20 // a square of it would be 400 times the work
	short, long := longMod(t, lines/longer), longMod(t, lines)
	if list := buildList([]mod{long}, nil); len(list) != lines || list[0] != "example.org/fork0@v1.0.1" {
		t.Errorf("%d modules, the first %s", len(list), list[0])
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	least := func(m mod) time.Duration {
		best := time.Hour
		for range 5 {
			before := worked(t)
			buildList([]mod{m}, nil)
			best = min(best, worked(t)-before)
		}
		return best
	}
	if few, many := least(short), least(long); many > 100*few {
		t.Errorf("%d lines take %s, and %d of them %s", lines, many, lines/longer, few)
	}
}

// worked is how long this thread has had a processor, whatever else the machine does.
func worked(t *testing.T) time.Duration {
	t.Helper()
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &now); err != nil { // Getrusage tells it in ticks on some kernels
		t.Fatal(err)
	}
	return time.Duration(now.Nano())
}
