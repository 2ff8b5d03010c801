//go:build parity && bench

package e2e

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"net/http/httputil"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/store/s3test"
)

// TestTimesOfAWarmJob measures and never fails: make bench-job calls it. A job that builds and vets a module which has not changed, from its
// start to its end, under the docker executor with a cache: in S3 and under ours with the same bucket, in turn: on a host that ran it before, and
// on a host that has never seen the project. GGE_BENCH_MODULE is the module.
func TestTimesOfAWarmJob(t *testing.T) {
	const runs = 3
	module := envOr("GGE_BENCH_MODULE", "github.com/labstack/echo/v4@v4.13.4")
	g := newGitLab(t)
	sha := g.push(t, "group/project", module, moduleFiles(t, module))
	modules, upstream := newModProxy(t), goProxy(t)
	modules.upstream = &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(upstream) }}
	server := s3test.MinIO(t)
	_, reached := s3test.NewProxyAt(t, server, bridge)

	newOurs := func() *host { return hostOf(t, g, sha, bucket(server)) }
	newOracle := func() *host {
		h := dockerHost(t, g, sha, "")
		h.configure("", runnerBucket(reached, "bench"))
		return h
	}
	plain := func(h *host) job {
		return h.newJob(jobImage, "go build ./...", "go vet ./...").variable("GOPROXY", modules.URL).variable("GOTOOLCHAIN", "local")
	}
	// What GitLab's documentation of the cache: keyword advises for Go; the key stands for the content of go.sum, which GitLab hashes.
	cached := func(h *host) job {
		return plain(h).variable("GOMODCACHE", "$CI_PROJECT_DIR/.go/pkg/mod").variable("GOCACHE", "$CI_PROJECT_DIR/.go-build").
			with("cache", []job{{"key": "go-sum", "paths": []string{".go/pkg/mod", ".go-build"}, "policy": "pull-push", "when": "on_success"}})
	}
	seconds := func(h *host, j job) float64 {
		h.t.Helper()
		h.patience = time.Hour // the first job, of a big module
		r := h.run(j.timeout(3600))
		h.succeeded(r)
		return r.Seconds
	}

	ours, oracle := newOurs(), newOracle()
	fmt.Printf("%s, first job: docker executor %.1f s, ours %.1f s\n", module, seconds(oracle, cached(oracle)), seconds(ours, plain(ours)))
	for n := range runs {
		fmt.Printf("%s, same host, run %d: docker executor %.1f s, ours %.1f s\n", module, n+1, seconds(oracle, cached(oracle)), seconds(ours, plain(ours)))
	}
	for n := range runs {
		ours, oracle = newOurs(), newOracle()
		fmt.Printf("%s, new host, run %d: docker executor %.1f s, ours %.1f s\n", module, n+1, seconds(oracle, cached(oracle)), seconds(ours, plain(ours)))
	}
}

// moduleFiles are those of a published module.
func moduleFiles(t *testing.T, module string) map[string]string {
	t.Helper()
	cmd := exec.Command("go", "mod", "download", "-json", module)
	cmd.Dir = t.TempDir() // of no module
	out, err := cmd.Output()
	var found struct{ Dir string }
	if err == nil {
		err = json.Unmarshal(out, &found)
	}
	if err != nil {
		t.Fatalf("go mod download %s: %v\n%s", module, err, out)
	}
	files := map[string]string{}
	root := os.DirFS(found.Dir)
	err = fs.WalkDir(root, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := fs.ReadFile(root, name)
		files[name] = string(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(files["go.sum"], " ") {
		t.Fatalf("%s has no go.sum", module)
	}
	return files
}
