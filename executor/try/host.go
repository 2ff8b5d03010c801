package try

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// goSettings are what a Go command needs to know of the network it is in.
var goSettings = []string{"GOINSECURE", "GONOPROXY", "GONOSUMDB", "GOPRIVATE", "GOPROXY", "GOSUMDB"}

// proxies are the variables that lead programs out of a network; both spellings are in use.
var proxies = []string{"HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy"}

// fromHost are the variables through which a job gets at modules in the same way as this host does.
func fromHost(goEnv map[string]string, getenv func(string) string) variables {
	var vs variables
	for _, name := range goSettings {
		if value := goEnv[name]; value != "" {
			vs.set(name, value)
		}
	}
	for _, name := range proxies {
		if value := getenv(name); value != "" {
			vs.set(name, value)
		}
	}
	return vs
}

// hostGoEnv asks this host's Go (1.23 or newer) what differs from what every Go has; `go env -w` may have set it. Without such a
// Go it is the environment that tells.
func hostGoEnv(ctx context.Context, getenv func(string) string) map[string]string {
	ctx, cancel := context.WithTimeout(ctx, askLimit)
	defer cancel()
	cmd := exec.CommandContext(ctx, "go", append([]string{"env", "-changed", "-json"}, goSettings...)...)
	cmd.Dir = os.TempDir() // of no module, whose go line could ask for another toolchain
	cmd.Env = append(os.Environ(), "GOTOOLCHAIN=local", "GOWORK=off", "GOFLAGS=")
	cmd.WaitDelay = time.Second
	values := map[string]string{}
	if text, err := cmd.Output(); err == nil && json.Unmarshal(text, &values) == nil {
		return values
	}
	for _, name := range goSettings {
		values[name] = getenv(name)
	}
	return values
}

// Paths in the containers of a try.
const (
	bareInJob = "/try/repo.git"
	caInJob   = "/try/ca.pem"
)

// copyCA copies the certificates that this host trusts, which where TLS is inspected include the network's own. The
// copy is of a plain name, which fits into a volume's text, and stays what it is while the jobs run.
func copyCA(file, to string) error {
	from, err := os.Open(file)
	if err != nil {
		return fmt.Errorf("the file of CA certificates (SSL_CERT_FILE or --ca-file) cannot be read: %w", err)
	}
	defer from.Close()
	data, err := io.ReadAll(io.LimitReader(from, 64<<20))
	if err != nil {
		return fmt.Errorf("the file of CA certificates (SSL_CERT_FILE or --ca-file) cannot be read: %w", err)
	}
	if !strings.Contains(string(data), "-----BEGIN ") {
		return fmt.Errorf("%s (SSL_CERT_FILE or --ca-file) holds no certificate in PEM format (-----BEGIN CERTIFICATE-----)", file)
	}
	if err := os.WriteFile(to, data, 0o600); err != nil {
		return err
	}
	return readable(to)
}

// readable makes a file, or a folder with all in it, readable for every user of a container, whatever this process's umask.
func readable(root string) error {
	return filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		mode := os.FileMode(0o644)
		if d.IsDir() {
			mode = 0o755
		}
		return os.Chmod(path, mode)
	})
}
