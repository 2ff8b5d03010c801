package e2e

import (
	"context"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

// Tools of go install, and all that go mod download is told by name, are in no go.sum.
func TestAnswersOfTheChecksumDatabaseAreKept(t *testing.T) {
	t.Parallel()
	g := newGoHost(t, "")
	g.proxy.addFolder(t, filepath.Join("..", "..", "testdata", "goproxy"))
	download := func() job {
		return g.newJob(jobImage, "cd /tmp", "go mod download rsc.io/sampler@v1.3.0").variable("GOPROXY", g.proxy.URL)
	}
	_, f := g.ran(download())
	if asked := strings.Join(g.proxy.paths(), " "); f.Missed != 1 || f.Saved <= 0 || !strings.Contains(asked, "/tile/") {
		t.Errorf("cold: %s, asked for %s", f, asked)
	}
	_, f = g.ran(download())
	if asked := g.proxy.paths(); f.HitHost != 1 || f.Missed != 0 || f.Saved != 0 || len(asked) != 0 {
		t.Errorf("warm: %s, asked for %v", f, asked)
	}
}

// A toolchain is in no go.sum either, and Go wants to see what the checksum database says of it whenever it is used. Only a real
// one will do, since no other has a checksum there.
func TestAToolchainIsDownloadedOnce(t *testing.T) {
	t.Parallel()
	upstream := goProxy(t)
	g := newGoHost(t, "")
	g.proxy.upstream = &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(upstream) }}
	g.change(map[string]string{
		"go.mod": "module example.com/app\n\ngo 1.24\n\ntoolchain go1.25.0\n", "go.sum": "",
		"main.go": "package main\n\nfunc main() {}\n", "sum/sum.go": "package sum\n", "sum/sum_test.go": "package sum\n",
	})
	run := func() job { // a Go of the image that is older than the toolchain of the project, as in years to come
		return g.newJob(jobImage, "go version", "go run .").variable("GOPROXY", g.proxy.URL).variable("GOTOOLCHAIN", "go1.24.0+auto")
	}
	r, f := g.ran(run())
	g.prints(r, "go version go1.25.0 linux/"+runtime.GOARCH)
	if asked := strings.Join(g.proxy.paths(), " "); f.Missed != 1 || !strings.Contains(asked, ".zip") || !strings.Contains(asked, "/tile/") {
		t.Errorf("cold: %s, asked for %s", f, asked)
	}
	r, f = g.ran(run())
	g.prints(r, "go version go1.25.0 linux/"+runtime.GOARCH)
	if asked := g.proxy.paths(); f.HitHost != 1 || f.Missed != 0 || f.New != 0 || len(asked) != 0 {
		t.Errorf("warm: %s, asked for %v", f, asked)
	}
}

// goProxy is the module proxy of this machine's Go.
func goProxy(t *testing.T) *url.URL {
	t.Helper()
	out, err := exec.Command("go", "env", "GOPROXY").Output()
	if err != nil {
		t.Fatal(err)
	}
	first, _, _ := strings.Cut(strings.ReplaceAll(strings.TrimSpace(string(out)), "|", ","), ",")
	proxy, err := url.Parse(first)
	if err != nil || proxy.Host == "" {
		t.Skipf("GOPROXY begins with %q, which is no proxy to get a toolchain from", first)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, proxy.JoinPath("sumdb/sum.golang.org/supported").String(), nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Skipf("no toolchain can be had without a network: %v", err)
	}
	_ = answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		t.Skipf("%s has no checksums of toolchains: %s", proxy.Host, answer.Status)
	}
	return proxy
}
