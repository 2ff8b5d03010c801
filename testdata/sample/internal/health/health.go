// Package health answers gRPC health checks with the state of the database.
package health

import (
	"context"
	"net"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
)

// Pinger is what must answer for the service to be healthy.
type Pinger interface {
	Ping(ctx context.Context) error
}

// Probe is the health service.
type Probe struct {
	target Pinger
	server *grpc.Server
	state  *health.Server
}

// New returns a probe that reports the target as not serving until the first check.
func New(target Pinger) *Probe {
	p := &Probe{target: target, server: grpc.NewServer(), state: health.NewServer()}
	p.state.SetServingStatus("", grpc_health_v1.HealthCheckResponse_NOT_SERVING)
	grpc_health_v1.RegisterHealthServer(p.server, p.state)
	return p
}

// Serve answers checks until Stop.
func (p *Probe) Serve(l net.Listener) error { return p.server.Serve(l) }

// Stop ends Serve once running checks are answered.
func (p *Probe) Stop() {
	p.state.Shutdown()
	p.server.GracefulStop()
}

// Watch checks the target at once and then at each interval.
func (p *Probe) Watch(ctx context.Context, interval time.Duration) error {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		p.check(ctx)
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

func (p *Probe) check(ctx context.Context) {
	status := grpc_health_v1.HealthCheckResponse_SERVING
	if p.target.Ping(ctx) != nil {
		status = grpc_health_v1.HealthCheckResponse_NOT_SERVING
	}
	p.state.SetServingStatus("", status)
}
