package faulttest

import (
	"slices"
	"testing"
)

func TestAShareIsDrawnAndMayBeDrawnAgain(t *testing.T) {
	cases := []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}
	all := Pick(t, cases)
	if sorted := slices.Sorted(slices.Values(all)); !slices.Equal(sorted, cases) {
		t.Errorf("of all cases %v are tried", sorted)
	}
	t.Setenv(shareVariable, "4")
	some := Pick(t, cases)
	if len(some) != 2 || !slices.Equal(some, all[:2]) {
		t.Errorf("a fourth of %v is %v", all, some)
	}
	if again := Pick(t, cases); !slices.Equal(again, some) {
		t.Errorf("the same seed draws %v, then %v", some, again)
	}
	t.Setenv(seedVariable, "2")
	if others := Pick(t, cases); slices.Equal(others, some) {
		t.Errorf("another seed draws %v too", others)
	}
}

func TestAtLeastOneCaseIsTried(t *testing.T) {
	t.Setenv(shareVariable, "100")
	if n := Times(t, 30); n != 1 {
		t.Errorf("a hundredth of 30 is %d", n)
	}
	if n := Times(t, 0); n != 0 {
		t.Errorf("of nothing %d are tried", n)
	}
}
