package docker

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/docker/docker/api/types/container"
	"golang.org/x/sync/errgroup"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/executor/outcome"
)

// healthPort is a variable of a service, or of its image, that names the one port to try (executors/docker/docker.go,
// getContainerIPAndExposedPorts).
const healthPort = "HEALTHCHECK_TCP_PORT"

// portlessWait is what a service gets that names no port, as under the docker executor, which some jobs rely on without knowing.
const portlessWait = 10 * time.Second

// WaitHealthy waits until each service accepts connections on a port that its image exposes, like the docker executor's health
// check. A service that fails is no failure of the job: log says so and shows the service's own log. One that is told a port that is none
// is a mistake in the job, and of a daemon that has gone nothing can be said.
func (c *Client) WaitHealthy(ctx context.Context, services []Service, limit time.Duration, log io.Writer) error {
	group, gctx := errgroup.WithContext(ctx)
	for _, s := range services {
		group.Go(func() error {
			err := c.healthy(gctx, s, limit)
			f := outcome.Of(err)
			if err == nil || gctx.Err() != nil || f.UsersFault() || f.Reason == outcome.DockerGone {
				return err
			}
			c.warn(gctx, s, err, log)
			return nil
		})
	}
	return group.Wait()
}

// warn tells of a service as the docker executor does, in one piece.
func (c *Client) warn(ctx context.Context, s Service, problem error, log io.Writer) {
	var text bytes.Buffer
	fmt.Fprintf(&text, "\n%s*** WARNING:%s Service %s probably didn't start properly.\n\nHealth check error:\n%v\n\nService container logs:\n",
		yellow, reset, s.Name, problem)
	if err := c.showLog(ctx, s, &text); err != nil {
		fmt.Fprintln(&text, err)
	}
	fmt.Fprintf(&text, "\n%s*********%s\n\n", yellow, reset)
	_, _ = log.Write(text.Bytes())
}

func (c *Client) healthy(ctx context.Context, s Service, limit time.Duration) error {
	started, err := c.inspectService(ctx, s)
	if err != nil {
		return err
	}
	ports, err := healthPorts(started.Config)
	if err != nil {
		return outcome.Job(outcome.BadDefinition, "service %s: %w", s.Name, err)
	}
	what := fmt.Sprintf("service %s to accept a connection on port %v (settings: docker.wait_for_services_timeout)", s.Name, ports)
	if len(ports) == 0 {
		limit = min(limit, portlessWait)
		what = fmt.Sprintf("service %s, which has no exposed ports: it can name one itself by the variable %s", s.Name, healthPort)
	}
	ctx, cancel := bounded(ctx, limit, what)
	defer cancel()
	for {
		got, err := c.inspectService(ctx, s)
		switch {
		case err != nil:
			return err
		case !got.State.Running:
			return fmt.Errorf("it ended with exit code %d", got.State.ExitCode)
		case accepts(ctx, addresses(got), ports):
			return nil
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

func (c *Client) inspectService(ctx context.Context, s Service) (container.InspectResponse, error) {
	ctx, cancel := bounded(ctx, callTimeout, "the state of service "+s.Name)
	defer cancel()
	got, err := c.api.ContainerInspect(ctx, s.ID)
	return got, explain(ctx, err, "inspect service %s", s.Name)
}

// Addresses are where a service is reached from this host and from Docker's default network.
func (c *Client) Addresses(ctx context.Context, s Service) ([]string, error) {
	got, err := c.inspectService(ctx, s)
	if err != nil {
		return nil, err
	}
	return addresses(got), nil
}

func addresses(of container.InspectResponse) []string {
	if of.HostConfig.NetworkMode.IsHost() {
		return []string{"127.0.0.1"}
	}
	var all []string
	for _, endpoint := range of.NetworkSettings.Networks {
		for _, ip := range []string{endpoint.IPAddress, endpoint.GlobalIPv6Address} {
			if ip != "" {
				all = append(all, ip)
			}
		}
	}
	return all
}

// accepts says whether any of the ports takes a connection.
func accepts(ctx context.Context, ips []string, ports []int) bool {
	dialer := net.Dialer{Timeout: time.Second}
	for _, ip := range ips {
		for _, port := range ports {
			conn, err := dialer.DialContext(ctx, "tcp", net.JoinHostPort(ip, strconv.Itoa(port)))
			if err == nil {
				_ = conn.Close()
				return true
			}
		}
	}
	return false
}

// maxHealthPorts is how many of the lowest ports are tried, as in the docker executor.
const maxHealthPorts = 20

// healthPorts are the port that a service itself names, whatever the case of the variable, else those that its image exposes.
func healthPorts(config *container.Config) ([]int, error) {
	for _, line := range config.Env {
		name, value, _ := strings.Cut(line, "=")
		if !strings.EqualFold(name, healthPort) {
			continue
		}
		port, err := strconv.ParseUint(value, 10, 16)
		if err != nil || port == 0 {
			return nil, fmt.Errorf("variable %s is %q, want a number from 1 to 65535", name, value)
		}
		return []int{int(port)}, nil
	}
	var ports []int
	for port := range config.ExposedPorts {
		if port.Proto() == "tcp" {
			ports = append(ports, port.Int())
		}
	}
	slices.Sort(ports)
	return ports[:min(len(ports), maxHealthPorts)], nil
}

// healthLog is how much of a service's log is shown when it does not become healthy; the docker executor's bound.
const healthLog = 64 << 10

func (c *Client) showLog(ctx context.Context, s Service, log io.Writer) error {
	ctx, cancel := bounded(ctx, callTimeout, "the log of service "+s.Name)
	defer cancel()
	err := c.copyLog(ctx, s, false, &limitedWriter{w: log, left: healthLog})
	if errors.Is(err, io.ErrShortWrite) {
		return nil
	}
	return err
}

// limitedWriter stops with io.ErrShortWrite when enough was written.
type limitedWriter struct {
	w    io.Writer
	left int
}

func (l *limitedWriter) Write(p []byte) (int, error) {
	n, err := l.w.Write(p[:min(len(p), l.left)])
	l.left -= n
	if err == nil && n < len(p) {
		err = io.ErrShortWrite
	}
	return n, err
}
