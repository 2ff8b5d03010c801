// Package e2e drives the built executor with GitLab Runner 19.4 itself (testdata/runner) and a real Docker, and holds one file
// per promise. The GitLab that the Runner talks to is a stand-in: git's own HTTP server and the few calls of the
// job API that artifacts need.
package e2e

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/docker/docker/client"
)

// What `make test` builds before these tests run.
var (
	runnerJob   = fromEnv("GGE_RUNNER_JOB", "testdata/runner/bin/runner-job")
	executorBin = fromEnv("GGE_BIN", "bin/gitlab-go-executor")
	jobImage    = os.Getenv("GGE_JOB_IMAGE")
	helperImage = envOr("GGE_HELPER_IMAGE", "local/gitlab-go-executor/helper:test")
)

const (
	busybox       = "local/gitlab-go-executor/busybox:test" // sh, no bash
	entrypoint    = "local/gitlab-go-executor/entrypoint:test"
	noShell       = "local/gitlab-go-executor/noshell:test"
	userImage     = "local/gitlab-go-executor/user:test" // USER 1000
	serviceImage  = "local/gitlab-go-executor/service:test"
	brokenService = "local/gitlab-go-executor/service-broken:test"
	postgresImage = "local/gitlab-go-executor/postgres:test"
	redisImage    = "local/gitlab-go-executor/redis:test"
	goBusybox     = "local/gitlab-go-executor/go-busybox:test" // busybox and Go, nothing else
	goUser        = "local/gitlab-go-executor/go-user:test"    // USER 4711
	goEntrypoint  = "local/gitlab-go-executor/go-entrypoint:test"
	dockerImage   = "local/gitlab-go-executor/docker:test" // Go, git, Docker's client and daemon
)

func envOr(name, otherwise string) string {
	if v := os.Getenv(name); v != "" {
		return v
	}
	return otherwise
}

// fromEnv is a file that Make names, or where Make puts it.
func fromEnv(name, inRepo string) string {
	path, err := filepath.Abs(envOr(name, filepath.Join("..", "..", inRepo)))
	if err != nil {
		panic(err)
	}
	return path
}

// bridge is an address of this host that containers reach; dockerAPI looks behind the executor's back.
var (
	bridge    string
	dockerAPI *client.Client
)

func TestMain(m *testing.M) {
	code, err := setUp(m)
	if err != nil {
		fmt.Fprintf(os.Stderr, "e2e: %v\nrun `make test`, which builds what these tests need\n", err)
		code = 1
	}
	os.Exit(code)
}

func setUp(m *testing.M) (int, error) {
	for _, file := range []string{runnerJob, executorBin} {
		if _, err := os.Stat(file); err != nil {
			return 0, err
		}
	}
	if jobImage == "" {
		version, err := exec.Command("go", "env", "GOVERSION").Output()
		if err != nil {
			return 0, err
		}
		jobImage = "local/golang:" + strings.TrimPrefix(strings.TrimSpace(string(version)), "go")
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	var err error
	if dockerAPI, err = client.NewClientWithOpts(client.FromEnv, client.WithAPIVersionNegotiation()); err != nil {
		return 0, err
	}
	for _, image := range []string{
		jobImage, helperImage, busybox, entrypoint, noShell, userImage, serviceImage, brokenService, postgresImage, redisImage, goBusybox, goUser, goEntrypoint,
		dockerImage,
	} {
		if _, err := dockerAPI.ImageInspect(ctx, image); err != nil {
			return 0, err
		}
	}
	if bridge, err = bridgeAddress(); err != nil {
		return 0, err
	}
	if seeds.dir, err = os.MkdirTemp("", "e2e-seed-"); err != nil {
		return 0, err
	}
	if err := os.Mkdir(seeds.images(), 0o700); err != nil {
		return 0, err
	}
	code := m.Run()
	return code, os.RemoveAll(seeds.dir)
}

// bridgeAddress is this host's address on Docker's default network, which containers of every other network reach too.
func bridgeAddress() (string, error) {
	device, err := net.InterfaceByName("docker0")
	if err != nil {
		return "", fmt.Errorf("docker0: %w", err)
	}
	addresses, err := device.Addrs()
	if err != nil {
		return "", fmt.Errorf("docker0: %w", err)
	}
	for _, a := range addresses {
		if ip, ok := a.(*net.IPNet); ok && ip.IP.To4() != nil {
			return ip.IP.String(), nil
		}
	}
	return "", errors.New("docker0 has no IPv4 address")
}
