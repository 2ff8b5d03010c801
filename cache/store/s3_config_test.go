package store_test

import (
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/store"
)

func TestAllThatIsWrongWithABucketsSettingsIsToldAtOnce(t *testing.T) {
	t.Parallel()
	cfg := store.S3Config{
		ServerAddress: "https://minio.example.com", AccessKey: "key", SecretKey: "", SessionToken: "to ken", BucketName: "no bucket",
		BucketLocation: "eu central", AuthenticationType: "password", ServerSideEncryption: "ROT13", ServerSideEncryptionKeyID: "id",
		Prefix: "../caches", CACertificate: "ca.pem",
	}
	var got []string
	for _, p := range cfg.Problems() {
		got = append(got, p.Key)
		if line := p.String(); strings.Contains(line, "to ken") || !strings.HasPrefix(line, p.Key) {
			t.Errorf("%q", line)
		}
	}
	want := []string{
		"ServerAddress", "SessionToken", "SecretKey", "AuthenticationType", "BucketName", "BucketLocation", "ServerSideEncryption",
		"ServerSideEncryptionKeyID", "Prefix", "CACertificate",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if _, err := store.NewS3(cfg); err == nil || strings.Count(err.Error(), "\n") != len(want)-1 {
		t.Errorf("NewS3: %v", err)
	}
}

func TestEachProblemWithABucketsSettingsNamesItsKey(t *testing.T) {
	t.Parallel()
	good := store.S3Config{ServerAddress: "minio.example.com:9000", AccessKey: "key", SecretKey: "kept", BucketName: "caches"}
	for name, test := range map[string]struct {
		change func(c *store.S3Config)
		want   string // empty: nothing is wrong
	}{
		"nothing":                 {func(*store.S3Config) {}, ""},
		"Amazon":                  {func(c *store.S3Config) { c.ServerAddress = "" }, ""},
		"an IPv6 address":         {func(c *store.S3Config) { c.ServerAddress = "[::1]:9000" }, ""},
		"a path":                  {func(c *store.S3Config) { c.ServerAddress = "example.com/s3" }, "ServerAddress"},
		"no port":                 {func(c *store.S3Config) { c.ServerAddress = "example.com:" }, "ServerAddress"},
		"no bucket":               {func(c *store.S3Config) { c.BucketName = "" }, "BucketName"},
		"no keys":                 {func(c *store.S3Config) { c.AccessKey, c.SecretKey = "", "" }, ""},
		"no access key":           {func(c *store.S3Config) { c.AccessKey = "" }, "AccessKey"},
		"a key with a line break": {func(c *store.S3Config) { c.SecretKey = "kept\n" }, "SecretKey"},
		"a token alone":           {func(c *store.S3Config) { c.AccessKey, c.SecretKey, c.SessionToken = "", "", "t" }, "SessionToken"},
		"access-key without keys": {func(c *store.S3Config) { c.AccessKey, c.SecretKey, c.AuthenticationType = "", "", "access-key" }, "AuthenticationType"},
		"iam":                     {func(c *store.S3Config) { c.AuthenticationType = "iam" }, ""},
		"encryption":              {func(c *store.S3Config) { c.ServerSideEncryption = "s3" }, ""},
		"encryption by Amazon":    {func(c *store.S3Config) { c.ServerSideEncryption = "aws:kms"; c.ServerSideEncryptionKeyID = "id" }, ""},
		"a key without KMS":       {func(c *store.S3Config) { c.ServerSideEncryptionKeyID = "id" }, "ServerSideEncryptionKeyID"},
		"a prefix":                {func(c *store.S3Config) { c.Prefix = "/caches/go/" }, ""},
		"the longest prefix":      {func(c *store.S3Config) { c.Prefix = strings.Repeat("p", 123) }, ""},
		"a longer prefix":         {func(c *store.S3Config) { c.Prefix = strings.Repeat("p", 124) }, "Prefix"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := good
			test.change(&cfg)
			var got []string
			for _, p := range cfg.Problems() {
				got = append(got, p.Key)
			}
			if strings.Join(got, " ") != test.want {
				t.Errorf("got %v, want %q", cfg.Problems(), test.want)
			}
			if _, err := store.NewS3(cfg); (err == nil) != (test.want == "") {
				t.Errorf("NewS3: %v", err)
			}
		})
	}
}

func TestSettingsThatAreLoggedTellNoSecrets(t *testing.T) {
	t.Parallel()
	cfg := store.S3Config{AccessKey: "key", SecretKey: "kept-secret", SessionToken: "kept-token", BucketName: "caches"}
	s := newS3(t, cfg)
	for _, format := range []string{"%v", "%+v", "%#v", "%s"} {
		for _, value := range []any{cfg, &cfg, struct{ S3 store.S3Config }{cfg}, s} {
			if text := fmt.Sprintf(format, value); strings.Contains(text, "kept") {
				t.Errorf("%s of %T: %s", format, value, text)
			}
		}
	}
}

func TestABucketsServerIsTrustedByItsOwnCertificate(t *testing.T) {
	t.Parallel()
	server := httptest.NewUnstartedServer(http.NotFoundHandler())
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // it complains of who does not trust it
	server.StartTLS()
	t.Cleanup(server.Close)
	cfg := at(server)
	cfg.ServerAddress, cfg.Insecure = strings.TrimPrefix(server.URL, "https://"), false
	s := newS3(t, cfg)
	s.Bounds(faultCall, faultStall, 1)
	if err := s.Put(t.Context(), "a", nil); classOf(err) != passes || !strings.Contains(err.Error(), "CACertificate in [cache.s3]") {
		t.Errorf("without: %v", err)
	}
	cfg.CACertificate = filepath.Join(t.TempDir(), "ca.pem")
	if _, err := store.NewS3(cfg); err == nil || !strings.Contains(err.Error(), "CACertificate") {
		t.Errorf("without the file: %v", err)
	}
	if err := os.WriteFile(cfg.CACertificate, []byte("none"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := store.NewS3(cfg); err == nil || !strings.Contains(err.Error(), "no certificate") {
		t.Errorf("without a certificate in it: %v", err)
	}
	certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	if err := os.WriteFile(cfg.CACertificate, certificate, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := newS3(t, cfg).Delete(t.Context(), "a"); err != nil {
		t.Errorf("with it: %v", err)
	}
}

// Not parallel, as all tests that set the environment.
func TestCredentialsComeFromTheSettingsThenTheEnvironmentThenTheRole(t *testing.T) {
	role := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(`{"AccessKeyId":"of-the-role","SecretAccessKey":"s","Token":"t","Expiration":"2999-01-01T00:00:00Z"}`))
	}))
	t.Cleanup(role.Close)
	t.Setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", role.URL)
	t.Setenv("AWS_ACCESS_KEY_ID", "of-the-environment")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "s")
	cfg, used := signer(t)
	check := func(want string, cfg store.S3Config) {
		t.Helper()
		if err := newS3(t, cfg).Delete(t.Context(), "a"); err != nil {
			t.Error(err)
		}
		if got := used(); got != want {
			t.Errorf("used %q, want %q", got, want)
		}
	}
	check("access", cfg)
	without := cfg
	without.AccessKey, without.SecretKey = "", ""
	check("of-the-environment", without)
	iam := cfg
	iam.AuthenticationType = store.AuthIAM
	check("of-the-role", iam)
	t.Setenv("AWS_ACCESS_KEY_ID", "")
	check("of-the-role", without)
	role.Close()
	s := newS3(t, without)
	s.Bounds(faultCall, faultStall, 1)
	if err := s.Delete(t.Context(), "a"); classOf(err) != passes || !strings.Contains(err.Error(), "set AccessKey and SecretKey in [cache.s3]") {
		t.Errorf("without a role: %v", err)
	}
}

func TestObjectsAreEncryptedAsTheSettingsSay(t *testing.T) {
	t.Parallel()
	const header = "X-Amz-Server-Side-Encryption"
	big := filepath.Join(t.TempDir(), "big")
	if err := os.WriteFile(big, bigContent(), 0o600); err != nil {
		t.Fatal(err)
	}
	for set, want := range map[string][2]string{"": {"", ""}, "S3": {"AES256", ""}, "kms": {"aws:kms", "the-key"}} {
		s, seen := faulty(t, func(w http.ResponseWriter, r *http.Request, _ int, next http.Handler) { next.ServeHTTP(w, r) }, func(cfg *store.S3Config) {
			cfg.ServerSideEncryption = set
			cfg.ServerSideEncryptionKeyID = want[1]
		})
		if err := errors.Join(s.Put(t.Context(), "a", []byte("x")), s.PutFile(t.Context(), "b", big)); err != nil {
			t.Errorf("%q: %v", set, err)
		}
		for _, r := range seen() {
			creates := (r.Method == http.MethodPut && !r.URL.Query().Has("partNumber")) || r.URL.Query().Has("uploads")
			if creates && (r.Header.Get(header) != want[0] || r.Header.Get(header+"-Aws-Kms-Key-Id") != want[1]) {
				t.Errorf("%q: %s %s has %q", set, r.Method, r.URL, r.Header.Get(header))
			}
		}
	}
}

// signer is a server that tells whose key signed the last request.
func signer(t *testing.T) (store.S3Config, func() string) {
	t.Helper()
	var lock sync.Mutex
	var last string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		lock.Lock()
		defer lock.Unlock()
		_, rest, _ := strings.Cut(r.Header.Get("Authorization"), "Credential=")
		last, _, _ = strings.Cut(rest, "/")
		w.WriteHeader(http.StatusNoContent)
	}))
	t.Cleanup(server.Close)
	return at(server), func() string {
		lock.Lock()
		defer lock.Unlock()
		return last
	}
}
