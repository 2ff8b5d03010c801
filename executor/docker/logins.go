package docker

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os"
	"os/user"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/distribution/reference"
	"github.com/docker/docker/api/types/registry"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/executor/outcome"
)

// Login is a login that GitLab gives to a job.
type Login struct{ Registry, Username, Password string }

// Logins are the sources of logins for registries, in the docker executor's order (helpers/docker/auth). For each registry, or folder of
// one, the first source that has a login counts. They are read once, and only when something is pulled: a job whose images
// are all on the host starts no credential helper.
type Logins struct {
	AuthConfig string  // DOCKER_AUTH_CONFIG of the job, or of the Runner's settings
	Home       string  // of the user that the Runner runs as, with .docker/config.json
	Job        []Login // that come with the job

	once  sync.Once
	known []login
	err   error
}

// The names of sources in the job log, as under the docker executor. A file has its own.
const (
	sourceVariable = "$DOCKER_AUTH_CONFIG"
	sourceJob      = "job payload (GitLab Registry)"
)

// login is one that was found. Nothing of its auth may be shown.
type login struct {
	path   string // host[:port][/folder]…
	source string
	auth   registry.AuthConfig
}

// UserHome is the home directory of the user that this program runs as, like the Runner that started it. It is empty where there is none.
func UserHome() string {
	if home := os.Getenv("HOME"); home != "" {
		return home
	}
	if u, err := user.Current(); err == nil { // a service has no HOME
		return u.HomeDir
	}
	return ""
}

// forImage finds the login for an image, that of the longest path. Nil is none.
func (l *Logins) forImage(ctx context.Context, name string, log io.Writer) (*login, error) {
	ref, err := reference.ParseNormalizedNamed(name)
	if err != nil || l == nil {
		return nil, nil //nolint:nilerr // the daemon says what is wrong with the name
	}
	l.once.Do(func() { l.known, l.err = l.read(ctx, log) })
	if l.err != nil {
		return nil, l.err
	}
	path := strings.ToLower(reference.Domain(ref)) + "/" + reference.Path(ref)
	if rest, official := strings.CutPrefix(path, dockerHub+"/library/"); official {
		path = dockerHub + "/" + rest
	}
	for path != "" {
		for _, found := range l.known {
			if found.path == path {
				fmt.Fprintf(log, "Authenticating with credentials from %s\n", found.source)
				return &found, nil
			}
		}
		path = path[:max(strings.LastIndex(path, "/"), 0)]
	}
	return nil, nil
}

// read reads all sources. One that cannot be used is left out; one that would start a program of its own choosing fails the job.
func (l *Logins) read(ctx context.Context, log io.Writer) ([]login, error) {
	var all []login
	add := func(source string, auths []registry.AuthConfig, err error) {
		if err != nil {
			fmt.Fprintf(log, "WARNING: Failed to resolve credentials from %s: %v. Credentials from this source will not be used.\n", source, err)
			return
		}
		for _, auth := range auths {
			all = append(all, login{path: registryPath(auth.ServerAddress), source: source, auth: auth})
		}
	}
	auths, err := readAuths(ctx, strings.NewReader(l.AuthConfig))
	if errors.Is(err, errNotAName) {
		return nil, outcome.Job(outcome.BadDefinition, "%s: %w", sourceVariable, err)
	}
	add(sourceVariable, auths, err)
	source, auths, err := l.readHome(ctx)
	if errors.Is(err, errNotAName) {
		return nil, outcome.System(outcome.SettingsInvalid, "%s: %w", source, err)
	}
	add(source, auths, err)
	for _, given := range l.Job {
		add(sourceJob, []registry.AuthConfig{{ServerAddress: given.Registry, Username: given.Username, Password: given.Password}}, nil)
	}
	return all, nil
}

func (l *Logins) readHome(ctx context.Context) (source string, auths []registry.AuthConfig, err error) {
	if l.Home == "" {
		return "", nil, nil
	}
	for _, name := range []string{".docker/config.json", ".dockercfg"} {
		source = filepath.Join(l.Home, name)
		file, opening := os.Open(source)
		if opening != nil {
			err = opening
			continue
		}
		auths, err = readAuths(ctx, file)
		return source, auths, errors.Join(err, file.Close())
	}
	if errors.Is(err, os.ErrNotExist) {
		err = nil
	}
	return source, nil, err
}

const dockerHub = "docker.io"

var scheme = regexp.MustCompile(`(?i)^https?://`)

// registryPath is what a login is for: of a URL the host alone, else host and folders without a tag.
func registryPath(address string) string {
	host, folder, _ := strings.Cut(scheme.ReplaceAllString(address, ""), "/")
	host, folder = strings.ToLower(host), strings.TrimRight(folder, "/")
	if host == "index."+dockerHub {
		host = dockerHub
	}
	if folder == "" || scheme.MatchString(address) {
		return host
	}
	if tag := strings.LastIndex(folder, ":"); tag > strings.LastIndex(folder, "/") {
		folder = folder[:tag]
	}
	return host + "/" + folder
}

// encoded is the login as the daemon wants it, in a header.
func (l *login) encoded() (string, error) {
	if l == nil {
		return "", nil
	}
	return registry.EncodeAuthConfig(l.auth)
}

// masked takes the login out of what a registry answers: one that repeats what it was told would have it in the job log.
func (l *login) masked(err error) error {
	if l == nil {
		return err
	}
	text := err.Error()
	basic := base64.StdEncoding.EncodeToString([]byte(l.auth.Username + ":" + l.auth.Password))
	for _, secret := range slices.Compact([]string{basic, l.auth.Password, l.auth.IdentityToken, l.auth.RegistryToken}) {
		if secret != "" {
			text = strings.ReplaceAll(text, secret, "[MASKED]")
		}
	}
	if text == err.Error() {
		return err
	}
	return errors.New(text)
}
