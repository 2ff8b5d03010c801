// Package faulttest chooses what tests of faults try. `make test-faults` tries everything; a change is tested with a share of it, drawn by a seed, so that
// what failed can be repeated. Such tests have the build tag faults and names that begin with TestFault.
package faulttest

import (
	"hash/fnv"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"
)

// What `make test-faults` sets.
const (
	seedVariable  = "GGE_FAULT_SEED"  // any number; 1 if it is not set
	shareVariable = "GGE_FAULT_SHARE" // n: one case in n is tried; 1, all, if it is not set
)

// Rand is a test's own source of chance: the same for the same seed and name of a test.
func Rand(t testing.TB) *rand.Rand {
	t.Helper()
	seed := number(t, seedVariable)
	name := fnv.New64a()
	_, _ = name.Write([]byte(t.Name())) // it never fails
	return rand.New(rand.NewPCG(seed, name.Sum64()))
}

// Pick gives the cases that are to be tried, in an order that was drawn: all of them, or a share, at least one.
func Pick[T any](t testing.TB, cases []T) []T {
	t.Helper()
	picked := make([]T, Times(t, len(cases)))
	for to, from := range Rand(t).Perm(len(cases))[:len(picked)] {
		picked[to] = cases[from]
	}
	return picked
}

// Times is how often something is to be tried that is tried n times in all: that often, or a share, at least once.
func Times(t testing.TB, n int) int {
	t.Helper()
	return min(n, max(1, n/int(number(t, shareVariable))))
}

// Progress tells how far a test has come, for whoever waits for it.
func Progress(t testing.TB, format string, args ...any) {
	t.Helper()
	t.Logf(time.Now().Format(time.TimeOnly)+" "+format, args...)
}

// number is a variable's number above 0.
func number(t testing.TB, variable string) uint64 {
	t.Helper()
	text := os.Getenv(variable)
	if text == "" {
		return 1
	}
	n, err := strconv.ParseUint(text, 10, 31)
	if err != nil || n == 0 {
		t.Fatalf("%s=%s: want a number from 1 to %d", variable, text, 1<<31-1)
	}
	return n
}
