package kind

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"golang.org/x/mod/module"
	"golang.org/x/mod/sumdb"
	"golang.org/x/mod/sumdb/note"
)

// sumServer is a checksum database of its own.
type sumServer struct {
	*sumdb.Server
	key string
}

func newSumServer(t testing.TB) sumServer {
	t.Helper()
	signer, verifier, err := note.GenerateKey(rand.Reader, "sum.example.com")
	if err != nil {
		t.Fatal(err)
	}
	ops := sumdb.NewTestServer(signer, func(path, version string) ([]byte, error) {
		return []byte(path + " " + version + " h1:" + path + "\n" + path + " " + version + "/go.mod h1:mod\n"), nil
	})
	return sumServer{sumdb.NewServer(ops), verifier}
}

func (s sumServer) get(t testing.TB, path string) []byte {
	t.Helper()
	w := httptest.NewRecorder()
	s.ServeHTTP(w, httptest.NewRequestWithContext(context.Background(), http.MethodGet, path, nil))
	if w.Code != http.StatusOK {
		t.Fatalf("%s: %d", path, w.Code)
	}
	return w.Body.Bytes()
}

// grow has the database learn of n more versions.
func (s sumServer) grow(t *testing.T, name string, n int) {
	t.Helper()
	for i := range n {
		s.get(t, fmt.Sprintf("/lookup/example.com/%s%d@v1.0.0", name, i))
	}
}

// client asks a database as cmd/go does, and keeps what it is told in the module cache.
type client struct {
	*job
	db     sumServer
	stale  map[string][]byte // answers that a proxy kept
	latest []byte

	mu    sync.Mutex
	asked []string
}

// client is that of a job whose container is fresh.
func (j *job) client(db sumServer) *client { return &client{job: j, db: db} }

// lookup wants the sums of versions v1.0.0, in this order.
func (c *client) lookup(paths ...string) {
	c.t.Helper()
	cmdGo := sumdb.NewClient(c)
	for _, path := range paths {
		lines, err := cmdGo.Lookup(path, "v1.0.0")
		if err != nil || !slices.Equal(lines, []string{path + " v1.0.0 h1:" + path}) {
			c.t.Errorf("%s: %v %v", path, lines, err)
		}
	}
}

func (c *client) ReadRemote(path string) ([]byte, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.asked = append(c.asked, path)
	if answer := c.stale[path]; answer != nil {
		return answer, nil
	}
	return c.db.get(c.t, path), nil
}

func (c *client) ReadConfig(file string) ([]byte, error) {
	if file == "key" {
		return []byte(c.db.key), nil
	}
	return c.latest, nil
}

func (c *client) WriteConfig(_ string, _, latest []byte) error { c.latest = latest; return nil }

// ReadCache finds what is there by that very name only.
func (c *client) ReadCache(file string) ([]byte, error) {
	return os.ReadFile(filepath.Join(c.mods, sumdbFolder, file))
}

func (c *client) WriteCache(file string, data []byte) {
	name := filepath.Join(c.mods, sumdbFolder, file)
	if err := os.MkdirAll(filepath.Dir(name), 0o777); err != nil {
		c.t.Error(err)
	}
	if err := os.WriteFile(name, data, 0o600); err != nil {
		c.t.Error(err)
	}
}

func (c *client) Log(text string)           { c.t.Log(text) }
func (c *client) SecurityError(text string) { c.t.Error(text) }

// A proxy may answer with a record that it fetched when the tree was smaller. The job had a newer tree by then, from another record or from
// its image, and fetched wider tiles than the old one has.
func TestAnOldRecordIsProvenByTheTilesOfANewerTree(t *testing.T) {
	t.Parallel()
	db := newSumServer(t)
	old := map[string][]byte{"/lookup/example.com/old@v1.0.0": db.get(t, "/lookup/example.com/old@v1.0.0")}
	db.grow(t, "a", 4)

	j := newJob(t)
	c := j.client(db)
	c.stale = old
	c.lookup("example.com/new", "example.com/old")
	tiles := changed(t, filepath.Join(j.mods, sumdbFolder, "sum.example.com", "tile"))
	if strings.Join(tiles, " ") != "8/0/000.p/6" {
		t.Fatalf("the job fetched %v, which is not what this test is about", tiles)
	}
	d, err := newDatabase(j.modRoot, db.key, j.input(j.modRoot, changed(t, j.mods)...))
	j.must(err)
	for _, path := range []string{"example.com/new", "example.com/old"} {
		mod := module.Version{Path: path, Version: "v1.0.0"}
		if !d.has(mod, "", "h1:"+path) || !d.has(mod, "/go.mod", "h1:mod") {
			t.Errorf("%s is not proven", path)
		}
		if d.has(mod, "", "h1:mod") || d.has(mod, "/go.mod", "h1:"+path) || d.has(mod, "", "") {
			t.Errorf("anything is proven for %s", path)
		}
	}
	if d.has(module.Version{Path: "example.com/a0", Version: "v1.0.0"}, "", "h1:example.com/a0") {
		t.Error("proven what the job never asked for")
	}

	inImage := newJob(t).client(db)
	inImage.stale, inImage.latest = old, c.latest
	inImage.lookup("example.com/old")
	inImage.anyOrder(t, db, inImage.checksums(db), "example.com/old")
}

func TestADatabaseThatIsNotGosOwnProvesNothing(t *testing.T) {
	t.Parallel()
	j, db := newJob(t), newSumServer(t)
	j.client(db).lookup("example.com/a")
	folder := filepath.Join(j.mods, sumdbFolder)
	j.must(os.Rename(filepath.Join(folder, "sum.example.com"), filepath.Join(folder, "sum.golang.org")))
	d, err := newDatabase(j.modRoot, sumGolangOrg, j.input(j.modRoot, changed(t, j.mods)...))
	j.must(err)
	if d.has(module.Version{Path: "example.com/a", Version: "v1.0.0"}, "", "h1:example.com/a") {
		t.Error("a stranger's key counts")
	}
	if h := j.harvest(Modules()); len(h.Items) != 0 {
		t.Errorf("saved %v", ids(h.Items))
	}
}
