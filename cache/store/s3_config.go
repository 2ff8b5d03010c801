package store

import (
	"fmt"
	"net"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"github.com/minio/minio-go/v7/pkg/encrypt"
	"github.com/minio/minio-go/v7/pkg/s3utils"
)

// S3Config says where a bucket is and who may use it. Keys that GitLab Runner has in [runners.cache.s3] mean here what they mean there
// (cache/cacheconfig/cacheconfig.go of GitLab Runner).
type S3Config struct {
	// ServerAddress is host[:port]; empty means Amazon's.
	ServerAddress string `toml:"ServerAddress,omitempty"`
	// AccessKey, SecretKey and SessionToken are the credentials. Without them the environment's are used (AWS_ACCESS_KEY_ID,
	// AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN), or else the role of the host.
	AccessKey    string `toml:"AccessKey,omitempty"`
	SecretKey    string `toml:"SecretKey,omitempty"`
	SessionToken string `toml:"SessionToken,omitempty"`
	// BucketName is the bucket, which has to exist.
	BucketName string `toml:"BucketName"`
	// BucketLocation is the region; empty means that the server is asked.
	BucketLocation string `toml:"BucketLocation,omitempty"`
	// Insecure is http instead of https.
	Insecure bool `toml:"Insecure,omitempty"`
	// AuthenticationType is AuthAccessKey, AuthIAM for the role of the host and nothing else, or empty for what there is.
	AuthenticationType string `toml:"AuthenticationType,omitempty"`
	// PathStyle says whether the bucket is in the path of a URL or in its host; nil means in the host for Amazon, Google and
	// Alibaba, else in the path.
	PathStyle *bool `toml:"PathStyle,omitempty"`
	// ServerSideEncryption is S3 or KMS, in Amazon's words AES256 or aws:kms; empty means what the bucket does by itself.
	ServerSideEncryption string `toml:"ServerSideEncryption,omitempty"`
	// ServerSideEncryptionKeyID is the key for KMS; empty means the server's own.
	ServerSideEncryptionKeyID string `toml:"ServerSideEncryptionKeyID,omitempty"`
	// Prefix is where in the bucket the objects are: a path of folders. GitLab Runner has no such key.
	Prefix string `toml:"Prefix,omitempty"`
	// CACertificate is a file of certificates, as PEM, that the server's may be signed by, beside those that this host trusts.
	// GitLab Runner has no such key.
	CACertificate string `toml:"CACertificate,omitempty"`
}

// The kinds of authentication.
const (
	AuthAccessKey = "access-key"
	AuthIAM       = "iam"
)

// String tells no secrets, for whoever logs settings.
func (c S3Config) String() string {
	return fmt.Sprintf("bucket %s at %s, prefix %q, region %q", c.BucketName, c.address(), c.prefix(), c.BucketLocation)
}

// GoString is String for %#v.
func (c S3Config) GoString() string { return c.String() }

// S3Problem is one thing that is wrong in an S3Config.
type S3Problem struct {
	// Key is the one to change.
	Key string
	// Value is what it has; nil where that is a secret, or nothing.
	Value any
	// Reason says what is wrong and what is allowed.
	Reason string
}

// String returns the problem as one line.
func (p S3Problem) String() string {
	if text, ok := p.Value.(string); ok {
		return fmt.Sprintf("%s = %q: %s", p.Key, text, p.Reason)
	}
	if p.Value != nil {
		return fmt.Sprintf("%s = %v: %s", p.Key, p.Value, p.Reason)
	}
	return p.Key + ": " + p.Reason
}

// maxPrefix is what maxKey leaves of the 1024 bytes of a key of S3, less the slash between both.
const maxPrefix = 1024 - maxKey - 1

var location = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]*$`)

// Problems tells all that is wrong, in the order of the fields; nothing if NewS3 takes it, but for a CACertificate that it cannot read.
func (c S3Config) Problems() []S3Problem {
	var all []S3Problem
	add := func(key string, value any, reason string) {
		all = append(all, S3Problem{Key: key, Value: value, Reason: reason})
	}

	if reason := checkAddress(c.ServerAddress); reason != "" {
		add("ServerAddress", c.ServerAddress, reason)
	}
	c.checkCredentials(add)
	switch err := s3utils.CheckValidBucketName(c.BucketName); {
	case c.BucketName == "":
		add("BucketName", nil, "is missing; name a bucket that exists")
	case err != nil:
		add("BucketName", c.BucketName, "not the name of a bucket: "+err.Error())
	}
	if c.BucketLocation != "" && !location.MatchString(c.BucketLocation) {
		add("BucketLocation", c.BucketLocation, "not a region; use for example eu-central-1, or leave the key out")
	}
	switch c.encryption() {
	case encrypt.S3, encrypt.KMS, "":
	default:
		add("ServerSideEncryption", c.ServerSideEncryption, "unknown value; allowed are S3, KMS")
	}
	if c.ServerSideEncryptionKeyID != "" && c.encryption() != encrypt.KMS {
		add("ServerSideEncryptionKeyID", c.ServerSideEncryptionKeyID, `has no use here: only ServerSideEncryption = "KMS" has a key`)
	}
	if prefix := c.prefix(); prefix != "" && (len(prefix) > maxPrefix+1 || CheckPrefix(prefix) != nil) {
		add("Prefix", c.Prefix, fmt.Sprintf("has to be a path of at most %d of the characters A-Z a-z 0-9 . _ + - and / with no part that begins with a dot, "+
			"such as caches/go", maxPrefix))
	}
	switch {
	case c.CACertificate == "":
	case !filepath.IsAbs(c.CACertificate):
		add("CACertificate", c.CACertificate, "has to be an absolute path, such as /etc/ssl/certs/s3.pem")
	}
	return all
}

func (c S3Config) checkCredentials(add func(key string, value any, reason string)) {
	for _, secret := range []struct{ key, value string }{
		{"AccessKey", c.AccessKey}, {"SecretKey", c.SecretKey}, {"SessionToken", c.SessionToken},
	} {
		if strings.ContainsFunc(secret.value, func(r rune) bool { return r <= ' ' || r > '~' }) {
			add(secret.key, nil, "has a space, a line break or a character that no key has; its value is not shown here")
		}
	}
	switch {
	case c.AccessKey != "" && c.SecretKey == "":
		add("SecretKey", nil, "is missing, and AccessKey is there; set both or none")
	case c.AccessKey == "" && c.SecretKey != "":
		add("AccessKey", nil, "is missing, and SecretKey is there; set both or none")
	case c.AccessKey == "" && c.SessionToken != "":
		add("SessionToken", nil, "has no use without AccessKey and SecretKey; its value is not shown here")
	}
	switch c.AuthenticationType {
	case "", AuthIAM:
	case AuthAccessKey:
		if c.AccessKey == "" && c.SecretKey == "" {
			add("AuthenticationType", c.AuthenticationType, "needs AccessKey and SecretKey")
		}
	default:
		add("AuthenticationType", c.AuthenticationType, "unknown value; allowed are "+AuthAccessKey+", "+AuthIAM)
	}
}

// amazon is what GitLab Runner takes for no address at all.
const amazon = "s3.amazonaws.com"

func (c S3Config) address() string {
	if c.ServerAddress == "" {
		return amazon
	}
	return c.ServerAddress
}

func checkAddress(address string) string {
	if address == "" {
		return ""
	}
	if strings.Contains(address, "://") {
		return "has to be a host with or without a port, not a URL; Insecure = true is http, else it is https"
	}
	host := address
	if strings.Contains(address, ":") {
		name, port, err := net.SplitHostPort(address)
		if err != nil {
			return "has to be a host with or without a port, such as minio.example.com:9000 or [2001:db8::1]:9000"
		}
		if n, err := strconv.Atoi(port); err != nil || n < 1 || n > 65535 {
			return "the port has to be a number from 1 to 65535"
		}
		host = name
	}
	if !s3utils.IsValidIP(host) && !s3utils.IsValidDomain(host) {
		return "has to be a host with or without a port, such as minio.example.com:9000; a path is not part of it"
	}
	return ""
}

// prefix is the beginning of every key, with its slash.
func (c S3Config) prefix() string {
	if trimmed := strings.Trim(c.Prefix, "/"); trimmed != "" {
		return trimmed + "/"
	}
	return ""
}

// encryption is what ServerSideEncryption says. Its case does not matter, as in GitLab Runner.
func (c S3Config) encryption() encrypt.Type {
	switch strings.ToUpper(c.ServerSideEncryption) {
	case "S3", "AES256":
		return encrypt.S3
	case "KMS", "AWS:KMS":
		return encrypt.KMS
	default:
		return encrypt.Type(c.ServerSideEncryption)
	}
}
