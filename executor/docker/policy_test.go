package docker

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/executor/outcome"
)

func TestPullPolicies(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		job, configured, allowed, want []string
	}{
		"the settings' own":                    {nil, []string{"always"}, nil, []string{"always"}},
		"in the administrator's order":         {nil, []string{"if-not-present", "always"}, nil, []string{"if-not-present", "always"}},
		"a job may choose among the settings'": {[]string{"never"}, []string{"always", "never"}, nil, []string{"never"}},
		"a job may choose what is allowed":     {[]string{"never"}, []string{"always"}, []string{"always", "never"}, []string{"never"}},
		"a job may not choose the rest":        {[]string{"never"}, []string{"always"}, nil, nil},
		"what is allowed of several is kept":   {[]string{"never", "always"}, []string{"always"}, nil, []string{"always"}},
		"the settings' own must be allowed":    {nil, []string{"always"}, []string{"never"}, nil},
	}
	for name, c := range cases {
		got, err := PullPolicies("image", c.job, c.configured, c.allowed)
		if !slices.Equal(got, c.want) || (err == nil) != (c.want != nil) {
			t.Errorf("%s: %q, %v; want %q", name, got, err, c.want)
		}
		if err != nil && (outcome.Of(err).Reason != outcome.PullPolicy || !outcome.Of(err).UsersFault() || !strings.Contains(err.Error(), "allowed: ")) {
			t.Errorf("%s: a user cannot act on %v", name, err)
		}
	}
}

func TestAllowedImages(t *testing.T) {
	t.Parallel()
	company := []string{"registry.example.com/go/**", "golang:1.*"}
	cases := []struct {
		image   string
		allowed []string
		reason  outcome.Reason
	}{
		{"anything/at:all", nil, outcome.None},
		{"golang:1.26", company, outcome.None},
		{"golang:latest", company, outcome.ImageNotAllowed},
		{"registry.example.com/go/a/b:1", company, outcome.None},
		{"registry.example.com/go", company, outcome.None}, // ** matches nothing too
		{"registry.example.com.evil.org/go/a:1", company, outcome.ImageNotAllowed},
		{"admins/default:1", company, outcome.None},
		{"Not An Image", nil, outcome.BadDefinition},
		{"-v /:/host", nil, outcome.BadDefinition},
		{"a:b:c", company, outcome.BadDefinition},
	}
	for _, c := range cases {
		err := CheckImage("image", c.image, c.allowed, []string{"admins/default:1"})
		if got := outcome.Of(err).Reason; got != c.reason {
			t.Errorf("%s: %v, want reason %q", c.image, err, c.reason)
		}
	}
}

func TestServiceAliases(t *testing.T) {
	t.Parallel()
	cases := []struct {
		image string
		given []string
		want  []string
	}{
		{"postgres:15", nil, []string{"postgres"}},
		{"tutum/wordpress:latest", nil, []string{"tutum__wordpress", "tutum-wordpress"}},
		{"registry.example.com:5000/group/db:1", []string{"db"}, []string{"registry.example.com__group__db", "registry.example.com-group-db", "db"}},
		{"redis@sha256:" + strings.Repeat("a", 64), []string{"redis", "cache"}, []string{"redis", "cache"}},
		{"redis:7@sha256:" + strings.Repeat("a", 64), nil, []string{"redis"}},
		{"mysql", []string{"my db"}, []string{"mysql", "my-db"}},
	}
	for _, c := range cases {
		if got := ServiceAliases(c.image, c.given); !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, want %q", c.image, got, c.want)
		}
	}
}

// The words are those of Docker Engine 20.10 to 28 and of public registries.
func TestWhyAPullFailed(t *testing.T) {
	t.Parallel()
	cases := map[string]outcome.Reason{
		`manifest for golang:nope not found: manifest unknown: manifest unknown`: outcome.ImageNotFound,
		`manifest unknown: manifest unknown`:                                     outcome.ImageNotFound,
		`no matching manifest for linux/arm64/v8 in the manifest list entries`:   outcome.ImageNotFound,
		`pull access denied for nope/nope, repository does not exist or may require 'docker login': denied: requested access to the resource is denied`: outcome.ImageDenied,
		`Head "https://r.example.com/v2/a/manifests/1": unauthorized: authentication required`:                                                          outcome.ImageDenied,
		`Get "https://registry-1.docker.io/v2/": dial tcp: lookup registry-1.docker.io: no such host`:                                                   outcome.RegistryFailed,
		`Get "https://r.example.com/v2/": net/http: TLS handshake timeout`:                                                                              outcome.RegistryFailed,
		`error parsing HTTP 404 response body: unexpected end of JSON input: ""`:                                                                        outcome.ImageNotFound,
		`error parsing HTTP 403 response body: unexpected end of JSON input: ""`:                                                                        outcome.ImageDenied,
		`error parsing HTTP 429 response body: unexpected end of JSON input: ""`:                                                                        outcome.RegistryFailed,
		`unexpected EOF`: outcome.RegistryFailed,
		`toomanyrequests: You have reached your pull rate limit`:           outcome.RegistryFailed,
		`write /var/lib/docker/tmp/GetImageBlob1: no space left on device`: outcome.DiskFull,
		`received unexpected HTTP status: 503 Service Unavailable`:         outcome.RegistryFailed,
	}
	for text, want := range cases {
		if got := outcome.Of(explainPull(t.Context(), errors.New(text), "golang:1")); got.Reason != want {
			t.Errorf("%s: %s, want %s", text, got.Reason, want)
		}
	}
}

func TestWhyAContainerDidNotStart(t *testing.T) {
	t.Parallel()
	const runc = `OCI runtime create failed: container_linux.go:380: starting container process caused: `
	users := []string{
		runc + `exec: "sh": executable file not found in $PATH: unknown`,
		runc + `exec: "/entry.sh": permission denied: unknown`,
		runc + `exec: "/entry.sh": stat /entry.sh: no such file or directory: unknown`,
		runc + `exec /entry.sh: exec format error: unknown`,
		`failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process: exec: "sh": executable file not found in $PATH: unknown`,
		`unable to find user nobody1: no matching entries in passwd file`,
		`linux spec user: unable to find group staff2: no matching entries in group file`,
	}
	ours := []string{
		runc + `process_linux.go:545: container init caused: cannot allocate memory: unknown`,
		`driver failed programming external connectivity on endpoint`,
		`failed to create shim task: context deadline exceeded`,
		`fork/exec /usr/bin/runc: no such file or directory: unknown`,
		`exec: "containerd-shim-runc-v2": executable file not found in $PATH: unknown`,
		runc + `error mounting "/sys": permission denied: unknown`,
	}
	for _, text := range users {
		if f := outcome.Of(explainStart(t.Context(), errors.New(text), "the build container")); f.Reason != outcome.ImageUnusable || !f.UsersFault() {
			t.Errorf("%s: %s", text, f.Reason)
		}
	}
	for _, text := range ours {
		if f := outcome.Of(explainStart(t.Context(), errors.New(text), "the build container")); f.Reason != outcome.DockerFailed {
			t.Errorf("%s: %s", text, f.Reason)
		}
	}
}
