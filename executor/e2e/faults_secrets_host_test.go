//go:build faults

package e2e

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/store"
	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/store/s3test"
)

// secretive is a runner host on which every secret there can be is one of its own.
type secretive struct {
	*goHost
	marks   *marks
	files   string // of the Runner's user: its home, its temporary files, what node_exporter reads
	address string // of serve
	bucket  store.S3Config
	proxy   *s3test.Proxy // before the bucket
	closed  atomic.Bool   // the company's proxy lets nobody through
	vault   string
	images  *imageRegistry
	faulty  string // address of a registry that tells everybody what it was told
}

// echo is a server that refuses a request, and in doing so repeats all that it was sent.
func echo(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	w.WriteHeader(http.StatusForbidden)
	// What matters first: whoever tells of it cuts it short.
	said := fmt.Sprint(r.Header["Proxy-Authorization"], r.Header["X-Amz-Security-Token"], r.URL, r.Header)
	fmt.Fprintf(w, `<Error><Code>AccessDenied</Code><Message>%s</Message></Error>`, said)
}

// echoesFirst refuses the first two requests in that way, and looks at what the others bring.
func echoesFirst(t *testing.T, m *marks, place string) (address string) {
	t.Helper()
	var asked atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if asked.Add(1) <= 2 {
			echo(w, r)
			return
		}
		body, err := io.ReadAll(r.Body)
		if err != nil || r.Header.Get("Content-Encoding") != "" {
			t.Errorf("%s: %v, %v", place, err, r.Header)
		}
		m.look("what is sent to "+place, body)
	}))
	t.Cleanup(server.Close)
	t.Cleanup(func() {
		if asked.Load() <= 2 {
			t.Errorf("%s: nothing was sent", place)
		}
	})
	return strings.TrimPrefix(server.URL, "http://")
}

func newSecretive(t *testing.T) *secretive {
	t.Helper()
	m := newMarks()
	s := &secretive{marks: m, files: t.TempDir(), address: freeAddress(t), images: newRegistry(t, true)}
	s.proxy, s.bucket = s3test.NewProxyAt(t, s3test.Fake(t), bridge)
	s.bucket.AccessKey, s.bucket.SecretKey, s.bucket.SessionToken = m.of("access-key"), m.of("secret-key"), m.of("session-token")
	settings := fmt.Sprintf(`stop_timeout = "1s"
allowed_images = ["**"]
%s
[[docker.services]]
name = %q
environment = ["ADMIN=%s"]
[cache]
signing_key = %q
[cache.s3]
ServerAddress = %q
AccessKey = %q
SecretKey = %q
SessionToken = %q
BucketName = %q
BucketLocation = %q
Insecure = true
[stats]
listen_address = %q
textfile = %q
push_gateway = "http://pusher:%s@%s"
[stats.traces]
endpoint = "http://%s/v1/traces"
headers = { Authorization = "Bearer %s" }
`, always, serviceImage, m.of("service-of-the-settings"), m.of("signing-key"), s.bucket.ServerAddress, s.bucket.AccessKey, s.bucket.SecretKey, s.bucket.SessionToken,
		s.bucket.BucketName, s.bucket.BucketLocation, s.address, filepath.Join(s.files, "metrics.prom"), m.of("push-password"), echoesFirst(t, m, "Pushgateway"),
		echoesFirst(t, m, "traces"), m.of("trace-header"))
	s.goHost = newGoHost(t, settings)
	s.write("config.toml", strings.ReplaceAll(s.runnerConfig(), "runner-token", m.of("runner-token")))
	s.vault = newVault(t, m.of("id-token"), map[string]string{"password": m.of("vault-file"), "key": m.of("vault-value")})
	m.know("registry-password", registryPassword)
	s.faulty = s.echoRegistry()
	s.logIn()
	return s
}

// logIn gives the Runner's user a home with a docker configuration and a credential helper, and a proxy that asks for a password.
func (s *secretive) logIn() {
	s.t.Helper()
	for name, content := range map[string]string{
		".docker/config.json":     authConfig("home.example.com", "home", s.marks.of("login-of-the-home")),
		"docker-credential-vault": "#!/bin/sh\necho '{\"Username\": \"u\", \"Secret\": \"" + s.marks.of("login-of-a-helper") + "\"}'\n",
		"tmp/.keep":               "",
	} {
		file := filepath.Join(s.files, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			s.t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(content), 0o700); err != nil {
			s.t.Fatal(err)
		}
	}
	forward := &httputil.ReverseProxy{Rewrite: func(*httputil.ProxyRequest) {}}
	company := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s.closed.Load() {
			echo(w, r)
			return
		}
		forward.ServeHTTP(w, r)
	}))
	s.t.Cleanup(company.Close)
	s.environ = append(os.Environ(), "HOME="+s.files, "TMPDIR="+filepath.Join(s.files, "tmp"), "PATH="+s.files+":"+os.Getenv("PATH"),
		"HTTP_PROXY="+strings.Replace(company.URL, "http://", "http://proxy:"+s.marks.of("proxy-password")+"@", 1))
}

// echoRegistry is a registry that refuses a login and repeats it.
func (s *secretive) echoRegistry() (address string) {
	s.t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("WWW-Authenticate", `Basic realm="test"`)
		w.WriteHeader(http.StatusUnauthorized)
		user, password, _ := r.BasicAuth()
		fmt.Fprintf(w, `{"errors": [{"code": "UNAUTHORIZED", "message": "no: %s %s %s"}]}`, user, password, r.Header.Get("Authorization"))
	}))
	s.t.Cleanup(server.Close)
	return strings.TrimPrefix(server.URL, "http://")
}

// secretJob is a Go job that has all the secrets that a job can have, and uses them.
func (s *secretive) secretJob(script ...string) job {
	m := s.marks
	token := m.of("job-token")
	j := s.goJob(append([]string{`echo "$MASKED $(cat "$FILE") $DB_PASSWORD $API_KEY" >/tmp/used`}, script...)...)
	j["token"] = token
	git := j["git_info"].(job)
	git["repo_url"] = strings.Replace(git["repo_url"].(string), "job-token-secret", token, 1)
	hidden := func(key, kind string) job { return job{"key": key, "value": m.of(kind), "masked": true} }
	file := hidden("FILE", "file-variable")
	file["file"] = true
	j["variables"] = append(j["variables"].([]job), hidden("CI_JOB_TOKEN", "job-token"), hidden("MASKED", "masked-variable"), file, hidden("ID_TOKEN", "id-token"),
		job{"key": "NOT_PUBLIC", "value": m.of("hidden-variable")},
		job{"key": "DOCKER_AUTH_CONFIG", "value": authConfig("variable.example.com", "u", m.of("login-of-the-job"))},
		job{"key": "GOPROXY", "value": s.goHost.proxy.URL + "|https://go:" + m.of("module-proxy") + "@127.0.0.1:1"})
	secret := func(field string) job {
		return job{"vault": job{
			"server": job{"url": s.vault, "auth": job{"name": "jwt", "path": "jwt", "data": job{"jwt": "$ID_TOKEN"}}},
			"engine": job{"name": "kv-v2", "path": "kv"}, "path": "app", "field": field,
		}}
	}
	return withoutC(j).with("secrets", job{"DB_PASSWORD": secret("password"), "API_KEY": secret("key").with("file", false)}).
		with("credentials", append(login(s.images.address, registryUser, registryPassword), login("payload.example.com", "u", m.of("login-of-the-payload"))...)).
		with("services", []job{{"name": serviceImage, "variables": []job{{"key": "PASSWORD", "value": m.of("service-variable")}}}})
}
