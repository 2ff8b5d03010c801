package store_test

import (
	"fmt"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/store"
	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/store/s3test"
	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/store/storetest"
)

func TestABucketOfAFakeIsAStore(t *testing.T) {
	t.Parallel()
	storetest.Run(t, inOneBucket(fake(t)))
}

func TestABucketOfVersityGatewayIsAStore(t *testing.T) {
	t.Parallel()
	storetest.Run(t, inOneBucket(s3test.Versity(t)))
}

func TestABucketOfMinIOIsAStore(t *testing.T) {
	t.Parallel()
	storetest.Run(t, inOneBucket(s3test.MinIO(t)))
}

func TestWhatRealServersRefuseIsToldInTheWordsOfTheSettings(t *testing.T) {
	t.Parallel()
	for name, start := range map[string]func(t testing.TB) store.S3Config{"versitygw": s3test.Versity, "MinIO": s3test.MinIO} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			good := start(t)
			for says, change := range map[string]func(c *store.S3Config){
				"correct AccessKey in [cache.s3]":  func(c *store.S3Config) { c.AccessKey = "another" },
				"correct SecretKey in [cache.s3]":  func(c *store.S3Config) { c.SecretKey = "another-secret-key" },
				"correct BucketName or ServerAddr": func(c *store.S3Config) { c.BucketName = "another" },
			} {
				cfg := good
				change(&cfg)
				for call, do := range calls(t, newS3(t, cfg)) {
					err := do(t.Context())
					if classOf(err) != refused || !strings.Contains(err.Error(), says) || strings.Contains(err.Error(), cfg.SecretKey) {
						t.Errorf("%s says %v, want %q", call, err, says)
					}
				}
			}
			good.BucketLocation = "" // then the server is asked
			if err := newS3(t, good).Put(t.Context(), "a", []byte("x")); err != nil {
				t.Errorf("without a region: %v", err)
			}
		})
	}
}

// inOneBucket opens stores that share a server: each has a prefix of its own.
func inOneBucket(cfg store.S3Config) func(t *testing.T) store.Store {
	var opened atomic.Int64
	return func(t *testing.T) store.Store {
		t.Helper()
		cfg := cfg
		cfg.Prefix = fmt.Sprintf("caches/go-%d", opened.Add(1))
		return newS3(t, cfg)
	}
}

func newS3(t testing.TB, cfg store.S3Config) *store.S3 {
	t.Helper()
	s, err := store.NewS3(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// fake is a server in this process.
func fake(t *testing.T) store.S3Config {
	t.Helper()
	backend := s3mem.New()
	if err := backend.CreateBucket("bucket"); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(gofakes3.New(backend, gofakes3.WithLogger(gofakes3.DiscardLog())).Server())
	t.Cleanup(server.Close)
	return at(server)
}

// at is how to reach a test's server.
func at(server *httptest.Server) store.S3Config {
	return store.S3Config{
		ServerAddress: strings.TrimPrefix(server.URL, "http://"), AccessKey: "access", SecretKey: "kept-to-ourselves",
		BucketName: "bucket", BucketLocation: "us-east-1", Insecure: true,
	}
}
