package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache"
	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/store"
	"gitlab.com/gitlab-go-executor/gitlab-go-executor/executor/checkout"
)

// ours restores and saves as the run stage does, each in a process of its own.
type ours struct {
	w     *workspace
	state string
}

func newOurs(w *workspace, folder string) *ours {
	o := &ours{w: w, state: filepath.Join(w.dir, folder)}
	w.states = append(w.states, o.state)
	return o
}

func (o *ours) name() string { return "ours, warm host" }

// The steps.
const (
	stepRestore = "restore"
	stepSave    = "save"
)

// stepInput is what such a process is told.
type stepInput struct {
	State  string
	Job    string
	Source string
	Config store.S3Config
}

func (o *ours) restore(ctx context.Context, job string) (measured, error) {
	m, err := o.step(ctx, stepRestore, job)
	if err != nil {
		return m, err
	}
	return m, unix.Mount(cache.WorkOf(o.job(job)).Merged(), o.w.caches, "", unix.MS_BIND, "")
}

func (o *ours) save(ctx context.Context, job string) (measured, error) {
	if err := unix.Unmount(o.w.caches, unix.MNT_DETACH); err != nil {
		return measured{}, err
	}
	return o.step(ctx, stepSave, job)
}

func (o *ours) job(job string) string { return filepath.Join(o.state, "jobs", "bench", job) }

// step calls this program for one step, so that its memory is counted alone.
func (o *ours) step(ctx context.Context, step, job string) (measured, error) {
	input, err := json.Marshal(stepInput{State: o.state, Job: job, Source: o.w.source, Config: o.w.config})
	if err != nil {
		return measured{}, err
	}
	self, err := os.Executable()
	if err != nil {
		return measured{}, err
	}
	cmd := exec.CommandContext(ctx, self, "-step", step)
	cmd.Env = append(os.Environ(), "BENCH_PEERS="+string(input))
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return measured{}, fmt.Errorf("%s: %w", step, err)
	}
	var m measured
	if err := json.Unmarshal(out, &m); err != nil {
		return m, err
	}
	m.Memory = peak(cmd)
	return m, nil
}

// peak is the most memory that a process that has ended had resident.
func peak(cmd *exec.Cmd) int64 {
	usage, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage)
	if !ok {
		return 0
	}
	return usage.Maxrss << 10 // getrusage(2): in kilobytes
}

// runStep is what the process of a step does.
func runStep(ctx context.Context, step string) error {
	var in stepInput
	if err := json.Unmarshal([]byte(os.Getenv("BENCH_PEERS")), &in); err != nil {
		return err
	}
	bucket, err := store.NewS3(in.Config)
	if err != nil {
		return err
	}
	caches := cache.Open(ctx, cache.Options{Dir: in.State, Store: bucket, Far: true, Driver: "image", Idle: time.Hour})
	folder := filepath.Join(in.State, "jobs", "bench", in.Job)
	var m measured
	if step == stepRestore {
		restored, problem := restoreOurs(ctx, caches, folder, "1", in)
		m, err = measured{Seconds: restored.Seconds}, problem
		if restored.Fetched > 0 {
			m.Moved = restored.Bytes
		}
	} else {
		m, err = saveOurs(ctx, caches, folder)
	}
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(m)
}

func restoreOurs(ctx context.Context, caches *cache.Cache, folder, project string, in stepInput) (cache.Restored, error) {
	report, err := checkout.Run(ctx, checkout.Options{Dir: in.Source})
	if err != nil {
		return cache.Restored{}, err
	}
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return cache.Restored{}, err
	}
	restored, err := caches.Restore(ctx, folder, cache.Request{
		Instance: "bench", Project: project, Tier: "protected", Job: in.Job, Speaker: "bench",
		Platform: runtime.GOOS + "-" + runtime.GOARCH, Toolchain: runtime.Version(), Kinds: cache.Kinds(),
		Graph: report.Graph.Hash, Modules: report.Graph.Modules, Sums: report.Sums,
	})
	return restored, errors.Join(append(restored.Problems, err)...)
}

// saveOurs includes the upload, as where no serve runs.
func saveOurs(ctx context.Context, caches *cache.Cache, folder string) (measured, error) {
	began := time.Now()
	saved, err := caches.Save(ctx, folder, false)
	if err == nil {
		err = errors.Join(saved.Problems...)
	}
	if err != nil {
		return measured{}, err
	}
	sent, err := caches.Send(ctx)
	return measured{Seconds: since(began), Moved: sent.Bytes}, err
}

// fresh is ours on hosts that have never seen the project: every restore is on a new one.
type fresh struct{ *ours }

func (f *fresh) name() string { return "ours, fresh host" }

func (f *fresh) restore(ctx context.Context, job string) (measured, error) {
	f.ours = newOurs(f.w, "state-"+job)
	return f.ours.restore(ctx, job)
}
