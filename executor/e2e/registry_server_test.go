package e2e

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/docker/docker/api/types/registry"
)

var registryBin = fromEnv("GGE_REGISTRY", "testdata/registry/bin/registry")

// The one user of a private registry.
const (
	registryUser     = "registry-user"
	registryPassword = "registry-secret"
	registryHash     = "$2a$04$tEV.7o2eNwQO3vrVCrSeZu58/JS7DhcD5.orIX54FaDHa/hEUU4lG" // of the password, by bcrypt
)

// imageRegistry is an image registry of the test's own.
type imageRegistry struct {
	t       *testing.T
	address string
	auth    string // for Docker
	client  *http.Client
	url     string
}

// newRegistry starts a registry. Docker takes those at 127.0.0.0/8 without TLS.
func newRegistry(t *testing.T, private bool) *imageRegistry {
	t.Helper()
	r := &imageRegistry{t: t, client: http.DefaultClient}
	r.start("127.0.0.1", private, "")
	r.url = "http://" + r.address
	return r
}

// newTLSRegistry starts one whose certificate an authority of the host's own has signed, and has Docker trust it.
func newTLSRegistry(t *testing.T) *imageRegistry {
	t.Helper()
	dir := t.TempDir()
	authority := certify(t, dir, bridge)
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(authority)
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.TLSClientConfig.RootCAs = pool
	r := &imageRegistry{t: t, client: &http.Client{Transport: transport}}
	r.start(bridge, false, fmt.Sprintf("  tls:\n    certificate: %s/crt.pem\n    key: %s/key.pem\n", dir, dir))
	r.url = "https://" + r.address
	trusted := "/etc/docker/certs.d/" + r.address
	if err := os.MkdirAll(trusted, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(trusted); err != nil {
			t.Error(err)
		}
		_ = os.Remove(filepath.Dir(trusted)) // unless others are there
	})
	if err := os.WriteFile(filepath.Join(trusted, "ca.crt"), authority, 0o600); err != nil {
		t.Fatal(err)
	}
	return r
}

// certify writes crt.pem and key.pem for an address into a folder, and gives the authority.
func certify(t *testing.T, dir, address string) []byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.ParseIP(address)}, IsCA: true, BasicConstraintsValid: true,
	}
	certificate, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	public := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate})
	for name, content := range map[string][]byte{"crt.pem": public, "key.pem": pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return public
}

var listening = regexp.MustCompile(`listening on ([0-9.]+:[0-9]+)`)

// start runs the server on a free port, until the test has ended. It keeps everything in memory.
func (r *imageRegistry) start(ip string, private bool, tls string) {
	r.t.Helper()
	dir := r.t.TempDir()
	config := "version: 0.1\nlog:\n  level: info\nstorage:\n  inmemory: {}\nhttp:\n  addr: " + ip + ":0\n  secret: test\n" + tls
	if private {
		r.auth, _ = registry.EncodeAuthConfig(registry.AuthConfig{Username: registryUser, Password: registryPassword})
		users := filepath.Join(dir, "htpasswd")
		if err := os.WriteFile(users, []byte(registryUser+":"+registryHash+"\n"), 0o600); err != nil {
			r.t.Fatal(err)
		}
		config += "auth:\n  htpasswd:\n    realm: test\n    path: " + users + "\n"
	}
	file := filepath.Join(dir, "config.yml")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		r.t.Fatal(err)
	}
	var output syncBuffer
	server := exec.Command(registryBin, "serve", file) // not CommandContext: the test's context ends before its cleanups
	server.Stdout, server.Stderr = &output, &output
	server.Env = append(os.Environ(), "OTEL_TRACES_EXPORTER=none")
	server.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} // a test that runs out of time cleans nothing up
	started, ended := make(chan error), make(chan struct{})
	go func() { // the signal comes when the thread ends that started the server
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		defer close(ended)
		err := server.Start()
		started <- err
		if err == nil {
			_ = server.Wait()
		}
	}()
	if err := <-started; err != nil {
		r.t.Fatalf("the image registry for the tests: %v; testdata/registry/build.sh builds it", err)
	}
	r.t.Cleanup(func() {
		r.forget()
		_ = server.Process.Kill()
		<-ended
	})
	for deadline := time.Now().Add(time.Minute); r.address == ""; time.Sleep(20 * time.Millisecond) {
		if found := listening.FindStringSubmatch(output.String()); found != nil {
			r.address = found[1]
		} else if time.Now().After(deadline) {
			r.t.Fatalf("the registry does not start:\n%s", &output)
		}
	}
}
