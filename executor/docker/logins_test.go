package docker

import (
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/executor/outcome"
)

// written is a docker configuration with logins of the given users; the password of u is secret-of-u.
func written(userOf map[string]string) string {
	var entries []string
	for address, user := range userOf {
		entries = append(entries, fmt.Sprintf("%q: {\"auth\": %q}", address, base64.StdEncoding.EncodeToString([]byte(user+":secret-of-"+user))))
	}
	return `{"auths": {` + strings.Join(entries, ",") + `}}`
}

func homeWith(t *testing.T, file, content string) string {
	t.Helper()
	home := t.TempDir()
	path := filepath.Join(home, file)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return home
}

// userFor is the user that an image is pulled as, and what the job log says meanwhile.
func userFor(t *testing.T, l *Logins, image string) (user, said string) {
	t.Helper()
	var log strings.Builder
	found, err := l.forImage(t.Context(), image, &log)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(log.String(), "secret") {
		t.Errorf("a password is in the job log: %s", log.String())
	}
	if found == nil {
		return "", log.String()
	}
	if p := found.auth.Password; p != "secret-of-"+found.auth.Username {
		t.Errorf("%s comes with the password %q", found.auth.Username, p)
	}
	return found.auth.Username, log.String()
}

func TestTheLoginOfTheLongestPathCounts(t *testing.T) {
	t.Parallel()
	l := &Logins{AuthConfig: written(map[string]string{
		"registry.example.com": "all", "registry.example.com/group": "group", "registry.example.com/group/app:1": "app",
		"https://index.docker.io/v1/": "hub", "HTTPS://Old.Example.com:5000/v2/": "old", "localhost:5000/": "local",
	})}
	for image, want := range map[string]string{
		"registry.example.com/other:1":                       "all",
		"REGISTRY.example.com/other:1":                       "all",
		"registry.example.com/group/x/y:1":                   "group",
		"registry.example.com/groups/x":                      "all",
		"registry.example.com/group/app":                     "app",
		"registry.example.com/group/app@sha256:" + sixtyFour: "app",
		"golang:1.26":                               "hub",
		"index.docker.io/library/golang":            "hub",
		"old.example.com:5000/x":                    "old",
		"localhost:5000/x":                          "local",
		"old.example.com/x":                         "",
		"registry.example.com.evil/a:1":             "",
		"evil.example.com/registry.example.com/a:1": "",
		"Not An Image":                              "",
	} {
		if got, _ := userFor(t, l, image); got != want {
			t.Errorf("%s is pulled as %q, want %q", image, got, want)
		}
	}
	if got, _ := userFor(t, nil, "golang"); got != "" {
		t.Errorf("no logins, but %q", got)
	}
}

var sixtyFour = strings.Repeat("a", 64)

func TestTheJobsVariableCountsBeforeTheHostBeforeGitLab(t *testing.T) {
	t.Parallel()
	given := []Login{{"r.example.com", "gitlab", "secret-of-gitlab"}, {"r.example.com/deep", "deep", "secret-of-deep"}}
	home := homeWith(t, ".docker/config.json", written(map[string]string{"r.example.com": "host", "host.example.com": "host"}))
	for name, c := range map[string]struct {
		logins             *Logins
		image, user, saids string
	}{
		"the variable":                  {&Logins{AuthConfig: written(map[string]string{"r.example.com": "job"}), Home: home, Job: given}, "r.example.com/x", "job", "Authenticating with credentials from $DOCKER_AUTH_CONFIG\n"},
		"the host":                      {&Logins{Home: home, Job: given}, "r.example.com/x", "host", "Authenticating with credentials from " + home + "/.docker/config.json\n"},
		"the host, for another one":     {&Logins{AuthConfig: written(map[string]string{"r.example.com": "job"}), Home: home}, "host.example.com/x", "host", "config.json\n"},
		"an old host":                   {&Logins{Home: homeWith(t, ".dockercfg", written(map[string]string{"r.example.com": "old"})), Job: given}, "r.example.com/x", "old", ".dockercfg\n"},
		"GitLab":                        {&Logins{Home: t.TempDir(), Job: given}, "r.example.com/x", "gitlab", "Authenticating with credentials from job payload (GitLab Registry)\n"},
		"GitLab's, for a longer path":   {&Logins{Home: home, Job: given}, "r.example.com/deep/x", "deep", "job payload"},
		"a variable that is no JSON":    {&Logins{AuthConfig: `{"auths": secret`, Job: given}, "r.example.com/x", "gitlab", "WARNING: Failed to resolve credentials from $DOCKER_AUTH_CONFIG: it is not the JSON of a docker configuration: "},
		"a variable of another form":    {&Logins{AuthConfig: `{"auths": {"r.example.com": {"password": 12345678}}}`, Job: given}, "r.example.com/x", "gitlab", "Credentials from this source will not be used.\n"},
		"a login that is no login":      {&Logins{AuthConfig: `{"auths": {"r.example.com": {"auth": "c2VjcmV0"}}}`, Job: given}, "r.example.com/x", "gitlab", "auths, r.example.com: auth has to be the base64 of user:password"},
		"an entry that names nobody":    {&Logins{AuthConfig: `{"auths": {"r.example.com": {}}}`, Job: given}, "r.example.com/x", "gitlab", ""},
		"a user and password in plain":  {&Logins{AuthConfig: `{"auths": {"r.example.com": {"username": "plain", "password": "secret-of-plain"}}}`}, "r.example.com/x", "plain", ""},
		"a home that cannot be read":    {&Logins{Home: homeWith(t, ".docker", "a file"), Job: given}, "r.example.com/x", "gitlab", ""},
		"nobody has one for this image": {&Logins{Home: home, Job: given}, "other.example.com/x", "", ""},
	} {
		user, said := userFor(t, c.logins, c.image)
		if user != c.user || !strings.Contains(said, c.saids) || strings.Contains(said, "12345678") {
			t.Errorf("%s: as %q, and the job log says:\n%s", name, user, said)
		}
	}
}

// helpers puts credential helpers on the PATH: stores by name, each a script.
func helpers(t *testing.T, scripts map[string]string) {
	t.Helper()
	dir := t.TempDir()
	for name, script := range scripts {
		if err := os.WriteFile(filepath.Join(dir, "docker-credential-"+name), []byte("#!/bin/sh\n"+script), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
}

func TestCredentialHelpersAreAsked(t *testing.T) { //nolint:paralleltest // PATH is the process's own
	asked := filepath.Join(t.TempDir(), "asked")
	helpers(t, map[string]string{
		"store": `case $1 in
list) echo '{"https://a.example.com": "a", "b.example.com": "b", "token.example.com": "<token>"}';;
get) read server; echo "$server $CUSTOM_ENV_SECRET" >> ` + asked + `
  case $server in
  *a.example.com) echo '{"ServerURL": "x", "Username": "a", "Secret": "secret-of-a"}';;
  token.example.com) echo '{"Username": "<token>", "Secret": "secret-token"}';;
  *) echo '{"Username": "b", "Secret": "secret-of-b"}';;
  esac;;
esac`,
		"other":  `echo '{"Username": "other", "Secret": "secret-of-other"}'`,
		"none":   `echo "credentials not found in native keychain"; exit 1`,
		"broken": `echo '{"Username": "x", "Secret": "secret-of-x"}'; exit 3`,
		"mute":   `echo secret`,
	})
	t.Setenv("CUSTOM_ENV_SECRET", "of the job")
	given := []Login{{"b.example.com", "gitlab", "secret-of-gitlab"}}
	config := `{"auths": {"https://a.example.com": {}}, "credsStore": "store", "credHelpers": {"b.example.com": "other", "c.example.com": "none"}}`
	l := &Logins{Home: homeWith(t, ".docker/config.json", config), Job: given}
	for image, want := range map[string]string{"a.example.com/x": "a", "b.example.com/x": "other", "c.example.com/x": ""} {
		if got, said := userFor(t, l, image); got != want {
			t.Errorf("%s is pulled as %q, want %q\n%s", image, got, want, said)
		}
	}
	if found, err := l.forImage(t.Context(), "token.example.com/x", &strings.Builder{}); err != nil || found.auth.IdentityToken != "secret-token" || found.auth.Username != "" {
		t.Errorf("an identity token: %v", err)
	}
	if got, _ := os.ReadFile(asked); string(got) != "https://a.example.com \ntoken.example.com \n" {
		t.Errorf("the store was asked for, and saw of the job:\n%s", got)
	}
	for helper, want := range map[string]string{
		"broken":  "docker-credential-broken get: exit status 3; see what it says when you run it on the host",
		"mute":    "docker-credential-mute did not answer with the JSON of a login",
		"missing": `"docker-credential-missing": executable file not found in $PATH`,
	} {
		l := &Logins{AuthConfig: `{"credHelpers": {"b.example.com": "` + helper + `"}}`, Job: given}
		if got, said := userFor(t, l, "b.example.com/x"); got != "gitlab" || !strings.Contains(said, want) {
			t.Errorf("%s: as %q\n%s", helper, got, said)
		}
	}
}

func TestAJobCannotStartAProgramOfItsOwn(t *testing.T) {
	t.Parallel()
	marker := filepath.Join(t.TempDir(), "ran")
	program := filepath.Join(t.TempDir(), "evil")
	if err := os.WriteFile(program, []byte("#!/bin/sh\ntouch "+marker), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, config := range []string{`{"credsStore": "x/../../` + program + `"}`, `{"credHelpers": {"r.example.com": "../` + program + `"}}`, `{"credHelpers": {"r.example.com": ""}}`} {
		_, err := (&Logins{AuthConfig: config}).forImage(t.Context(), "r.example.com/x", &strings.Builder{})
		if f := outcome.Of(err); f.Reason != outcome.BadDefinition || !f.UsersFault() {
			t.Errorf("%s: %v", config, err)
		}
		_, err = (&Logins{Home: homeWith(t, ".docker/config.json", config)}).forImage(t.Context(), "r.example.com/x", &strings.Builder{})
		if f := outcome.Of(err); f.Reason != outcome.SettingsInvalid || f.UsersFault() {
			t.Errorf("on the host, %s: %v", config, err)
		}
	}
	if _, err := os.Stat(marker); err == nil {
		t.Error("it ran")
	}
}

func TestAHelperThatHangsIsEnded(t *testing.T) { //nolint:paralleltest // PATH is the process's own
	child := filepath.Join(t.TempDir(), "child")
	helpers(t, map[string]string{"hangs": "sleep 600 & echo $! > " + child + "; wait"})
	ctx, cancel := bounded(t.Context(), time.Second, "the test")
	defer cancel()
	began := time.Now()
	_, err := callHelper(ctx, "hangs", "get", "r.example.com")
	if took := time.Since(began); err == nil || took > 30*time.Second {
		t.Errorf("after %s: %v", took, err)
	}
	pid, err := os.ReadFile(child)
	if err != nil {
		t.Fatal(err)
	}
	stat := func() string { // the state of what the helper started; a dead one may wait for its new parent
		content, _ := os.ReadFile("/proc/" + strings.TrimSpace(string(pid)) + "/stat")
		return string(content)
	}
	for deadline := time.Now().Add(30 * time.Second); strings.Contains(stat(), "(sleep)") && !strings.Contains(stat(), ") Z"); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("it still runs: %s", stat())
		}
	}
}

func TestARegistryThatRepeatsTheLoginIsNotQuoted(t *testing.T) {
	t.Parallel()
	l := &Logins{Job: []Login{{"r.example.com", "u", "pass/word"}}}
	found, err := l.forImage(t.Context(), "r.example.com/x", &strings.Builder{})
	if err != nil {
		t.Fatal(err)
	}
	basic := base64.StdEncoding.EncodeToString([]byte("u:pass/word"))
	text := found.masked(errors.New("denied: Basic " + basic + " is u with pass/word")).Error()
	if text != "denied: Basic [MASKED] is u with [MASKED]" {
		t.Error(text)
	}
	same := errors.New("denied")
	if found.masked(same) != same || (*login)(nil).masked(same) != same { //nolint:errorlint // the very same
		t.Error("an error without secrets has to stay what it is")
	}
}
