package e2e

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// lfsAttributes is the .gitattributes of a repository whose test data is kept in LFS.
const lfsAttributes = "**/testdata/** filter=lfs diff=lfs merge=lfs -text\n"

// lfs keeps a content as an LFS object and gives the pointer, which git has instead (git-lfs, docs/spec.md).
func (g *gitlab) lfs(content string) (pointer string) {
	sum := sha256.Sum256([]byte(content))
	id := hex.EncodeToString(sum[:])
	g.mu.Lock()
	defer g.mu.Unlock()
	g.large[id] = content
	return fmt.Sprintf("version https://git-lfs.github.com/spec/v1\noid sha256:%s\nsize %d\n", id, len(content))
}

// lfsBatch says where objects are (git-lfs, docs/api/batch.md), with the one transfer adapter that every server has. Like GitLab it wants
// the job's token.
func (g *gitlab) lfsBatch(w http.ResponseWriter, r *http.Request) {
	type action struct {
		Href string `json:"href"`
	}
	type object struct {
		OID     string            `json:"oid"`
		Size    int               `json:"size"`
		Actions map[string]action `json:"actions,omitempty"`
		Error   map[string]any    `json:"error,omitempty"`
	}
	w.Header().Set("Content-Type", "application/vnd.git-lfs+json")
	if user, password, _ := r.BasicAuth(); user != "gitlab-ci-token" || password != "job-token-secret" {
		w.Header().Set("Lfs-Authenticate", `Basic realm="GitLab"`)
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	var batch struct {
		Transfer string   `json:"transfer"`
		Objects  []object `json:"objects"`
	}
	if err := json.NewDecoder(r.Body).Decode(&batch); err != nil {
		http.Error(w, err.Error(), http.StatusUnprocessableEntity)
		return
	}
	batch.Transfer = "basic"
	for i, o := range batch.Objects {
		if _, ok := g.object(o.OID); ok {
			batch.Objects[i].Actions = map[string]action{"download": {g.URL + "/lfs-objects/" + o.OID}}
		} else {
			batch.Objects[i].Error = map[string]any{"code": http.StatusNotFound, "message": "Object does not exist on the server"}
		}
	}
	_ = json.NewEncoder(w).Encode(batch) // the client has gone
}

func (g *gitlab) lfsObject(w http.ResponseWriter, r *http.Request) {
	content, ok := g.object(r.PathValue("id"))
	if !ok {
		http.NotFound(w, r)
		return
	}
	_, _ = io.Copy(w, strings.NewReader(content)) // the client has gone
}

func (g *gitlab) object(id string) (content string, ok bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	content, ok = g.large[id]
	return content, ok
}
