package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	"golang.org/x/sys/unix"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache"
	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/store"
)

// Commit is what one commit cost; seconds, bytes.
type Commit struct {
	Changed string  `json:"changed"`
	Layers  int     `json:"layers"` // that its job was mounted over
	Bytes   int64   `json:"bytes"`  // of these
	Restore float64 `json:"restore_seconds"`
	Build   float64 `json:"build_seconds"`
	Save    float64 `json:"save_seconds"` // without the upload
	Sent    int64   `json:"sent_bytes"`
	Tend    float64 `json:"tend_seconds"` // upload and compaction, which no job waits for where serve runs
	Modules string  `json:"modules"`      // hit / wanted
	Hit     int     `json:"packages_hit"`
	New     int     `json:"packages_new"`
}

// benchCommits has a module go through commits, on one host with serve, and compares what its caches take with those of one full build.
func benchCommits(ctx context.Context, w *workspace, n int, bump string, asJSON bool) error {
	h, err := newCommitHost(ctx, w)
	if err != nil {
		return err
	}
	packages, err := w.packages(ctx)
	if err != nil {
		return err
	}
	random := rand.New(rand.NewPCG(1, 1)) //nolint:gosec // the same commits each time
	var commits []Commit
	for i := range n + 1 { // the first one has nothing to begin with
		changed := "everything"
		switch {
		case i > 0 && i%7 == 0:
			changed, err = "module "+bump, w.changeModule(ctx, bump, 0) // of the one it is at now
		case i > 0:
			changed, err = w.changeSome(packages, random)
		}
		if err != nil {
			return err
		}
		commit, err := h.commit(ctx, fmt.Sprint("commit", i), "1")
		if err != nil {
			return fmt.Errorf("commit %d: %w", i, err)
		}
		commit.Changed = changed
		say("commit %d: %s: %d new packages in %.1f s", i, changed, commit.New, commit.Build)
		commits = append(commits, commit)
	}
	now, err := h.commit(ctx, "now", "1") // what there is in the end
	if err != nil {
		return err
	}
	full, err := h.commit(ctx, "full", "2") // another project
	if err != nil {
		return err
	}
	if asJSON {
		return json.NewEncoder(os.Stdout).Encode(map[string]any{"module": w.module, "commits": commits, "in_the_end": now, "full_build": full})
	}
	return commitTable(os.Stdout, commits, now, full)
}

// changeSome changes one to three packages.
func (w *workspace) changeSome(packages []string, random *rand.Rand) (string, error) {
	var names []string
	for range random.IntN(3) + 1 {
		dir := packages[random.IntN(len(packages))]
		if err := w.changePackage(dir); err != nil {
			return "", err
		}
		name, err := filepath.Rel(w.source, dir)
		if err != nil {
			return "", err
		}
		names = append(names, name)
	}
	return strings.Join(names, " "), nil
}

// commitHost is a host of ours.
type commitHost struct {
	*ours
	caches *cache.Cache
}

func newCommitHost(ctx context.Context, w *workspace) (*commitHost, error) {
	h := &commitHost{ours: newOurs(w, "state")}
	bucket, err := store.NewS3(w.config)
	if err == nil {
		h.caches = cache.Open(ctx, cache.Options{Dir: h.state, Store: bucket, Far: true, Driver: "image", Idle: time.Hour})
	}
	return h, err
}

// commit runs a job of a project, and then does what serve would.
func (h *commitHost) commit(ctx context.Context, job, project string) (c Commit, err error) {
	folder := h.job(job)
	restored, err := restoreOurs(ctx, h.caches, folder, project, stepInput{Job: job, Source: h.w.source})
	if err != nil {
		return c, err
	}
	c.Restore, c.Layers, c.Bytes = restored.Seconds, restored.Layers, restored.Bytes
	if err := unix.Mount(restored.Merged, h.w.caches, "", unix.MS_BIND, ""); err != nil {
		return c, err
	}
	stop, err := h.caches.Watch(folder, h.w.caches)
	if err != nil {
		return c, err
	}
	if c.Build, err = h.w.build(ctx); err != nil {
		return c, err
	}
	if err := errors.Join(unix.Unmount(h.w.caches, unix.MNT_DETACH), stop()); err != nil {
		return c, err
	}
	saved, err := h.caches.Save(ctx, folder, true)
	if err := errors.Join(append(saved.Problems, err)...); err != nil {
		return c, err
	}
	c.Save, c.Hit, c.New = saved.Seconds, *saved.Build.Hit, *saved.Build.New
	c.Modules = fmt.Sprintf("%d/%d", *saved.Modules.HitHost+*saved.Modules.HitStore, *saved.Modules.Wanted)
	began := time.Now()
	sent, err := h.caches.Send(ctx)
	c.Sent = sent.Bytes
	err = errors.Join(err, h.caches.Tend(ctx, true))
	c.Tend = since(began)
	return c, err
}

func commitTable(to io.Writer, commits []Commit, now, full Commit) error {
	t := tabwriter.NewWriter(to, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "commit\tlayers\tsize\trestore\tbuild\tsave\tsent\tbehind it\tmodules\tpackages hit\tnew\tchanged")
	for i, c := range commits {
		fmt.Fprintf(t, "%d\t%d\t%s\t%.2f s\t%.1f s\t%.2f s\t%s\t%.1f s\t%s\t%d\t%d\t%s\n",
			i, c.Layers, bytes(c.Bytes), c.Restore, c.Build, c.Save, bytes(c.Sent), c.Tend, c.Modules, c.Hit, c.New, c.Changed)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(to, "in the end %d layers of %s, %.2f times the %s of one full build, which takes %.1f s\n",
		now.Layers, bytes(now.Bytes), float64(now.Bytes)/float64(full.Sent), bytes(full.Sent), full.Build)
	return err
}
