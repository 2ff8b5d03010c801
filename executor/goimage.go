package executor

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache"
	"gitlab.com/gitlab-go-executor/gitlab-go-executor/executor/docker"
	"gitlab.com/gitlab-go-executor/gitlab-go-executor/executor/goenv"
)

const probeLimit = time.Minute

// probeVersion changes with what a probe looks at: what an older one found counts no more.
const probeVersion = 2

// goImage tells what Go the job's image has for the job's user, whose home may have a configuration of Go's (go env -w). An image is looked
// at once per host and user, in a container of its own: its digest says that it has not changed since.
func (j *job) goImage(ctx context.Context, image docker.Image) (goenv.Image, error) {
	user := buildUser(&j.settings.Docker, j.env, j.payload)
	file := filepath.Join(j.tree.images(), probeFile(image.ID, user))
	if data, err := os.ReadFile(file); err == nil {
		if known, err := goenv.ReadImage(bytes.NewReader(data)); err == nil {
			return known, nil
		}
	}
	ctx, cancel := context.WithTimeoutCause(ctx, probeLimit, fmt.Errorf("waited %s for the probe of the image: %w", probeLimit, context.DeadlineExceeded))
	defer cancel()
	found, err := j.probe(ctx, image, user)
	if err != nil {
		return goenv.Image{}, err
	}
	data, err := json.Marshal(found)
	if err != nil {
		return goenv.Image{}, err
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return goenv.Image{}, err
	}
	staged := fmt.Sprintf("%s.%d", file, os.Getpid())
	if err := os.WriteFile(staged, data, 0o600); err != nil {
		return goenv.Image{}, err
	}
	return found, os.Rename(staged, file)
}

// probeFile names the file of what a probe found; a user may be named anything.
func probeFile(image, user string) string {
	sum := sha256.Sum256([]byte(user))
	return fmt.Sprintf("%s.%x.%d.json", strings.ReplaceAll(image, ":", "-"), sum[:8], probeVersion)
}

// findGo notes what Go the job's image has. A job without it has no caches, and is none the worse for it.
func (j *job) findGo(ctx context.Context) error {
	record := j.store.get()
	if record.Tool == "" {
		return j.store.update(func(r *Record) { r.NoGo = cache.UnsupportedHost })
	}
	found, err := j.goImage(ctx, record.Image)
	reason := cache.NoGo
	if err != nil {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		j.log.WithError(err).Warn("it cannot be found out what Go the image has")
		reason = cache.Bug
	}
	return j.store.update(func(r *Record) { r.Go, r.NoGo = found, reason })
}

// probe runs this program in a container of the image, which no variable of the job reaches: what it finds counts for all jobs of that user.
func (j *job) probe(ctx context.Context, image docker.Image, user string) (found goenv.Image, err error) {
	record := j.store.get()
	id, err := j.store.creating(objectProbe, func() (string, error) { return j.docker.Create(ctx, record.Owner, j.probeSpec(image, user, record)) })
	if err != nil {
		return goenv.Image{}, err
	}
	defer func() {
		err = errors.Join(err, j.docker.RemoveNamed(context.WithoutCancel(ctx), record.Owner, objectProbe))
	}()
	run, err := j.docker.StartRun(ctx, id)
	if err != nil {
		return goenv.Image{}, err
	}
	var stdout, stderr limited
	result, err := run.Feed(ctx, strings.NewReader(""), &stdout, &stderr, 0)
	if err != nil {
		return goenv.Image{}, err
	}
	if result.Code != 0 {
		return goenv.Image{}, errorText(result.Code, stderr.String())
	}
	return goenv.ReadImage(strings.NewReader(stdout.String()))
}

func (j *job) probeSpec(image docker.Image, user string, record Record) docker.Spec {
	host := docker.NewHostConfig(&j.settings.Docker, docker.KindHelper, docker.Asked{})
	host.SecurityOpt = append(host.SecurityOpt, "no-new-privileges")
	return docker.Spec{
		Host: host,
		Kind: docker.KindHelper, Suffix: objectProbe, Image: image, Network: j.network(), User: user, Stdin: true,
		Entrypoint: []string{toolPath}, Cmd: []string{insideCommand, "probe"}, Mounts: []docker.Mount{toolMount(record.Tool)},
	}
}

// errorText is the error of a command in a container, with the beginning of what it said.
func errorText(code int, stderr string) error {
	const most = 500
	text := strings.TrimSpace(stderr)
	return fmt.Errorf("exit code %d: %s", code, text[:min(len(text), most)])
}

// limited keeps the beginning of what a container prints, and takes the rest without keeping it.
type limited struct{ bytes.Buffer }

const limitedSize = 16 << 20

// Write implements io.Writer.
func (l *limited) Write(p []byte) (int, error) {
	l.Buffer.Write(p[:min(len(p), max(limitedSize-l.Len(), 0))])
	return len(p), nil
}

var _ io.Writer = (*limited)(nil)
