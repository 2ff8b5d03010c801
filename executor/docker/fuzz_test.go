package docker

import (
	"bytes"
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"
)

// FuzzAuths reads the docker configuration that a job has in DOCKER_AUTH_CONFIG: what is left of it are logins, each of somebody, and an
// error tells no password.
func FuzzAuths(f *testing.F) {
	for _, seed := range []string{
		`{"auths":{"registry.example.com":{"auth":"dTpodW50ZXIyc2VjcmV0"},"https://index.docker.io/v1/":{"username":"u","password":"hunter2secret"}}}`,
		`{"auths":{"a":{"auth":"aHVudGVyMnNlY3JldA=="}}}`, `{"auths":{"":{"identitytoken":"t"},"b/c/":{}}}`, `{"auths":[]}`, `{}`, ``, `null`, `{"auths":{"a":null}}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var named dockerConfig
		if json.NewDecoder(bytes.NewReader(data)).Decode(&named) == nil && (named.CredsStore != "" || len(named.CredHelpers) > 0) {
			return // it starts a program
		}
		auths, err := readAuths(context.Background(), bytes.NewReader(data))
		if err != nil {
			if strings.Contains(err.Error(), "hunter2secret") && !strings.Contains(string(data), `hunter2secret":`) {
				t.Errorf("%q", err)
			}
			return
		}
		for i, a := range auths {
			if a.Username+a.Password+a.IdentityToken+a.RegistryToken == "" || a.Auth != "" || i > 0 && auths[i-1].ServerAddress >= a.ServerAddress {
				t.Errorf("%+v is a login", a)
			}
			if path := registryPath(a.ServerAddress); strings.HasSuffix(path, "/") || scheme.MatchString(path) {
				t.Errorf("%q is of the path %q", a.ServerAddress, path)
			}
		}
	})
}

// FuzzServiceLog writes what a service prints: every line under the service's name, and its colours end with it.
func FuzzServiceLog(f *testing.F) {
	f.Add([]byte("2026-11-21T10:00:00.123456789Z ready\n2026-11-21T10:00:01Z \x1b[31mred\n"))
	f.Add([]byte("no time\n\n\r\n"))
	f.Add([]byte("x"))
	f.Fuzz(func(t *testing.T, printed []byte) {
		var out bytes.Buffer
		l := &serviceLog{to: &out, prefix: "[service:db] "}
		if n, err := l.Write(printed); n != len(printed) || err != nil {
			t.Fatalf("%d of %d, %v", n, len(printed), err)
		}
		for line := range strings.Lines(out.String()) {
			if !strings.HasPrefix(line, "[service:db] ") || !strings.HasSuffix(line, reset+"\n") {
				t.Errorf("%q", line)
			}
		}
		if _, err := time.Parse(time.RFC3339Nano, l.shown.Format(time.RFC3339Nano)); err != nil {
			t.Errorf("Docker cannot be asked for what was printed since %v", l.shown)
		}
	})
}
