package health

import (
	"context"
	"errors"
	"net"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/test/bufconn"
)

type ping func() error

func (p ping) Ping(context.Context) error { return p() }

func TestStatusFollowsTheTarget(t *testing.T) {
	var down error
	p := New(ping(func() error { return down }))
	pipe := bufconn.Listen(1 << 16)
	done := make(chan error, 1)
	go func() { done <- p.Serve(pipe) }()

	conn, err := grpc.NewClient("passthrough:pipe",
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return pipe.DialContext(ctx) }))
	if err != nil {
		t.Fatal(err)
	}
	client := grpc_health_v1.NewHealthClient(conn)
	expect := func(want grpc_health_v1.HealthCheckResponse_ServingStatus) {
		t.Helper()
		got, err := client.Check(t.Context(), &grpc_health_v1.HealthCheckRequest{})
		if err != nil {
			t.Fatal(err)
		}
		if got.GetStatus() != want {
			t.Errorf("got %s, want %s", got.GetStatus(), want)
		}
	}

	expect(grpc_health_v1.HealthCheckResponse_NOT_SERVING)
	p.check(t.Context())
	expect(grpc_health_v1.HealthCheckResponse_SERVING)
	down = errors.New("gone")
	p.check(t.Context())
	expect(grpc_health_v1.HealthCheckResponse_NOT_SERVING)

	if err := conn.Close(); err != nil {
		t.Error(err)
	}
	p.Stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
}
