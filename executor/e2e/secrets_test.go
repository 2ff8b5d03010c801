package e2e

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
)

// newVault stands in for a HashiCorp Vault: it has one secret of its key/value engine, for who logs in with a token.
func newVault(t *testing.T, token string, secret map[string]string) (address string) {
	t.Helper()
	answer := func(w http.ResponseWriter, content any) { _ = json.NewEncoder(w).Encode(content) }
	mux := http.NewServeMux()
	mux.HandleFunc("PUT /v1/auth/jwt/login", func(w http.ResponseWriter, r *http.Request) {
		var login struct{ JWT string }
		if err := json.NewDecoder(r.Body).Decode(&login); err != nil || login.JWT != token {
			http.Error(w, `{"errors":["permission denied"]}`, http.StatusForbidden)
			return
		}
		answer(w, job{"auth": job{"client_token": "session"}})
	})
	mux.HandleFunc("GET /v1/kv/data/app", func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Vault-Token") != "session" {
			http.Error(w, `{"errors":["permission denied"]}`, http.StatusForbidden)
			return
		}
		answer(w, job{"data": job{"data": secret}})
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server.URL
}

func TestSecretsArriveAsFilesOrAsVariablesAndGoWithTheJob(t *testing.T) {
	t.Parallel()
	const password, key = "vault-secret-1", "vault-secret-2"
	h := newHost(t, "")
	vault := newVault(t, "id-token-secret", map[string]string{"password": password, "key": key})
	secret := func(field string) job {
		return job{"vault": job{
			"server": job{"url": vault, "auth": job{"name": "jwt", "path": "jwt", "data": job{"jwt": "$ID_TOKEN"}}},
			"engine": job{"name": "kv-v2", "path": "kv"}, "path": "app", "field": field,
		}}
	}
	j := h.newJob(busybox,
		`echo "path: $DB_PASSWORD, for the first process too: $(tr '\0' '\n' < /proc/1/environ | grep -x "DB_PASSWORD=$DB_PASSWORD")"`,
		`echo "password: $(sha256sum < "$DB_PASSWORD")"`, `echo "key: $(printf %s "$API_KEY" | sha256sum)"`, `cat "$DB_PASSWORD"; echo; echo "$API_KEY"`,
	).with("secrets", job{"DB_PASSWORD": secret("password"), "API_KEY": secret("key").with("file", false)})
	r := h.run(j.with("variables", append(j["variables"].([]job), job{"key": "ID_TOKEN", "value": "id-token-secret", "masked": true})))
	h.succeeded(r)
	const path = "/builds/group/project.tmp/DB_PASSWORD"
	sum := func(text string) string { return fmt.Sprintf("%x  -", sha256.Sum256([]byte(text))) }
	h.prints(r, "path: "+path+", for the first process too: DB_PASSWORD="+path, "password: "+sum(password), "key: "+sum(key), "[MASKED]")
	h.neverSays(r, password, key)
	for _, text := range []string{password, key, "id-token-secret"} {
		if strings.Contains(h.operatorLog(), text) {
			t.Errorf("the operator log holds %q", text)
		}
	}
	checkouts := filepath.Join(h.StateDir, "builds", "*", "42", "*", "*", "group", "project")
	if found, err := filepath.Glob(checkouts); err != nil || len(found) != 1 {
		t.Errorf("the checkout is at %v, %v", found, err)
	}
	if found, err := filepath.Glob(checkouts + ".tmp/*_*"); err != nil || len(found) != 0 {
		t.Errorf("after the job there are still %v, %v", found, err)
	}
}
