//go:build parity && bench

package e2e

import (
	"fmt"
	"slices"
	"testing"
)

// TestTimesOfATrivialJob measures and never fails: make bench-overhead calls it. A job that does nothing, under the docker executor and under ours in
// turn, with its sources and without.
func TestTimesOfATrivialJob(t *testing.T) {
	const runs = 10
	g := newGitLab(t)
	sha := parityProject(t, g)
	ours, oracle := hostOf(t, g, sha, ""), dockerHost(t, g, sha, "")
	for _, image := range []string{busybox, jobImage} {
		for _, strategy := range []string{"fetch", "none"} {
			var theirs, mine []float64
			for range runs {
				j := ours.newJob(image, "true").variable("GIT_STRATEGY", strategy)
				for host, seconds := range map[*host]*[]float64{oracle: &theirs, ours: &mine} {
					r := host.run(j)
					host.succeeded(r)
					*seconds = append(*seconds, r.Seconds)
				}
			}
			slices.Sort(theirs)
			slices.Sort(mine)
			fmt.Printf("%s, GIT_STRATEGY=%s: docker executor %.2f s, ours %.2f s, %.2fx (medians of %d)\n",
				image, strategy, theirs[runs/2], mine[runs/2], theirs[runs/2]/mine[runs/2], runs)
		}
	}
}
