package e2e

import (
	"archive/zip"
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"golang.org/x/mod/module"
	"golang.org/x/mod/sumdb/dirhash"
)

// modProxy is a module proxy (go help goproxy) with modules of the tests' own, which counts what it is asked for.
type modProxy struct {
	URL      string
	upstream http.Handler // has what the tests have not, if there is one
	mu       sync.Mutex
	files    map[string][]byte // path → content
	sums     []string          // go.sum lines
	asked    map[string]bool   // path@version
	requests []string          // paths
}

func newModProxy(t *testing.T) *modProxy {
	t.Helper()
	p := &modProxy{files: map[string][]byte{}, asked: map[string]bool{}}
	listener, err := net.Listen("tcp", bridge+":0")
	if err != nil {
		t.Fatal(err)
	}
	server := &httptest.Server{Listener: listener, Config: &http.Server{Handler: p}}
	server.Start()
	t.Cleanup(server.Close)
	p.URL = server.URL
	return p
}

// ServeHTTP implements http.Handler.
func (p *modProxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	data, ok := p.file(r)
	switch {
	case ok:
		_, _ = w.Write(data)
	case p.upstream != nil:
		p.upstream.ServeHTTP(w, r)
	default:
		http.NotFound(w, r)
	}
}

// file notes a request and gives what the tests have for it.
func (p *modProxy) file(r *http.Request) (data []byte, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.requests = append(p.requests, r.URL.Path)
	if data, ok = p.files[strings.TrimPrefix(r.URL.Path, "/")]; !ok {
		return nil, false
	}
	if escaped, file, found := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/@v/"); found && file != "list" {
		name, _ := module.UnescapePath(escaped)
		version, _ := module.UnescapeVersion(strings.TrimSuffix(file, path.Ext(file)))
		p.asked[name+"@"+version] = true
	}
	return data, true
}

// addFolder publishes all files of a folder.
func (p *modProxy) addFolder(t *testing.T, dir string) {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	err := fs.WalkDir(os.DirFS(dir), ".", func(name string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			p.files[name], err = os.ReadFile(filepath.Join(dir, name))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// add publishes a module version; its go.mod requires the given ones.
func (p *modProxy) add(t *testing.T, name, version string, files map[string]string, requires ...string) {
	t.Helper()
	gomod := "module " + name + "\n\ngo 1.24\n"
	for _, r := range requires {
		gomod += "\nrequire " + strings.Replace(r, "@", " ", 1) + "\n"
	}
	all := map[string]string{"go.mod": gomod}
	for file, content := range files {
		all[file] = content
	}
	var archive bytes.Buffer
	z := zip.NewWriter(&archive)
	var names []string
	for file := range all {
		names = append(names, name+"@"+version+"/"+file)
	}
	slices.Sort(names)
	for _, file := range names {
		w, err := z.Create(file)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, all[strings.TrimPrefix(file, name+"@"+version+"/")]); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	open := func(file string) (io.ReadCloser, error) {
		return io.NopCloser(strings.NewReader(all[strings.TrimPrefix(file, name+"@"+version+"/")])), nil
	}
	sum, err := dirhash.Hash1(names, open)
	if err != nil {
		t.Fatal(err)
	}
	modSum, err := dirhash.Hash1([]string{"go.mod"}, func(string) (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(gomod)), nil })
	if err != nil {
		t.Fatal(err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	base := name + "/@v/" + version
	p.files[base+".info"] = fmt.Appendf(nil, `{"Version":%q,"Time":"2020-01-02T03:04:05Z"}`, version)
	p.files[base+".mod"] = []byte(gomod)
	p.files[base+".zip"] = archive.Bytes()
	p.files[name+"/@v/list"] = append(p.files[name+"/@v/list"], version+"\n"...)
	p.sums = append(p.sums, name+" "+version+" "+sum, name+" "+version+"/go.mod "+modSum)
}

// goSum is the go.sum of all that was published.
func (p *modProxy) goSum() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	sums := slices.Clone(p.sums)
	slices.Sort(sums)
	return strings.Join(sums, "\n") + "\n"
}

// fetched tells which module versions were asked for since the last call.
func (p *modProxy) fetched() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var all []string
	for m := range p.asked {
		all = append(all, m)
	}
	p.asked = map[string]bool{}
	slices.Sort(all)
	return all
}

// paths tells all that was asked for since the last call, in order.
func (p *modProxy) paths() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	all := p.requests
	p.requests = nil
	return all
}
