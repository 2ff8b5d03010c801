package store

import (
	"slices"
	"testing"
)

func TestAFileIsWholeUpToItsFirstGap(t *testing.T) {
	t.Parallel()
	var told []int64
	w := wholeness{tell: func(upTo int64) { told = append(told, upTo) }}
	for _, r := range [][2]int64{{20, 30}, {0, 10}, {40, 45}, {10, 20}, {30, 40}} {
		w.add(r[0], r[1])
	}
	if want := []int64{10, 30, 45}; !slices.Equal(told, want) {
		t.Errorf("told %v, want %v", told, want)
	}
	w.anew()
	if told[len(told)-1] != 0 {
		t.Errorf("told %v of a file that is written anew", told)
	}
	(&wholeness{}).add(0, 1) // nobody listens
}
