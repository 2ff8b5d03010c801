package store

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
	"github.com/minio/minio-go/v7/pkg/encrypt"
)

// NewS3 gives the store in a bucket. It asks no server anything: what is wrong there, the first call says.
func NewS3(cfg S3Config) (*S3, error) {
	if problems := cfg.Problems(); len(problems) > 0 {
		all := make([]error, len(problems))
		for i, p := range problems {
			all[i] = errors.New(p.String())
		}
		return nil, errors.Join(all...)
	}
	s := &S3{bucket: cfg.BucketName, prefix: cfg.prefix(), bounds: defaultBounds, ranges: ranges}
	switch cfg.encryption() {
	case encrypt.S3:
		s.sse = encrypt.NewSSE()
	case encrypt.KMS:
		var err error
		if s.sse, err = encrypt.NewSSEKMS(cfg.ServerSideEncryptionKeyID, nil); err != nil {
			return nil, fmt.Errorf("ServerSideEncryptionKeyID: %w", err)
		}
	}
	transport, err := cfg.transport()
	if err != nil {
		return nil, err
	}
	provider, origin := cfg.credentials()
	s.secrets = &secrets{Provider: provider}
	s.advice = advice{server: cfg.address(), bucket: cfg.BucketName, credentials: origin, location: cfg.BucketLocation}
	s.core, err = minio.NewCore(cfg.address(), &minio.Options{
		Creds:        credentials.New(s.secrets),
		Secure:       !cfg.Insecure,
		Transport:    &guard{next: transport, stall: func() time.Duration { return s.bounds.stall }},
		Region:       cfg.BucketLocation,
		BucketLookup: lookup(cfg.PathStyle),
		// None: they would come on top of ours, which also know broken bodies, and the request for the region has none.
		MaxRetries: 1,
	})
	if err != nil {
		return nil, fmt.Errorf("ServerAddress = %q: %w", cfg.ServerAddress, err)
	}
	return s, nil
}

func lookup(pathStyle *bool) minio.BucketLookupType {
	switch {
	case pathStyle == nil:
		return minio.BucketLookupAuto
	case *pathStyle:
		return minio.BucketLookupPath
	default:
		return minio.BucketLookupDNS
	}
}

// buffered is how much of what is sent is written at once.
const buffered = 128 << 10

// transport is one for HTTP/1.1, whose streams have a connection each. It unpacks nothing: what was put is what is got.
func (c S3Config) transport() (*http.Transport, error) {
	t := &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		DialContext:         (&net.Dialer{Timeout: dialing, KeepAlive: 30 * time.Second}).DialContext,
		TLSHandshakeTimeout: dialing,
		MaxIdleConnsPerHost: 2 * ranges,
		IdleConnTimeout:     30 * time.Second,
		WriteBufferSize:     buffered,
		DisableCompression:  true,
		TLSClientConfig:     &tls.Config{MinVersion: tls.VersionTLS12},
	}
	if c.CACertificate == "" {
		return t, nil
	}
	pem, err := os.ReadFile(c.CACertificate)
	if err != nil {
		return nil, fmt.Errorf("CACertificate: %w", err)
	}
	roots, err := x509.SystemCertPool()
	if err != nil {
		return nil, fmt.Errorf("CACertificate adds to the certificates that this host trusts, which cannot be read: %w", err)
	}
	if !roots.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("CACertificate = %q: there is no certificate in that file; it has to be PEM (-----BEGIN CERTIFICATE-----)", c.CACertificate)
	}
	t.TLSClientConfig.RootCAs = roots
	return t, nil
}

// credentials gives where they come from, and the words for that. It is decided once: minio-go's own chain would go on without any
// when a role cannot be asked, and the server's answer would hide why.
func (c S3Config) credentials() (credentials.Provider, string) {
	if c.AuthenticationType != AuthIAM {
		if c.AccessKey != "" {
			return &credentials.Static{Value: credentials.Value{
				AccessKeyID: c.AccessKey, SecretAccessKey: c.SecretKey, SessionToken: c.SessionToken, SignerType: credentials.SignatureV4,
			}}, "AccessKey, SecretKey and SessionToken"
		}
		environment := &credentials.EnvAWS{}
		if value, err := environment.RetrieveWithCredContext(nil); err == nil && value.AccessKeyID != "" && value.SecretAccessKey != "" {
			return environment, "AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN in the environment"
		}
	}
	return &credentials.IAM{Client: &http.Client{Timeout: asking, Transport: roleTransport()}}, "the role of this host"
}

// roleTransport does not ask a proxy for what is of this host: the addresses of link-local services, see credentials.DefaultIAMRoleEndpoint.
func roleTransport() *http.Transport {
	return &http.Transport{
		Proxy: func(r *http.Request) (*url.URL, error) {
			if ip := net.ParseIP(r.URL.Hostname()); ip != nil && (ip.IsLinkLocalUnicast() || ip.IsLoopback()) {
				return nil, nil //nolint:nilnil // as http.Transport has it: no proxy
			}
			return http.ProxyFromEnvironment(r)
		},
		DialContext:         (&net.Dialer{Timeout: dialing}).DialContext,
		TLSHandshakeTimeout: dialing,
		DisableKeepAlives:   true,
	}
}

// secrets are credentials that remember what must not be told.
type secrets struct {
	credentials.Provider
	last atomic.Pointer[credentials.Value]
}

// RetrieveWithCredContext implements credentials.Provider.
func (s *secrets) RetrieveWithCredContext(cc *credentials.CredContext) (credentials.Value, error) {
	value, err := s.Provider.RetrieveWithCredContext(cc)
	if err != nil {
		return value, noCredentials{err}
	}
	s.last.Store(&value)
	return value, nil
}

// noCredentials is why there are none.
type noCredentials struct{ error }

// Unwrap gives the reason.
func (n noCredentials) Unwrap() error { return n.error }

// hide takes them out of a text, and the logins of proxies. A server may say in an error what it was sent, and a proxy all headers.
func (s *secrets) hide(text string) string {
	all := slices.Clone(ProxySecrets())
	if value := s.last.Load(); value != nil {
		for _, secret := range []string{value.SecretAccessKey, value.SessionToken} {
			all = append(all, secret, url.QueryEscape(secret), url.PathEscape(secret))
		}
	}
	for _, secret := range all {
		if secret != "" {
			text = strings.ReplaceAll(text, secret, "[hidden]")
		}
	}
	return text
}
