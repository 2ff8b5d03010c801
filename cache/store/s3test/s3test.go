// Package s3test starts S3 servers for tests.
package s3test

import (
	"bytes"
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/store"
)

// What the servers are told. Both are on the loopback interface only, and gone after the test.
const (
	accessKey = "s3test-access"
	secretKey = "s3test-secret-key"
	bucket    = "s3test"
	region    = "us-east-1"
)

// Versity starts versitygw, with its objects in a temporary folder, and gives its bucket.
func Versity(t testing.TB) store.S3Config {
	t.Helper()
	c, _ := VersityOver(t, t.TempDir())
	return c
}

// VersityOver starts versitygw with its objects in a folder that is there already, and gives its bucket and that bucket's folder: what is put there is an
// object.
func VersityOver(t testing.TB, dir string) (c store.S3Config, folder string) {
	t.Helper()
	c = start(t, "versitygw", func(address, _ string) ([]string, []string) {
		return []string{"--port", address, "--region", region, "--quiet", "posix", dir},
			[]string{"ROOT_ACCESS_KEY=" + accessKey, "ROOT_SECRET_KEY=" + secretKey}
	})
	return c, filepath.Join(dir, bucket)
}

// MinIO starts MinIO, with its objects in a temporary folder, and gives its bucket.
func MinIO(t testing.TB) store.S3Config {
	t.Helper()
	return start(t, "minio", func(address, dir string) ([]string, []string) {
		return minioServer(address, dir, filepath.Join(dir, "objects"))
	})
}

// minioServer is the command line of a MinIO, and its environment.
func minioServer(address, dir string, drives ...string) (args, env []string) {
	return append([]string{"server", "--quiet", "--address", address, "--config-dir", filepath.Join(dir, "config")}, drives...),
		[]string{
			"MINIO_ROOT_USER=" + accessKey, "MINIO_ROOT_PASSWORD=" + secretKey,
			"MINIO_BROWSER=off", "MINIO_UPDATE=off", // no second port, no call to its maker
			"MINIO_CI_CD=on", // takes a folder on the root disk
		}
}

// Limits of a start. A port that was free may be taken before the server has it: then the server ends, and the next one gets another.
const (
	starts  = 5
	waiting = 30 * time.Second // until a server answers, on a busy machine
)

func start(t testing.TB, name string, with func(address, dir string) (args, env []string)) store.S3Config {
	t.Helper()
	program := binary(t, name)
	for range starts {
		address := freeAddress(t)
		dir := t.TempDir()
		args, env := with(address, dir)
		server := launch(t, program, dir, args, env)
		if server.ready(t, address) {
			t.Cleanup(server.stop)
			return configOf(address)
		}
		server.stop()
		t.Logf("%s did not start at %s:\n%s", name, address, server.output.String())
	}
	t.Fatalf("%s does not start", name)
	return store.S3Config{}
}

// server is one that runs.
type server struct {
	*exec.Cmd
	output bytes.Buffer
	ended  chan struct{}
}

// launch starts a server on a thread that lives as long as it does: its parent, in the eyes of prctl(2), is the thread that started it, and
// threads end with goroutines that changed them, as those that mount do.
func launch(t testing.TB, program, home string, args, env []string) *server {
	t.Helper()
	// Not CommandContext: the test's context ends before its cleanups, which may still need the server.
	s := &server{Cmd: exec.Command(program, args...), ended: make(chan struct{})} //nolint:gosec,noctx // one of ours, ended by stop
	s.Env = append([]string{"HOME=" + home, "PATH=" + os.Getenv("PATH")}, env...)
	s.Stdout, s.Stderr = &s.output, &s.output
	s.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} // a test that runs out of time cleans nothing up
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		defer close(s.ended)
		err := s.Start()
		started <- err
		if err == nil {
			_ = s.Wait()
		}
	}()
	if err := <-started; err != nil {
		t.Fatal(err)
	}
	return s
}

func configOf(address string) store.S3Config {
	return store.S3Config{
		ServerAddress: address, AccessKey: accessKey, SecretKey: secretKey, BucketName: bucket, BucketLocation: region, Insecure: true,
	}
}

// binary is built by a script, since what the servers need does not fit what we need. Tests run in the folder of their package.
func binary(t testing.TB, name string) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for ; dir != "/"; dir = filepath.Dir(dir) {
		path := filepath.Join(dir, "testdata", "s3", "bin", name)
		if _, err := os.Stat(path); err == nil {
			return path
		}
	}
	t.Fatalf("the S3 server %s for the tests is not built: run testdata/s3/build.sh", name)
	return ""
}

func freeAddress(t testing.TB) string {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}

func clientOf(t testing.TB, address string) *minio.Client {
	t.Helper()
	client, err := minio.New(address, &minio.Options{Creds: credentials.NewStaticV4(accessKey, secretKey, ""), Region: region, MaxRetries: 1})
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// MakeBucket makes the bucket, where DropBucket has removed it.
func MakeBucket(t testing.TB, c store.S3Config) {
	t.Helper()
	if err := clientOf(t, c.ServerAddress).MakeBucket(t.Context(), c.BucketName, minio.MakeBucketOptions{}); err != nil {
		t.Fatal(err)
	}
}

// DropBucket removes the bucket with all that is in it.
func DropBucket(t testing.TB, c store.S3Config) {
	t.Helper()
	RemoveObjects(t, c, "")
	if err := clientOf(t, c.ServerAddress).RemoveBucket(t.Context(), c.BucketName); err != nil {
		t.Fatal(err)
	}
}

// RemoveObjects removes the objects whose keys end like that, behind everybody's back.
func RemoveObjects(t testing.TB, c store.S3Config, suffix string) {
	t.Helper()
	client := clientOf(t, c.ServerAddress)
	for o := range client.ListObjectsIter(t.Context(), c.BucketName, minio.ListObjectsOptions{Recursive: true}) {
		if o.Err != nil {
			t.Fatal(o.Err)
		}
		if !strings.HasSuffix(o.Key, suffix) {
			continue
		}
		if err := client.RemoveObject(t.Context(), c.BucketName, o.Key, minio.RemoveObjectOptions{}); err != nil {
			t.Fatal(err)
		}
	}
}

// ready waits until the server has the bucket, and makes it where it is not. Only the first node of a cluster has to: a node that is killed soon
// after it made one may leave the cluster's lock on that bucket's name, which others then wait for up to two minutes (lockValidityDuration and
// lockMaintenanceInterval in MinIO's cmd/lock-rest-server.go). Asking takes no lock.
func (s *server) ready(t testing.TB, address string) bool {
	t.Helper()
	client := clientOf(t, address)
	ctx, cancel := context.WithTimeout(t.Context(), waiting)
	defer cancel()
	for {
		there, err := client.BucketExists(ctx, bucket)
		if err == nil && !there {
			err = client.MakeBucket(ctx, bucket, minio.MakeBucketOptions{})
			there = err == nil
		}
		if there {
			return true
		}
		select {
		case <-s.ended:
			t.Logf("the server at %s has ended", address)
			return false
		case <-ctx.Done():
			t.Logf("the server at %s is not ready after %s: %v", address, waiting, err)
			return false
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// stop ends a server; nothing that it holds is wanted any more.
func (s *server) stop() {
	_ = s.Process.Kill()
	<-s.ended
}
