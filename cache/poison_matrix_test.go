package cache

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/store"
)

// What somebody who plants a thing in the caches makes of a job that reads it.
const (
	nothing  = "-" // the job finds what honest jobs of its tier left
	executes = "executes what was planted by "
	starves  = "starves" // it does not find what honest jobs left, and compiles it again
)

// reader is a job that looks, and what honest jobs have left for it.
type reader struct {
	name string
	Request
}

// readers are a protected job, one of the same ref as the writer's (if that is a ref), of another ref, of a merge request, of another project and of another
// GitLab. Honest jobs of every one of these tiers have compiled "a" and "b".
func readers() []reader {
	of := func(name, tier string) reader {
		r := request("reader" + sum(name)[:8])
		if r.Tier = tier; tier != "protected" {
			r.Below = "protected"
		}
		return reader{name, r}
	}
	project, instance := of("another project", "protected"), of("another GitLab", "protected")
	project.Project, instance.Instance = "8", "gitlab.example.org"
	return []reader{of("protected", "protected"), of("the ref", "ref-evil"), of("another ref", "ref-other"), of("a merge request", "ref-mr"), project, instance}
}

// writer is who plants something.
type writer struct {
	name string
	Request
	key string // with which it signs
}

func job(name, tier string) writer {
	r := request("evil")
	if r.Tier = tier; tier != "protected" {
		r.Below = "protected"
	}
	return writer{name, r, "key"}
}

// writers are jobs, in an order in which one that should not be believed comes after those that may be: what is newest wins.
func writers() []writer {
	project, instance := job("a job of another project", "protected"), job("a job of another GitLab", "protected")
	project.Project, instance.Instance = "8", "gitlab.example.org"
	keyless := job("a job of a host without the key", "protected")
	keyless.key = "another key"
	return []writer{job("a protected job", "protected"), project, instance, job("a job of a ref", "ref-evil"), job("a merge request", "ref-mr"), keyless}
}

// bucket is who writes to the bucket as it likes, and is no job.
func bucket() writer {
	w := job("who writes to the bucket", "protected")
	w.key = ""
	return w
}

func (w writer) evil() string { return "!<arch>\nevil of " + w.name }

// host is one of the writer's, with the key that it has.
func (w writer) host(t *testing.T, remote store.Store) *Cache {
	t.Helper()
	return hostOf(t, Options{Store: remote, SigningKey: w.key})
}

// anEntry is another output for what is compiled: a package, or the log and the result of a test, which are entries like any other.
func anEntry(t *testing.T, remote store.Store, w writer) {
	t.Helper()
	w.Mode = FromNewest // or what is known of the base would be in its way
	j := begin(t, w.host(t, remote), w.Request)
	j.put("a", w.evil())
	j.compile("b")
	j.saves()
}

// saves is end for one who may find entries in the journal that it cannot believe.
func (j *testJob) saves() {
	j.Helper()
	saved, err := j.c.Save(j.Context(), j.dir, true)
	for _, problem := range append(saved.Problems, err) {
		if problem != nil && ReasonOf(problem) != Unsigned {
			j.Error(problem)
		}
	}
}

// aReplacement compiles nothing, and so leaves nothing in the place of what it replaces.
func aReplacement(t *testing.T, remote store.Store, w writer) {
	t.Helper()
	w.Mode = FromNewest
	begin(t, w.host(t, remote), w.Request).saves()
}

// aForgedEntry names a layer that its writer has made, and has all others replaced.
func aForgedEntry(t *testing.T, remote store.Store, w writer) {
	t.Helper()
	c, data := w.host(t, remote), w.layer(t)
	p := w.pool(w.Tier, "build")
	e := Entry{
		Created: time.Now(), Job: "forged", Graphs: []string{w.Graph}, Replaces: map[string]time.Time{},
		Layer: &LayerRef{Digest: sum(string(data)), Size: int64(len(data)), Items: 1},
	}
	for _, digest := range w.digests(t, remote) {
		e.Replaces[digest] = e.Created
	}
	must(t, remote.Put(t.Context(), p.layerKey(e.Layer.Digest), data))
	must(t, c.write(t.Context(), p, e))
}

// aLayer puts other bytes under the names of layers that honest entries name.
func aLayer(t *testing.T, remote store.Store, w writer) {
	t.Helper()
	for _, digest := range w.digests(t, remote) {
		key := w.pool(w.Tier, "build").layerKey(digest)
		must(t, remote.Delete(t.Context(), key))
		must(t, remote.Put(t.Context(), key, w.layer(t)))
	}
}

// layer is one in which "a" has another output.
func (w writer) layer(t *testing.T) []byte {
	t.Helper()
	own := hostOf(t, Options{Store: store.NewDirectory(t.TempDir())})
	j := begin(t, own, w.Request)
	j.put("a", w.evil())
	j.end()
	data, err := os.ReadFile(own.host.File(journalOf(t, own, w.Request)[0].Layer.Digest))
	must(t, err)
	return data
}

func (w writer) digests(t *testing.T, remote store.Store) (all []string) {
	t.Helper()
	objects, err := remote.List(t.Context(), w.pool(w.Tier, "build").tier+"layers/", 0)
	must(t, err)
	for _, o := range objects {
		all = append(all, strings.TrimSuffix(filepath.Base(o.Key), ".sqfs"))
	}
	return all
}

// found says what a reader's job makes of the caches.
func (r reader) found(t *testing.T, c *Cache) string {
	t.Helper()
	r.Mode = NoSave
	j := begin(t, c, r.Request)
	action, _ := j.paths("a", "")
	line, _ := os.ReadFile(action)
	for _, w := range append(writers(), bucket()) {
		if strings.Contains(string(line), sum(w.evil())) {
			return executes + w.name
		}
	}
	if j.has("a", "b") == "ab" {
		return nothing
	}
	return starves
}

// The table says who can make whom execute what. What a reader is not named for is nothing. Each "executes" is one that docs/design.md names under "What is
// not protected": compiled packages are believed within a tier, and without a signing key whoever can write to the bucket is believed. What a protected job leaves is
// read by all of the project's jobs; here each ref has something of its own, which lies over it.
func TestWhoCanMakeWhomExecuteWhat(t *testing.T) {
	t.Parallel()
	honest := t.TempDir()
	for _, r := range readers() {
		r.Mode, r.Job = FromNewest, "honest" // each has its own
		compiled(t, hostOf(t, Options{Store: store.NewDirectory(honest), SigningKey: "key"}), r.Request, "a", "b")
	}
	all := writers()
	protected, others := all[:1], all[3:] // the other project and the other GitLab are to themselves what the first is to the project
	for what, test := range map[string]struct {
		key     string
		writers []writer
		plant   func(*testing.T, store.Store, writer)
		found   map[string]string
	}{
		"jobs, an entry": {"key", all, anEntry, map[string]string{
			"protected": executes + "a protected job", "the ref": executes + "a job of a ref", "a merge request": executes + "a merge request",
			"another project": executes + "a job of another project", "another GitLab": executes + "a job of another GitLab",
		}},
		"jobs that are not protected, a replacement": {"key", others, aReplacement, nil}, // they fall back on the protected tier
		"a protected job, a replacement":             {"key", protected, aReplacement, map[string]string{"protected": starves}},
		"the bucket, a forged entry":                 {"key", []writer{bucket()}, aForgedEntry, nil},
		"the bucket, another layer":                  {"key", []writer{bucket()}, aLayer, map[string]string{"protected": starves}},
		"the bucket, a forged entry, without a key":  {"", []writer{bucket()}, aForgedEntry, map[string]string{"protected": executes + "who writes to the bucket"}},
		"the bucket, another layer, without a key":   {"", []writer{bucket()}, aLayer, map[string]string{"protected": starves}},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "store")
			must(t, os.CopyFS(dir, os.DirFS(honest)))
			remote := store.NewDirectory(dir)
			for _, w := range test.writers {
				test.plant(t, remote, w)
			}
			fresh := hostOf(t, Options{Store: remote, SigningKey: test.key})
			for _, r := range readers() {
				if got := r.found(t, fresh); got != max(test.found[r.name], nothing) {
					t.Errorf("%s: %s, want %s", r.name, got, max(test.found[r.name], nothing))
				}
			}
		})
	}
}
