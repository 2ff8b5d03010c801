//go:build parity && bench

package e2e

import (
	"fmt"
	"net/http/httputil"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

// TestTimesOfCounting measures and never fails: make bench-stats calls it. A warm job that builds and vets a module, on a host that counts hits,
// keeps a ledger and answers for its metrics, and on one that does none of it, in turn. GGE_BENCH_MODULE is the module.
func TestTimesOfCounting(t *testing.T) {
	const runs = 9 // after one that mounts layers which nobody has read yet
	module := envOr("GGE_BENCH_MODULE", "github.com/labstack/echo/v4@v4.13.4")
	g := newGitLab(t)
	sha := g.push(t, "group/project", module, moduleFiles(t, module))
	modules, upstream := newModProxy(t), goProxy(t)
	modules.upstream = &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(upstream) }}
	counting := hostOf(t, g, sha, fmt.Sprintf("[stats]\nlisten_address = %q\n", freeAddress(t)))
	quiet := hostOf(t, g, sha, "[stats]\nmax_size = 0\ncount_hits = false\nlisten_address = \"\"\n")
	warm := false
	seconds := func(h *host) float64 {
		h.patience = time.Hour // the first job, of a big module
		j := h.newJob(jobImage, "go build ./...", "go vet ./...").variable("GOPROXY", modules.URL).variable("GOTOOLCHAIN", "local").timeout(3600)
		r := h.run(j)
		h.succeeded(r)
		if f := h.figures(j); warm && (f.Reason != "exact" || h.adds(f)) {
			t.Fatalf("a job that was to be warm was %s:\n%s\n%s", f, r.Log, h.operatorLog())
		}
		return r.Seconds
	}
	fmt.Printf("%s, cold: %.1f s\n", module, seconds(counting))
	store := func(h *host) string { return filepath.Join(h.StateDir, "store", "v1", h.instance) }
	quiet.copyStore(store(counting), store(quiet))
	warm = true
	defer counting.serve()()
	defer quiet.serve()()
	var on, off []float64
	for n := range runs + 1 {
		a, b := seconds(counting), seconds(quiet)
		if n == 0 {
			continue
		}
		fmt.Printf("run %d: %.2f s counted, %.2f s not counted\n", n, a, b)
		on, off = append(on, a), append(off, b)
	}
	slices.Sort(on)
	slices.Sort(off)
	fmt.Printf("%s, warm: %.2f s counted, %.2f s not counted, %+.1f %% (medians of %d)\n", module, on[runs/2], off[runs/2], 100*(on[runs/2]/off[runs/2]-1), runs)
}
