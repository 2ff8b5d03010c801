package e2e

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
)

// printsWhich is a script that tells which image of a registry it runs in.
const printsWhich = `echo "which=$WHICH"`

// authConfig is a docker configuration with a login for a registry.
func authConfig(address, user, password string) string {
	return fmt.Sprintf(`{"auths": {%q: {"auth": %q}}}`, address, base64.StdEncoding.EncodeToString([]byte(user+":"+password)))
}

// login is GitLab's login of a job.
func login(address, user, password string) []job {
	return []job{{"type": "registry", "url": address, "username": user, "password": password}}
}

// always is for settings that pull what jobs ask for, and not the helper image, which the host has.
const always = "pull_policy = [\"if-not-present\"]\nallowed_pull_policies = [\"always\", \"if-not-present\", \"never\"]\n"

// newPull is a job whose image is pulled.
func (h *host) newPull(name string) job {
	return h.newJob("", printsWhich).with("image", job{"name": name, "pull_policy": []string{"always"}})
}

// checkSecret looks for the registry's password in all that is written down.
func (h *host) checkSecret(r result) {
	h.t.Helper()
	basic := base64.StdEncoding.EncodeToString([]byte(registryUser + ":" + registryPassword))
	for _, secret := range []string{registryPassword, basic} {
		h.neverSays(r, secret)
		if strings.Contains(h.operatorLog(), secret) {
			h.t.Errorf("the operator log says %q", secret)
		}
	}
}

func TestAJobLogsInToItsRegistry(t *testing.T) {
	t.Parallel()
	r := newRegistry(t, true)
	name := r.image("app:1", "one")
	h := newHost(t, always)
	home := t.TempDir()
	h.wrap = []string{"env", "HOME=" + home, "PATH=" + home + ":" + os.Getenv("PATH")}
	config := filepath.Join(home, ".docker", "config.json")
	write := func(file, content string, mode os.FileMode) {
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(content), mode); err != nil {
			t.Fatal(err)
		}
	}
	write(filepath.Join(home, "docker-credential-vault"), "#!/bin/sh\n[ \"$1 $(cat)\" = \"get "+r.address+"\" ] && echo '{\"Username\": \""+registryUser+"\", \"Secret\": \""+registryPassword+"\"}'", 0o700)

	ofGitLab := h.newPull(name).with("credentials", login(r.address, registryUser, registryPassword))
	inVariable := h.newPull(name).with("credentials", login(r.address, "somebody", "wrong-password")).
		variable("DOCKER_AUTH_CONFIG", authConfig(r.address, registryUser, registryPassword))
	withHelper := h.newPull(name).variable("DOCKER_AUTH_CONFIG", `{"credHelpers": {"`+r.address+`": "vault"}}`)
	for _, c := range []struct {
		job  job
		from string
	}{
		{ofGitLab, "job payload (GitLab Registry)"},
		{inVariable, "$DOCKER_AUTH_CONFIG"},
		{withHelper, "$DOCKER_AUTH_CONFIG"},
		{h.newPull(name), config},
	} {
		if c.from == config {
			write(config, authConfig(r.address+"/group", registryUser, registryPassword), 0o600)
		}
		r.forget()
		result := h.run(c.job)
		h.succeeded(result)
		h.prints(result, "which=one")
		h.says(result, "Authenticating with credentials from "+c.from+"\n", "Pulling docker image "+name+" ...\n", "Using docker image sha256:", "with digest "+r.address+"/group/app@sha256:")
		h.checkSecret(result)
	}
}

func TestALoginThatIsRefusedFailsTheJobAtOnce(t *testing.T) {
	t.Parallel()
	r := newRegistry(t, true)
	name := r.image("app:1", "one")
	h := newHost(t, always)
	known := login(r.address, registryUser, registryPassword)
	for story, c := range map[string]struct {
		job  job
		says string
	}{
		"nobody":            {h.newPull(name), "its registry refuses this job's login"},
		"a wrong password":  {h.newPull(name).with("credentials", login(r.address, registryUser, "wrong-password")), "its registry refuses this job's login"},
		"a missing tag":     {h.newPull(r.address+"/group/app:nope").with("credentials", known), "does not exist in its registry"},
		"a missing image":   {h.newPull(r.address+"/group/nope:1").with("credentials", known), "does not exist in its registry"},
		"a missing digest":  {h.newPull(r.address+"/group/app@sha256:"+strings.Repeat("a", 64)).with("credentials", known), "does not exist in its registry"},
		"a helper's folder": {h.newPull(name).variable("DOCKER_AUTH_CONFIG", `{"credsStore": "../../bin/evil"}`), "path traversal is not allowed"},
	} {
		result := h.run(c.job)
		if result.FailureReason != "script_failure" || prepared(result) != 1 || strings.Contains(result.Log, "retrying") {
			t.Errorf("%s: %s, prepared %d times", story, result.FailureReason, prepared(result))
		}
		h.says(result, c.says)
		h.neverSays(result, "wrong-password")
		h.checkSecret(result)
	}
}

// faultyProxy stands before a registry and does something else to the first requests for a manifest.
func faultyProxy(t *testing.T, r *imageRegistry, times int64, fault http.HandlerFunc) (address string, asked *atomic.Int64) {
	t.Helper()
	target, err := url.Parse(r.url)
	if err != nil {
		t.Fatal(err)
	}
	proxy, asked := httputil.NewSingleHostReverseProxy(target), &atomic.Int64{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		if strings.Contains(q.URL.Path, "/manifests/") && asked.Add(1) <= times {
			fault(w, q)
			return
		}
		proxy.ServeHTTP(w, q)
	}))
	t.Cleanup(server.Close)
	return strings.TrimPrefix(server.URL, "http://"), asked
}

func TestAPullThatBreaksOffIsTriedAgain(t *testing.T) {
	t.Parallel()
	r := newRegistry(t, false)
	name := r.image("app:1", "one")
	h := newHost(t, always)
	answer := func(status int) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }
	}
	cut := func(w http.ResponseWriter, _ *http.Request) {
		if conn, _, err := w.(http.Hijacker).Hijack(); err == nil {
			_ = conn.Close()
		}
	}
	for story, c := range map[string]struct {
		times int64
		fault http.HandlerFunc
	}{
		"500":                      {2, answer(http.StatusInternalServerError)}, // Docker asks twice by itself
		"a connection that is cut": {1, cut},
	} {
		address, _ := faultyProxy(t, r, c.times, c.fault)
		through := strings.Replace(name, r.address, address, 1)
		result := h.run(h.newPull(through))
		if result.State != "success" || prepared(result) != 1 {
			t.Errorf("%s: %s, prepared %d times\n%s", story, result.State, prepared(result), result.Log)
		}
		h.prints(result, "which=one")
		h.says(result, "WARNING: Failed to pull image \""+through+"\" (attempt #1), retrying: ")
	}
	for _, status := range []int{http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound} {
		address, asked := faultyProxy(t, r, 1000, answer(status))
		result := h.run(h.newPull(strings.Replace(name, r.address, address, 1)))
		if result.FailureReason != "script_failure" || prepared(result) != 1 || strings.Contains(result.Log, "retrying") || asked.Load() == 0 {
			t.Errorf("%d: %s, prepared %d times, asked %d times\n%s", status, result.FailureReason, prepared(result), asked.Load(), result.Log)
		}
	}
}

func TestAJobKeepsItsImageWhenTheTagMoves(t *testing.T) {
	t.Parallel()
	r := newRegistry(t, false)
	name := r.image("app:latest", "old")
	h := newHost(t, always)
	h.gitlab.atClone(func() {
		r.image("app:latest", "new")
		r.pullBehind(name)
	})
	first := h.run(h.newPull(name))
	h.succeeded(first)
	h.prints(first, "which=old")
	second := h.run(h.newPull(name))
	h.succeeded(second)
	h.prints(second, "which=new")
}

func TestPoliciesAreTriedInOrder(t *testing.T) {
	t.Parallel()
	r := newRegistry(t, false)
	name := r.image("app:1", "one")
	h := newHost(t, always)
	policies := func(list ...string) job {
		return h.newPull(name).with("image", job{"name": name, "pull_policy": list})
	}
	result := h.run(policies("never"))
	h.failed(result, "script_failure", 1)
	result = h.run(policies("never", "always"))
	h.succeeded(result)
	h.prints(result, "which=one")
	h.says(result, "Using effective pull policy of [never always] for container "+name+"\n", `WARNING: Failed to pull image with policy "never": `, `Attempt #2: Trying "always" pull policy`)
	r.image("app:1", "newer")
	result = h.run(policies("if-not-present"))
	h.prints(result, "which=one")
	h.says(result, `Using locally found image version due to "if-not-present" pull policy`)
	result = h.run(policies("always"))
	h.prints(result, "which=newer")
}

func TestAJobGetsTheImageOfItsPlatform(t *testing.T) {
	t.Parallel()
	r := newRegistry(t, false)
	name := r.platforms("app:multi", map[string]string{"amd64": r.image("app:1", "big"), "386": r.image("app:2", "small")})
	h := newHost(t, always)
	on := func(platform, policy string) job {
		return h.newPull(name).variable("ARCH", "386").with("image", job{"name": name, "pull_policy": []string{policy}, "executor_opts": job{"docker": job{"platform": platform}}})
	}
	for _, c := range []struct{ platform, policy, which string }{
		{"linux/amd64", "always", "big"},
		{"linux/$ARCH", "if-not-present", "small"}, // though the other one is here
		{"386", "never", "small"},
		{"linux/x86_64", "if-not-present", "big"},
	} {
		result := h.run(on(c.platform, c.policy))
		h.succeeded(result)
		h.prints(result, "which="+c.which)
	}
	for _, c := range []struct{ platform, policy, says string }{
		{"linux/386", "never", "is on this runner's host for platform linux/amd64, not for linux/386"},
		{"linux/s390x", "always", "does not exist in its registry"},
		{"linux/amd64/v1/x", "always", `docker:platform "linux/amd64/v1/x" is none`},
	} {
		result := h.run(on(c.platform, c.policy))
		h.failed(result, "script_failure", 1)
		h.says(result, c.says)
	}
}

func TestARegistryWithACertificateOfTheCompanysOwn(t *testing.T) {
	t.Parallel()
	r := newTLSRegistry(t)
	name := r.image("app:1", "one")
	h := newHost(t, always)
	result := h.run(h.newPull(name + "@" + r.digest(name)))
	h.succeeded(result)
	h.prints(result, "which=one")
}
