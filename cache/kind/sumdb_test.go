package kind

import (
	"context"
	"crypto/rand"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/mod/module"
	"golang.org/x/mod/sumdb"
	"golang.org/x/mod/sumdb/note"
)

// database is a checksum database of its own.
type database struct {
	*sumdb.Server
	key string
}

func newDatabase(t *testing.T) database {
	t.Helper()
	signer, verifier, err := note.GenerateKey(rand.Reader, "sum.example.com")
	if err != nil {
		t.Fatal(err)
	}
	ops := sumdb.NewTestServer(signer, func(path, version string) ([]byte, error) {
		return []byte(path + " " + version + " h1:" + path + "\n" + path + " " + version + "/go.mod h1:mod\n"), nil
	})
	return database{sumdb.NewServer(ops), verifier}
}

func (d database) get(t *testing.T, path string) []byte {
	t.Helper()
	w := httptest.NewRecorder()
	d.ServeHTTP(w, httptest.NewRequestWithContext(context.Background(), http.MethodGet, path, nil))
	if w.Code != http.StatusOK {
		t.Fatalf("%s: %d", path, w.Code)
	}
	return w.Body.Bytes()
}

// client asks a database as cmd/go does, and keeps what it is told in the module cache.
type client struct {
	fetched
	t      *testing.T
	db     database
	stale  map[string][]byte // answers that a proxy kept
	latest []byte
}

func (c *client) ReadRemote(path string) ([]byte, error) {
	if answer := c.stale[path]; answer != nil {
		return answer, nil
	}
	return c.db.get(c.t, path), nil
}

func (c *client) ReadConfig(file string) ([]byte, error) {
	if file == "key" {
		return []byte(c.verifier), nil
	}
	return c.latest, nil
}

func (c *client) WriteConfig(_ string, _, latest []byte) error { c.latest = latest; return nil }

// ReadCache finds what is there by that very name only.
func (c *client) ReadCache(file string) ([]byte, error) { return c.read(file) }

func (c *client) WriteCache(file string, data []byte) {
	name := filepath.Join(c.root.Name(), sumdbFolder, file)
	if err := os.MkdirAll(filepath.Dir(name), 0o777); err != nil {
		c.t.Error(err)
	}
	if err := os.WriteFile(name, data, 0o600); err != nil {
		c.t.Error(err)
	}
}

// A proxy may answer with a record that it fetched when the tree was smaller. The job had a newer tree by then, and fetched wider
// tiles than the old one has.
func TestAnOldRecordIsProvenByTheTilesOfANewerTree(t *testing.T) {
	t.Parallel()
	j, db := newJob(t), newDatabase(t)
	old := db.get(t, "/lookup/example.com/old@v1.0.0")
	for _, name := range []string{"a", "b", "c", "d"} {
		db.get(t, "/lookup/example.com/"+name+"@v1.0.0")
	}
	c := &client{fetched: fetched{root: j.modRoot, verifier: db.key}, t: t, db: db, stale: map[string][]byte{"/lookup/example.com/old@v1.0.0": old}}
	cmdGo := sumdb.NewClient(c)
	for _, path := range []string{"example.com/new", "example.com/old"} {
		if _, err := cmdGo.Lookup(path, "v1.0.0"); err != nil {
			t.Fatal(err)
		}
	}
	tiles := changed(t, filepath.Join(j.mods, sumdbFolder, "sum.example.com", "tile"))
	if strings.Join(tiles, " ") != "8/0/000.p/6" {
		t.Fatalf("the job fetched %v, which is not what this test is about", tiles)
	}
	p := proof{root: j.modRoot, verifier: db.key}
	for _, path := range []string{"example.com/new", "example.com/old"} {
		mod := module.Version{Path: path, Version: "v1.0.0"}
		if !p.has(mod, "", "h1:"+path) || !p.has(mod, "/go.mod", "h1:mod") {
			t.Errorf("%s is not proven", path)
		}
		if p.has(mod, "", "h1:mod") || p.has(mod, "/go.mod", "h1:"+path) || p.has(mod, "", "") {
			t.Errorf("anything is proven for %s", path)
		}
	}
	if p.has(module.Version{Path: "example.com/a", Version: "v1.0.0"}, "", "h1:example.com/a") {
		t.Error("proven what the job never asked for")
	}
}

func TestADatabaseThatIsNotGosOwnProvesNothing(t *testing.T) {
	t.Parallel()
	j, db := newJob(t), newDatabase(t)
	c := &client{fetched: fetched{root: j.modRoot, verifier: db.key}, t: t, db: db}
	if _, err := sumdb.NewClient(c).Lookup("example.com/a", "v1.0.0"); err != nil {
		t.Fatal(err)
	}
	folder := filepath.Join(j.mods, sumdbFolder)
	j.must(os.Rename(filepath.Join(folder, "sum.example.com"), filepath.Join(folder, "sum.golang.org")))
	mod := module.Version{Path: "example.com/a", Version: "v1.0.0"}
	if (proof{root: j.modRoot, verifier: sumGolangOrg}).has(mod, "", "h1:example.com/a") {
		t.Error("a stranger's key counts")
	}
}
