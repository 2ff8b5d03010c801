package e2e

import (
	"encoding/pem"
	"io"
	"log"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/store/s3test"
)

var discardLog = log.New(io.Discard, "", 0)

func pemOf(der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

var brokenStores = map[string]brokenHost{
	"the store cannot be reached": {
		func(p *patient) { c := s3test.Fake(p.T); c.ServerAddress = "127.0.0.1:9"; p.withBucket(c) },
		finding{"store", "wrong", "connection refused", "see ServerAddress"},
		func(p *patient) { p.withBucket(s3test.Fake(p.T)) },
	},
	"the store has another secret key": {
		func(p *patient) { p.withBucket(s3test.Versity(p.T)); p.set("cache.s3", "SecretKey = %q", "wrong") },
		finding{"store", "wrong", "the secret key is not that of the access key", "correct SecretKey in [cache.s3]"},
		func(p *patient) { p.set("cache.s3", "SecretKey = %q", "s3test-secret-key") },
	},
	"the store does not know the access key": {
		func(p *patient) { p.withBucket(s3test.Versity(p.T)); p.set("cache.s3", "AccessKey = %q", "nobody") },
		finding{"store", "wrong", "does not know the access key", "correct AccessKey in [cache.s3]"},
		func(p *patient) { p.set("cache.s3", "AccessKey = %q", "s3test-access") },
	},
	"there is no such bucket": {
		func(p *patient) { p.withBucket(s3test.Fake(p.T)); p.set("cache.s3", "BucketName = %q", "nowhere") },
		finding{"store", "wrong", `there is no bucket "nowhere"`, "create it, or correct BucketName"},
		func(p *patient) { p.set("cache.s3", "BucketName = %q", "s3test") },
	},
	"the store's certificate is not trusted": {
		func(p *patient) { c, _ := p.behindTLS(s3test.Fake(p.T)); p.withBucket(c) },
		finding{"store", "wrong", "certificate signed by unknown authority", "name with CACertificate in [cache.s3] a PEM file"},
		func(p *patient) { p.set("cache.s3", "CACertificate = %q", p.path("ca.pem")) },
	},
	"the store denies writing": {
		func(p *patient) {
			proxy, c := s3test.NewProxy(p.T, s3test.Fake(p.T))
			proxy.Break(s3test.Only(s3test.Writes, s3test.Answer(http.StatusForbidden, "AccessDenied")))
			p.withBucket(c)
		},
		finding{"store", "wrong", "it denies access to the bucket", "allow GetObject, PutObject"},
		func(p *patient) { p.withBucket(s3test.Fake(p.T)) },
	},
	"the clock is wrong": {
		func(p *patient) {
			proxy, c := s3test.NewProxy(p.T, s3test.Fake(p.T))
			proxy.Break(s3test.Ahead(20 * time.Minute))
			p.withBucket(c)
		},
		finding{"clock", "wrong", "this host's clock is 20m0s behind the store's", "timedatectl set-ntp true"},
		func(p *patient) { p.withBucket(s3test.Fake(p.T)) },
	},
	"the store's folder cannot be written": {
		func(p *patient) {
			onState("copy", "mount -t tmpfs -o ro tmpfs DIR/a")(p)
			p.set("cache", `directory = { path = %q }`, p.path("a/store"))
		},
		finding{"store", "wrong", "read-only file system", "see that root can write to that folder"},
		onDisk,
	},
	"the bucket has no signing key": {
		func(p *patient) { p.withBucket(s3test.Fake(p.T)); p.unset("cache", "signing_key") },
		finding{"signing key", "warning", "whoever can write to the bucket", "openssl rand -hex 32"},
		func(p *patient) { p.set("cache", "signing_key = %q", strings.Repeat("0123456789abcdef", 4)) },
	},
	"serve does not run beside a bucket": {
		func(p *patient) { p.withBucket(s3test.Fake(p.T)) },
		finding{"serve", "warning", "does not run", "run gitlab-go-executor serve"},
		(*patient).serve,
	},
}

// serve starts serve and waits until it holds its lock.
func (p *patient) serve() {
	p.Helper()
	p.set("stats", "listen_address = %q", freeAddress(p.T))
	p.writeFiles()
	cmd := exec.Command(executorBin, "--config", p.path("settings.toml"), "serve")
	if err := cmd.Start(); err != nil {
		p.Fatal(err)
	}
	p.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
	})
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if log, _ := os.ReadFile(p.path("operator.log")); strings.Contains(string(log), "serving") {
			return
		}
	}
	p.Fatal("serve does not start")
}
