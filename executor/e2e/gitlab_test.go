package e2e

import (
	"io"
	"net"
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// gitlab stands in for a GitLab: repositories over git's own HTTP server, their LFS objects, and the artifacts part of the job API.
type gitlab struct {
	URL   string
	dir   string
	mu    sync.Mutex
	zips  map[string][]byte // job id → artifacts archive
	large map[string]string // LFS objects: id → content

	onClone func()
	fault   fault
}

// fault is what the next requests of a kind meet.
type fault struct {
	times int
	kind  func(r *http.Request) bool
}

func newGitLab(t *testing.T) *gitlab {
	t.Helper()
	g := &gitlab{dir: t.TempDir(), zips: map[string][]byte{}, large: map[string]string{}}
	git := gitServer(t, g.dir)
	mux := http.NewServeMux()
	mux.HandleFunc("POST /api/v4/jobs/{id}/artifacts", g.upload)
	mux.HandleFunc("GET /api/v4/jobs/{id}/artifacts", g.download)
	mux.HandleFunc("POST /{group}/{project}/info/lfs/objects/batch", g.lfsBatch)
	mux.HandleFunc("GET /lfs-objects/{id}", g.lfsObject)
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		g.mu.Lock()
		then := g.onClone
		g.onClone = nil
		g.mu.Unlock()
		if then != nil {
			then()
		}
		git.ServeHTTP(w, r)
	})
	g.URL = serveOnBridge(t, g.faulty(mux))
	return g
}

// gitServer is git's own HTTP server for the repositories in a folder.
func gitServer(t *testing.T, dir string) http.Handler {
	t.Helper()
	core, err := exec.Command("git", "--exec-path").Output()
	if err != nil {
		t.Fatal(err)
	}
	return &cgi.Handler{
		Path: filepath.Join(strings.TrimSpace(string(core)), "git-http-backend"),
		Env:  []string{"GIT_PROJECT_ROOT=" + dir, "GIT_HTTP_EXPORT_ALL=1", "GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=safe.directory", "GIT_CONFIG_VALUE_0=*"},
	}
}

// serveOnBridge answers where containers reach it, until the test ends.
func serveOnBridge(t *testing.T, handler http.Handler) (url string) {
	t.Helper()
	listener, err := net.Listen("tcp", bridge+":0")
	if err != nil {
		t.Fatal(err)
	}
	server := &httptest.Server{Listener: listener, Config: &http.Server{Handler: handler}}
	server.Start()
	t.Cleanup(server.Close)
	return server.URL
}

// failNext has the next requests of a kind answered as by a GitLab that is being restarted.
func (g *gitlab) failNext(times int, kind func(r *http.Request) bool) {
	g.mu.Lock()
	g.fault = fault{times, kind}
	g.mu.Unlock()
}

// sourceRequests are the first requests of a git fetch.
func sourceRequests(r *http.Request) bool { return strings.HasSuffix(r.URL.Path, ".git/info/refs") }

// artifactRequests are those for other jobs' artifacts.
func artifactRequests(r *http.Request) bool {
	return r.Method == http.MethodGet && strings.HasSuffix(r.URL.Path, "/artifacts")
}

func (g *gitlab) faulty(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		g.mu.Lock()
		fails := g.fault.times > 0 && g.fault.kind(r)
		if fails {
			g.fault.times--
		}
		g.mu.Unlock()
		if fails {
			http.Error(w, "GitLab is not responding", http.StatusServiceUnavailable)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// atClone has a function called once, when a job begins to fetch its sources.
func (g *gitlab) atClone(do func()) {
	g.mu.Lock()
	g.onClone = do
	g.mu.Unlock()
}

func (g *gitlab) upload(w http.ResponseWriter, r *http.Request) {
	file, _, err := r.FormFile("file")
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	data, err := io.ReadAll(file)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	g.mu.Lock()
	g.zips[r.PathValue("id")] = data
	g.mu.Unlock()
	w.WriteHeader(http.StatusCreated)
}

func (g *gitlab) download(w http.ResponseWriter, r *http.Request) {
	g.mu.Lock()
	data, ok := g.zips[r.PathValue("id")]
	g.mu.Unlock()
	if !ok {
		http.NotFound(w, r)
		return
	}
	_, _ = w.Write(data)
}

// repository makes a project with one commit of the given files and tells its commit.
func (g *gitlab) repository(t *testing.T, path string, files map[string]string) (sha string) {
	t.Helper()
	return g.push(t, path, "first", files)
}

// push adds a commit that holds exactly the given files to a project, which is made if need be.
func (g *gitlab) push(t *testing.T, path, message string, files map[string]string) (sha string) {
	t.Helper()
	dir := filepath.Join(g.dir, path+".git")
	work := t.TempDir()
	for name, content := range files {
		file := filepath.Join(work, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	git := func(args ...string) string {
		cmd := exec.Command("git", append([]string{"-c", "user.name=t", "-c", "user.email=t@example.com", "--git-dir", dir, "--work-tree", work}, args...)...)
		cmd.Dir = work
		// The same files make the same commit: Go writes it into programs, and would build them anew for another one.
		cmd.Env = append(os.Environ(), "GIT_AUTHOR_DATE=2026-01-02T03:04:05Z", "GIT_COMMITTER_DATE=2026-01-02T03:04:05Z")
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("git %v: %v\n%s", args, err, out)
		}
		return strings.TrimSpace(string(out))
	}
	if _, err := os.Stat(dir); err != nil {
		if out, err := exec.Command("git", "init", "-q", "--bare", "-b", "main", dir).CombinedOutput(); err != nil {
			t.Fatalf("git init: %v\n%s", err, out)
		}
	}
	git("add", "-A", "-f", ".")
	git("commit", "-q", "--allow-empty", "-m", message)
	return git("rev-parse", "HEAD")
}
