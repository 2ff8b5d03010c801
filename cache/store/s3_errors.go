package store

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"strings"
	"unicode"

	"github.com/minio/minio-go/v7"
)

// s3Error is what a server said, or why it could not be asked. Of the error that it was made of only texts are left, without secrets.
type s3Error struct {
	class   error // ErrRefused, errDenied, fs.ErrNotExist, errNoUpload, or nil for what may pass
	problem string
	remedy  string // what an administrator can do; may be empty
	said    string // by the server, where the problem is our reading of it
}

// Error implements error.
func (e *s3Error) Error() string {
	text := e.problem
	if e.remedy != "" {
		text += ": " + e.remedy
	}
	return text + e.quote()
}

func (e *s3Error) quote() string {
	if e.said == "" {
		return ""
	}
	return " (the server says " + e.said + ")"
}

// Explain gives of an error of a Store what is the matter, and by itself what an administrator can do; that is empty where it is not known.
func Explain(err error) (problem, remedy string) {
	var e *s3Error
	if !errors.As(err, &e) {
		return err.Error(), ""
	}
	return e.problem + e.quote(), e.remedy
}

// Unwrap gives the class.
func (e *s3Error) Unwrap() error { return e.class }

// errNoUpload is met when an upload in parts has come to its end, good or bad.
var errNoUpload = errors.New("there is no such upload")

// errDenied is the kind of ErrRefused that MinIO uses for something else, see place.
var errDenied = fmt.Errorf("%w: access denied", ErrRefused)

// explain makes of an error one of the kinds that Store promises. It is the only place that decides.
func (s *S3) explain(ctx context.Context, err error) error {
	var known *s3Error
	var unchanging final
	if err == nil || errors.As(err, &known) || errors.As(err, &unchanging) {
		return err
	}
	var answer minio.ErrorResponse
	if !errors.As(err, &answer) {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return &s3Error{problem: s.clean(err.Error()), remedy: s.advice.unanswered(err)}
	}
	said := answer.Error()
	if answer.Code != "" {
		said = answer.Code + ": " + said
	}
	said = s.clean(said)
	switch answer.Code {
	case minio.NoSuchKey:
		return &s3Error{class: fs.ErrNotExist, problem: said}
	case minio.NoSuchUpload:
		return &s3Error{class: errNoUpload, problem: said}
	}
	problem, remedy := s.advice.refused(answer)
	if problem == "" {
		return &s3Error{problem: said}
	}
	class := ErrRefused
	if answer.Code == minio.AccessDenied {
		class = errDenied
	}
	return &s3Error{class: class, problem: ErrRefused.Error() + ": " + problem, remedy: remedy, said: said}
}

// longestAnswer is how much of an answer is told, in bytes: where a proxy answers, it is a page of HTML.
const longestAnswer = 300

// clean makes one line of what somebody else wrote.
func (s *S3) clean(text string) string {
	text = strings.ToValidUTF8(s.secrets.hide(text), "\uFFFD")
	text = strings.Join(strings.FieldsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }), " ")
	if len(text) > longestAnswer {
		text = strings.ToValidUTF8(text[:longestAnswer], "") + "…"
	}
	return text
}

// advice says what an administrator can do, in the words of the settings.
type advice struct {
	server, bucket string
	location       string // as set
	credentials    string // where they come from
}

// refused gives the problem and the advice for an answer, or nothing if the answer may be another one soon. A status without a code is the
// answer to a HEAD, or one of a proxy.
func (a advice) refused(answer minio.ErrorResponse) (problem, remedy string) {
	code := answer.Code
	switch {
	case code == minio.NoSuchBucket, code == minio.InvalidBucketName:
		return fmt.Sprintf("there is no bucket %q at %s", a.bucket, a.server), "create it, or correct BucketName or ServerAddress in [cache.s3]"
	case code == minio.InvalidAccessKeyID, code == "XAdminUserNotFound": // the latter is versitygw's word
		return a.server + " does not know the access key", "correct AccessKey in [cache.s3]; it comes from " + a.credentials
	case code == minio.SignatureDoesNotMatch:
		return "the secret key is not that of the access key", "correct SecretKey in [cache.s3]; it comes from " + a.credentials
	case code == "ExpiredToken", code == "ExpiredTokenException", code == "InvalidToken", code == "InvalidTokenId":
		return "the session token is not valid, or no longer", "correct SessionToken in [cache.s3]; it comes from " + a.credentials
	case code == minio.RequestTimeTooSkewed:
		return fmt.Sprintf("the clock of this host and that of %s differ", a.server), "correct the one that is wrong"
	case regional(code), answer.StatusCode == http.StatusMovedPermanently:
		return fmt.Sprintf("the bucket %q is in another region", a.bucket), a.region(answer.Region)
	case strings.Contains(code, "KMS"), code == "ServerSideEncryptionConfigurationNotFoundError", strings.Contains(answer.Message, "KMS"):
		return "it cannot encrypt as it is told", "correct ServerSideEncryption or ServerSideEncryptionKeyID in [cache.s3]"
	case full(code), answer.StatusCode == http.StatusInsufficientStorage:
		return fmt.Sprintf("the bucket %q or its server is full", a.bucket), "raise its quota, or remove objects"
	case code == minio.NotImplemented, code == minio.MethodNotAllowed, answer.StatusCode == http.StatusNotImplemented,
		answer.StatusCode == http.StatusMethodNotAllowed:
		return a.server + " lacks what is asked of it", "see that ServerAddress in [cache.s3] is that of an S3 server, and set BucketLocation"
	case answer.StatusCode == http.StatusForbidden, answer.StatusCode == http.StatusUnauthorized, code == minio.AccessDenied, code == minio.AllAccessDisabled:
		return fmt.Sprintf("it denies access to the bucket %q", a.bucket), "allow GetObject, PutObject, DeleteObject, AbortMultipartUpload and ListBucket " +
			"to the owner of the access key, or correct AccessKey and BucketName in [cache.s3]; the key comes from " + a.credentials
	default:
		return "", ""
	}
}

func regional(code string) bool {
	switch code {
	case minio.InvalidRegion, minio.AuthorizationHeaderMalformed, "PermanentRedirect", "IllegalLocationConstraintException":
		return true
	default:
		return false
	}
}

// full knows Amazon's, MinIO's, versitygw's and Ceph's words.
func full(code string) bool {
	return strings.Contains(code, "Quota") || code == "XMinioStorageFull" || code == "StorageFull" || code == "InsufficientStorage" || code == "InsufficientCapacity"
}

func (a advice) region(expected string) string {
	if expected != "" && expected != a.location {
		return fmt.Sprintf("set BucketLocation in [cache.s3] to %.40q", expected)
	}
	return "correct BucketLocation in [cache.s3], or ServerAddress"
}

// unanswered is what to look at when there is no answer that S3 would give; nothing if that may pass by itself.
func (a advice) unanswered(err error) string {
	var unknown x509.UnknownAuthorityError
	var host x509.HostnameError
	var invalid x509.CertificateInvalidError
	var none noCredentials
	switch {
	case errors.As(err, &none):
		return "no credentials from " + a.credentials + ": set AccessKey and SecretKey in [cache.s3]"
	case errors.As(err, &unknown):
		return "name with CACertificate in [cache.s3] a PEM file of the authority that signed the server's certificate"
	case errors.As(err, &host), errors.As(err, &invalid):
		return "see ServerAddress in [cache.s3], and the server's certificate"
	case strings.Contains(err.Error(), "server gave HTTP response to HTTPS client"): // net/http has no value for it
		return "see ServerAddress in [cache.s3], or set Insecure"
	default:
		return ""
	}
}
