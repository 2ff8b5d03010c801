package store

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
)

// FuzzKey takes for a key only what is a file below a directory's store, what another key is below of, and what has a prefix.
func FuzzKey(f *testing.F) {
	for _, seed := range []string{"v1/gitlab.example.com+8443/7/protected/build/x.json", "../x", "a//b", "a/./b", ".new/x", "a\n", "", "/", strings.Repeat("a", 256), strings.Repeat("a/", 460) + "a", "ä"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, key string) {
		err := CheckKey(key)
		if err != nil {
			if strings.ContainsAny(err.Error(), "\n\x1b") || len(err.Error()) > 5000 {
				t.Errorf("%q", err)
			}
			return
		}
		if !filepath.IsLocal(key) || filepath.Clean(key) != key || strings.ContainsFunc(key, unicode.IsSpace) || len(key) > maxKey {
			t.Errorf("%q is a key", key)
		}
		for i := range len(key) {
			if key[i] == '/' && CheckPrefix(key[:i+1]) != nil {
				t.Errorf("%q is a key, and %q no prefix", key, key[:i+1])
			}
		}
	})
}

// FuzzServerSays shows what a server, or a proxy before it, wrote: in one line, cut, and without the secret that it may repeat.
func FuzzServerSays(f *testing.F) {
	const secret = "wJalrXUtnFEMI+K7MDENG"
	f.Add("AccessDenied", "Access Denied.", 403)
	f.Add("SignatureDoesNotMatch", "you sent "+secret+"\x1b[2J\n", 403)
	f.Add("", "<html>\r\n"+strings.Repeat("ä", 400), 502)
	f.Add("0", "\xc2", 403)
	f.Add("PermanentRedirect", strings.Repeat("x", 299)+secret, 301)
	s := &S3{secrets: &secrets{}, advice: advice{server: "s3.example.com", bucket: "b"}}
	s.secrets.last.Store(&credentials.Value{SecretAccessKey: secret})
	f.Fuzz(func(t *testing.T, code, message string, status int) {
		err := s.explain(t.Context(), minio.ErrorResponse{Code: code, Message: message, StatusCode: status, Region: message})
		var known *s3Error
		if !errors.As(err, &known) {
			t.Fatalf("%v", err)
		}
		text := err.Error()
		if strings.Contains(text, secret) || !utf8.ValidString(text) || len(text) > 4*longestAnswer {
			t.Errorf("%q", text)
		}
		for _, r := range text {
			if !unicode.IsPrint(r) {
				t.Fatalf("%q", text)
			}
		}
	})
}
