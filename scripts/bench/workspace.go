package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
	"golang.org/x/sys/unix"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache"
	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/store"
)

// workspace is where everything happens. The source and the caches are at the same paths for all, since Go's keys hold paths.
type workspace struct {
	dir    string
	module string // path@version
	source string // the module, a git repository
	caches string // with modules and build in it
	plain  string // a copy of the full caches, for those who have to archive them first
	helper string // the Runner's binary for caches
	config store.S3Config
	client *minio.Client
	states []string // the state directories of our hosts, whose layers stay mounted

	changed int // packages, so far
}

const bucket = "bench"

func newWorkspace(ctx context.Context, module string) (*workspace, error) {
	dir, err := os.MkdirTemp("", "go-cache-bench-")
	if err != nil {
		return nil, err
	}
	w := &workspace{dir: dir, module: module, source: filepath.Join(dir, "source"), caches: filepath.Join(dir, "caches"), plain: filepath.Join(dir, "plain")}
	for _, folder := range []string{w.caches, w.plain} {
		if err := os.Mkdir(folder, 0o755); err != nil {
			return nil, err
		}
	}
	helper, err := filepath.Abs("testdata/runner/bin/gitlab-runner-helper")
	if err != nil {
		return nil, err
	}
	w.helper = helper
	download := exec.CommandContext(ctx, "go", "mod", "download", "-json", module)
	download.Dir = dir
	out, err := download.Output()
	if err != nil {
		return nil, fmt.Errorf("go mod download %s: %w", module, err)
	}
	var found struct{ Dir string }
	if err := json.Unmarshal(out, &found); err != nil {
		return nil, err
	}
	return w, errors.Join(
		run(ctx, dir, "cp", "-R", found.Dir, w.source), run(ctx, dir, "chmod", "-R", "u+w", w.source), run(ctx, w.source, "git", "init", "-q"),
		run(ctx, w.source, "git", "add", "-A", "-f", "."),
		run(ctx, w.source, "git", "-c", "user.name=bench", "-c", "user.email=bench@example.com", "commit", "-q", "-m", module),
	)
}

func (w *workspace) remove(ctx context.Context) {
	_ = unix.Unmount(w.caches, unix.MNT_DETACH) // after an error
	for _, state := range w.states {
		host := cache.Open(ctx, cache.Options{Dir: state, Driver: "image"})
		jobs, _ := filepath.Glob(filepath.Join(state, "jobs", "*", "*"))
		for _, job := range jobs {
			_ = host.Discard(ctx, job)
		}
		if err := host.Housekeep(ctx, true); err != nil {
			say("%v", err)
		}
	}
	_ = run(ctx, w.dir, "chmod", "-R", "u+w", w.plain)
	if err := os.RemoveAll(w.dir); err != nil {
		say("%v", err)
	}
}

// reset takes all changes of the source back.
func (w *workspace) reset(ctx context.Context) error {
	return run(ctx, w.source, "git", "checkout", "-q", ".")
}

// build is the job's script.
func (w *workspace) build(ctx context.Context) (float64, error) {
	began := time.Now()
	for _, verb := range []string{"build", "vet"} {
		cmd := exec.CommandContext(ctx, "go", verb, "./...")
		cmd.Dir = w.source
		cmd.Env = append(os.Environ(), "GOMODCACHE="+filepath.Join(w.caches, "modules"), "GOCACHE="+filepath.Join(w.caches, "build"), "GOFLAGS=-mod=mod")
		if out, err := cmd.CombinedOutput(); err != nil {
			return 0, fmt.Errorf("go %s: %w\n%s", verb, err, out)
		}
	}
	return since(began), nil
}

// dropPageCache has what is read next come from disk, as on a host that has done other things meanwhile. What the store holds is in memory
// again afterwards: the disk of another machine is not what is measured.
func (w *workspace) dropPageCache(ctx context.Context) error {
	if err := run(ctx, w.dir, "sync"); err != nil {
		return err
	}
	if err := os.WriteFile("/proc/sys/vm/drop_caches", []byte("3"), 0o600); err != nil {
		return err
	}
	return run(ctx, w.dir, "sh", "-c", "find minio -type f -exec cat {} + >/dev/null")
}

// startMinIO starts the server that the Makefile builds, optimized unlike that of the tests.
func (w *workspace) startMinIO(ctx context.Context) (stop func(), err error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	address := listener.Addr().String()
	if err := listener.Close(); err != nil {
		return nil, err
	}
	w.config = store.S3Config{ServerAddress: address, AccessKey: "bench-access", SecretKey: "bench-secret-key", BucketName: bucket, BucketLocation: "us-east-1", Insecure: true}
	server := exec.CommandContext(ctx, ".cache/s3/minio", "server", "--quiet", "--address", address, filepath.Join(w.dir, "minio"))
	server.Env = append(os.Environ(), "MINIO_ROOT_USER="+w.config.AccessKey, "MINIO_ROOT_PASSWORD="+w.config.SecretKey, "MINIO_BROWSER=off", "MINIO_UPDATE=off", "MINIO_CI_CD=on")
	if err := server.Start(); err != nil {
		return nil, err
	}
	stop = func() {
		_ = server.Process.Kill()
		_ = server.Wait()
	}
	w.client, err = minio.New(address, &minio.Options{Creds: credentials.NewStaticV4(w.config.AccessKey, w.config.SecretKey, ""), Region: w.config.BucketLocation})
	if err != nil {
		stop()
		return nil, err
	}
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(100 * time.Millisecond) {
		err := w.client.MakeBucket(ctx, bucket, minio.MakeBucketOptions{})
		if err == nil {
			return stop, nil
		}
		if time.Now().After(deadline) {
			stop()
			return nil, fmt.Errorf("wait for MinIO: %w", err)
		}
	}
}
