package executor

import (
	"crypto/rand"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/executor/runner"
)

// tree names the folders of the host tier that belong to jobs:
//
//	id                                             tells it from other state directories, in Docker's labels
//	jobs/<instance>/<job>/                         the record; gone after cleanup
//	builds/<instance>/<project>/<tier>/<slot>/     what the job sees as /builds, kept for GIT_STRATEGY=fetch
//	caches/<instance>/<project>/<tier>/            what the job sees as /cache
//	images/<id>.json                               what Go an image has
//	bin/                                           this program, for containers
//	serve.lock                                     held by serve while it runs
//
// What belongs to Go's caches is the package cache's.
type tree string

func (t tree) jobs() string { return filepath.Join(string(t), "jobs") }

func (t tree) job(id runner.Identity) string { return filepath.Join(t.jobs(), id.Instance, id.Job) }

func (t tree) serving() string { return filepath.Join(string(t), "serve.lock") }

func (t tree) images() string { return filepath.Join(string(t), "images") }

func (t tree) builds(id runner.Identity, slot int) string {
	return filepath.Join(string(t), "builds", id.Instance, id.Project, id.Tier, strconv.Itoa(slot))
}

func (t tree) caches(id runner.Identity) string {
	return filepath.Join(string(t), "caches", id.Instance, id.Project, id.Tier)
}

// id tells this state directory from others that the same Docker serves, be it under the same path in another container:
// what is labelled with another's is never touched. It is made under lockJobs by the first prepare; before that there is
// nothing to label, and the id is empty.
func (t tree) id() (string, error) {
	data, err := os.ReadFile(t.idFile())
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	return string(data), err
}

func (t tree) idFile() string { return filepath.Join(string(t), "id") }

// makeID is id for prepare.
func (t tree) makeID() (string, error) {
	if id, err := t.id(); id != "" || err != nil {
		return id, err
	}
	id := strings.ToLower(rand.Text()[:12])
	if err := os.WriteFile(t.idFile()+".new", []byte(id), 0o600); err != nil {
		return "", err
	}
	return id, os.Rename(t.idFile()+".new", t.idFile())
}
