package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/minio/minio-go/v7"
)

// archived is what the peers have in common: the caches are plain folders, archived as one object.
type archived struct {
	w     *workspace
	ready bool // the object is there
}

// begin puts the full caches where they belong and has them saved, if no archive of them is there yet.
func (a *archived) begin(ctx context.Context, save func(context.Context, string) (measured, error)) error {
	if a.ready {
		return nil
	}
	a.ready = true
	if err := run(ctx, a.w.dir, "cp", "-a", a.w.plain+"/.", a.w.caches); err != nil {
		return err
	}
	_, err := save(ctx, "")
	return err
}

// clear removes what was restored.
func (w *workspace) clear(ctx context.Context) error {
	if err := run(ctx, w.dir, "chmod", "-R", "u+w", w.caches); err != nil { // Go's modules are read-only
		return err
	}
	entries, err := os.ReadDir(w.caches)
	for _, e := range entries {
		err = errors.Join(err, os.RemoveAll(filepath.Join(w.caches, e.Name())))
	}
	return err
}

// gitlab is GitLab Runner's own cache, as its helper does it within a job.
type gitlab struct {
	archived
	format string
}

func (g *gitlab) name() string { return "GitLab Runner, " + g.format }

func (g *gitlab) object() string { return "gitlab-" + g.format }

// file is what the Runner calls it, whatever the format.
func (g *gitlab) file() string { return filepath.Join(g.w.dir, "archive", "cache.zip") }

func (g *gitlab) restore(ctx context.Context, _ string) (measured, error) {
	if err := g.begin(ctx, g.save); err != nil {
		return measured{}, err
	}
	address, err := g.w.client.PresignedGetObject(ctx, bucket, g.object(), time.Hour, url.Values{})
	if err != nil {
		return measured{}, err
	}
	m, err := g.helper(ctx, "cache-extractor", "--url", address.String())
	return m, err
}

func (g *gitlab) save(ctx context.Context, _ string) (measured, error) {
	address, err := g.w.client.PresignedPutObject(ctx, bucket, g.object(), time.Hour)
	if err != nil {
		return measured{}, err
	}
	m, err := g.helper(ctx, "cache-archiver", "--url", address.String(), "--path", "caches", "--compression-format", g.format)
	if err != nil {
		return m, err
	}
	return m, g.w.clear(ctx)
}

// helper calls the Runner's helper without an archive of its own from before, as on a host that has not seen the job.
func (g *gitlab) helper(ctx context.Context, command string, args ...string) (measured, error) {
	if err := os.RemoveAll(filepath.Dir(g.file())); err != nil {
		return measured{}, err
	}
	cmd := exec.CommandContext(ctx, g.w.helper, append([]string{command, "--file", g.file()}, args...)...)
	cmd.Dir = g.w.dir
	return g.w.timed(ctx, cmd, g.object())
}

// timed runs a command that moves an object.
func (w *workspace) timed(ctx context.Context, cmd *exec.Cmd, object string) (measured, error) {
	began := time.Now()
	if out, err := cmd.CombinedOutput(); err != nil {
		return measured{}, fmt.Errorf("%w\n%s", err, out)
	}
	m := measured{Seconds: since(began), Memory: peak(cmd)}
	info, err := w.client.StatObject(ctx, bucket, object, minio.StatObjectOptions{})
	m.Moved = info.Size
	return m, err
}

// tarball is what people write themselves: tar and zstd, with all processors, and curl.
type tarball struct{ archived }

func (t *tarball) name() string { return "tar and zstd" }

const tarObject = "caches.tar.zst"

func (t *tarball) restore(ctx context.Context, _ string) (measured, error) {
	if err := t.begin(ctx, t.save); err != nil {
		return measured{}, err
	}
	address, err := t.w.client.PresignedGetObject(ctx, bucket, tarObject, time.Hour, url.Values{})
	if err != nil {
		return measured{}, err
	}
	return t.shell(ctx, `curl -fsS "$URL" | zstd -dc -T0 | tar -xf -`, address)
}

func (t *tarball) save(ctx context.Context, _ string) (measured, error) {
	address, err := t.w.client.PresignedPutObject(ctx, bucket, tarObject, time.Hour)
	if err != nil {
		return measured{}, err
	}
	m, err := t.shell(ctx, `tar -cf - caches | zstd -qc -T0 >archive.tar.zst && curl -fsS -T archive.tar.zst "$URL" && rm archive.tar.zst`, address)
	if err != nil {
		return m, err
	}
	return m, t.w.clear(ctx)
}

func (t *tarball) shell(ctx context.Context, script string, address *url.URL) (measured, error) {
	cmd := exec.CommandContext(ctx, "bash", "-o", "pipefail", "-c", script)
	cmd.Dir = t.w.dir
	cmd.Env = append(os.Environ(), "URL="+address.String(), "no_proxy=127.0.0.1")
	return t.w.timed(ctx, cmd, tarObject)
}
