package e2e

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/store"
	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/store/s3test"
)

// bucket is the section of the settings for a store.
func bucket(c store.S3Config) string {
	return fmt.Sprintf("\n[cache]\nrestore_timeout = \"10s\"\n[cache.s3]\nServerAddress = %q\nAccessKey = %q\nSecretKey = %q\nBucketName = %q\nBucketLocation = %q\nInsecure = %v\nPrefix = \"ci/go\"\n",
		c.ServerAddress, c.AccessKey, c.SecretKey, c.BucketName, c.BucketLocation, c.Insecure)
}

// another is a further runner host of the same GitLab, which has seen nothing yet.
func (g *goHost) another(settings string) *goHost {
	g.t.Helper()
	return &goHost{host: hostOf(g.t, g.gitlab, g.sha, settings), proxy: g.proxy, files: g.files}
}

// logSize is how much the operator log holds.
func (h *host) logSize() int {
	log, _ := os.ReadFile(h.OperatorLog()) // which may not be there yet
	return len(log)
}

// serve runs the command of that name until the test ends it.
func (h *host) serve() (stop func()) {
	h.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, executorBin, "--config", filepath.Join(h.dir, "settings.toml"), "serve")
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = time.Minute
	cmd.Env = h.environ
	said := &syncBuffer{}
	cmd.Stderr = said
	begun := h.logSize()
	if err := cmd.Start(); err != nil {
		cancel()
		h.t.Fatal(err)
	}
	h.eventually("serve begins", func() bool {
		log, _ := os.ReadFile(h.OperatorLog()) // which it may have to make
		return strings.Contains(string(log[min(begun, len(log)):]), `"serving"`)
	}, said)
	return func() {
		cancel()
		if err := cmd.Wait(); err != nil && cmd.ProcessState.ExitCode() != 0 {
			h.t.Errorf("serve: %v", err)
		}
	}
}

func TestAHostThatHasNeverSeenAProjectIsWarmFromItsFirstJob(t *testing.T) {
	t.Parallel()
	settings := bucket(s3test.MinIO(t))
	a := newGoHost(t, settings)
	_, cold := a.ran(a.goJob(buildAndTest...))
	if cold.Reason != "first_run" || cold.SaveReason != "" {
		t.Errorf("cold: %s", cold)
	}
	a.proxy.fetched()

	b := a.another(settings)
	r, first := b.ran(b.goJob(buildAndTest...))
	if first.Reason != "exact" || first.HitStore != 3 || first.HitHost != 0 || first.Missed != 0 || first.New != 0 || first.Hit == 0 || first.Cached != 1 {
		t.Errorf("the first job of another host: %s", first)
	}
	b.says(r, "from the store")
	if fetched := b.proxy.fetched(); len(fetched) > 0 {
		t.Errorf("the proxy was asked for %v", fetched)
	}
	if _, second := b.ran(b.goJob(buildAndTest...)); second.HitHost != 3 || second.HitStore != 0 || b.adds(second) {
		t.Errorf("its second job: %s", second)
	}

	stop := b.serve()
	defer stop()
	b.replace("sum/sum.go", "a + b", "b + a")
	if _, changed := b.ran(b.goJob(buildAndTest...)); changed.New == 0 || changed.New > 6 {
		t.Errorf("with a changed package: %s", changed)
	}
	b.eventually("serve, and not the job, sends what it saved", func() bool {
		for line := range strings.Lines(b.operatorLog()) {
			if strings.Contains(line, `"sent to the store"`) && strings.Contains(line, `"stage":"serve"`) {
				return true
			}
		}
		return false
	}, nil)
	c := a.another(settings)
	c.sha = b.sha
	if _, f := c.ran(c.goJob(buildAndTest...)); f.New != 0 || f.Missed != 0 {
		t.Errorf("a third host: %s", f)
	}
}

func TestWithoutItsStoreAHostWorksAndSendsLater(t *testing.T) {
	t.Parallel()
	proxy, config := s3test.NewProxy(t, s3test.Versity(t))
	proxy.Break(s3test.Abort)
	a := newGoHost(t, bucket(config))
	r, f := a.ran(a.goJob("go build ./sum"))
	if f.Reason != "store_unreachable" || f.Missed != 2 || f.Saved == 0 {
		t.Errorf("without a store: %s", f)
	}
	a.says(r, "store_unreachable", "waits on this host")

	if _, f := a.ran(a.goJob("go build ./sum")); f.Reason != "store_unreachable" || f.HitHost != 2 || f.New != 0 {
		t.Errorf("still without a store: %s", f)
	}

	proxy.Break(nil)
	if err := os.Remove(filepath.Join(a.StateDir, "spool", ".down")); err != nil { // as time would
		t.Fatal(err)
	}
	if _, f := a.ran(a.goJob("go build ./sum")); f.Reason != "exact" || f.HitHost != 2 || f.New != 0 {
		t.Errorf("with the store again: %s", f)
	}
	b := a.another(bucket(config))
	if _, f := b.ran(b.goJob("go build ./sum")); f.Reason != "exact" || f.HitStore != 2 || f.New != 0 {
		t.Errorf("another host: %s", f)
	}
}

func TestABucketThatIsRefusedIsSaidAndCostsNoJob(t *testing.T) {
	t.Parallel()
	config := s3test.Versity(t)
	config.SecretKey = "wrong-secret-key-that-no-log-shows"
	g := newGoHost(t, bucket(config))
	r, f := g.ran(g.goJob("go version"))
	if f.Reason != "store_refused" {
		t.Errorf("%s", f)
	}
	g.says(r, "store_refused", "SecretKey")
	g.neverSays(r, config.SecretKey)
	if strings.Contains(g.operatorLog(), config.SecretKey) {
		t.Error("the operator log shows the secret key")
	}
}
