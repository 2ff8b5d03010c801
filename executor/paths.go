package executor

import (
	"crypto/sha256"
	"encoding/hex"
	"path/filepath"
	"strconv"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/executor/runner"
)

// tree names the folders of the host tier that belong to jobs:
//
//	jobs/<instance>/<job>/                         the record; gone after cleanup
//	builds/<instance>/<project>/<tier>/<slot>/     what the job sees as /builds, kept for GIT_STRATEGY=fetch
//	caches/<instance>/<project>/<tier>/            what the job sees as /cache
type tree string

func (t tree) jobs() string { return filepath.Join(string(t), "jobs") }

func (t tree) job(id runner.Identity) string { return filepath.Join(t.jobs(), id.Instance, id.Job) }

func (t tree) builds(id runner.Identity, slot int) string {
	return filepath.Join(string(t), "builds", id.Instance, id.Project, id.Tier, strconv.Itoa(slot))
}

func (t tree) caches(id runner.Identity) string {
	return filepath.Join(string(t), "caches", id.Instance, id.Project, id.Tier)
}

// id tells this state directory from others on the same host: what is labelled with another's is never touched.
func (t tree) id() string { return shortHash(string(t)) }

func shortHash(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:6])
}
