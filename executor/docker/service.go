package docker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/pkg/stdcopy"
	"golang.org/x/sync/errgroup"
)

// imageTag is what follows an image's name: a tag, a digest, or both. registryPort is the port of its registry.
var (
	imageTag     = regexp.MustCompile(`(:[^:/@]+)?(@[^/]+)?$`)
	registryPort = regexp.MustCompile(`^([^/]+):[0-9]+/`)
	notHostname  = regexp.MustCompile(`[^a-zA-Z0-9._-]`)
)

// ServiceAliases are the names under which a job reaches a service: two made of the image's name, as the docker executor
// makes them (executors/docker/services.go), and those that the job gives.
func ServiceAliases(image string, given []string) []string {
	name := registryPort.ReplaceAllString(imageTag.ReplaceAllString(image, ""), "$1/")
	aliases := []string{strings.ReplaceAll(name, "/", "__"), strings.ReplaceAll(name, "/", "-")}
	aliases = append(aliases, given...)
	var clean []string
	for _, a := range aliases {
		a = notHostname.ReplaceAllString(a, "-")
		if a != "" && !slices.Contains(clean, a) {
			clean = append(clean, a)
		}
	}
	return clean
}

// Service is a started service container.
type Service struct {
	ID    string
	Name  string // for people: the image's name
	Image Image
}

// healthLog is how much of a service's log is shown when it does not become healthy; the docker executor's bound.
const healthLog = 64 << 10

// WaitHealthy waits until each service accepts connections on a port that its image exposes, like the docker executor's
// health check; a service without one counts as healthy at once. A service that fails is no failure of the job: log says
// so and shows the service's own log.
func (c *Client) WaitHealthy(ctx context.Context, services []Service, limit time.Duration, log io.Writer) error {
	var group errgroup.Group
	problems := make([]error, len(services))
	for i, s := range services {
		group.Go(func() error {
			problems[i] = c.healthy(ctx, s, limit)
			return nil
		})
	}
	_ = group.Wait()
	for i, s := range services {
		if problems[i] == nil {
			continue
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		fmt.Fprintf(log, "WARNING: service %s probably didn't start properly: %v\n", s.Name, problems[i])
		if err := c.showLog(ctx, s, log); err != nil {
			fmt.Fprintf(log, "WARNING: its log cannot be shown: %v\n", err)
		}
	}
	return nil
}

func (c *Client) healthy(ctx context.Context, s Service, limit time.Duration) error {
	ports := tcpPorts(s.Image.Exposed)
	if len(ports) == 0 {
		return nil
	}
	ctx, cancel := bounded(ctx, limit, fmt.Sprintf("service %s to accept a connection on port %v (settings: docker.wait_for_services_timeout)", s.Name, ports))
	defer cancel()
	for {
		inspected, err := c.api.ContainerInspect(ctx, s.ID)
		if err != nil {
			return explain(ctx, err, "inspect service %s", s.Name)
		}
		if st := inspected.State; !st.Running {
			return fmt.Errorf("it ended with exit code %d", st.ExitCode)
		}
		for _, endpoint := range inspected.NetworkSettings.Networks {
			if accepts(ctx, endpoint.IPAddress, ports) {
				return nil
			}
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// accepts says whether any of the ports takes a connection.
func accepts(ctx context.Context, ip string, ports []int) bool {
	dialer := net.Dialer{Timeout: time.Second}
	for _, port := range ports {
		conn, err := dialer.DialContext(ctx, "tcp", net.JoinHostPort(ip, strconv.Itoa(port)))
		if err == nil {
			_ = conn.Close()
			return true
		}
	}
	return false
}

// maxHealthPorts is how many of the lowest ports are tried, as in the docker executor.
const maxHealthPorts = 20

func tcpPorts(exposed []string) []int {
	var ports []int
	for _, e := range exposed {
		number, proto, _ := strings.Cut(e, "/")
		if n, err := strconv.Atoi(number); err == nil && (proto == "tcp" || proto == "") {
			ports = append(ports, n)
		}
	}
	slices.Sort(ports)
	return ports[:min(len(ports), maxHealthPorts)]
}

func (c *Client) showLog(ctx context.Context, s Service, log io.Writer) error {
	ctx, cancel := bounded(ctx, callTimeout, "the log of service "+s.Name)
	defer cancel()
	body, err := c.api.ContainerLogs(ctx, s.ID, container.LogsOptions{ShowStdout: true, ShowStderr: true, Timestamps: true, Tail: "1000"})
	if err != nil {
		return explain(ctx, err, "read the log of service %s", s.Name)
	}
	defer func() { _ = body.Close() }()
	fmt.Fprintf(log, "--- log of service %s\n", s.Name)
	limited := &limitedWriter{w: log, left: healthLog}
	if _, err := stdcopy.StdCopy(limited, limited, body); err != nil && !errors.Is(err, io.ErrShortWrite) {
		return explain(ctx, err, "read the log of service %s", s.Name)
	}
	fmt.Fprintf(log, "--- end of the log of service %s\n", s.Name)
	return nil
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
