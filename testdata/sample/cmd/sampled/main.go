// Command sampled keeps an inventory of parts: HTTP for people, gRPC for health checks, a file or PostgreSQL below.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"example.com/sample/internal/config"
	"example.com/sample/internal/health"
	"example.com/sample/internal/httpapi"
	"example.com/sample/internal/logging"
	"example.com/sample/internal/metrics"
	"example.com/sample/internal/store"
	"example.com/sample/internal/tracing"
)

func main() {
	path := flag.String("config", "sampled.toml", "settings file")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *path); err != nil {
		fmt.Fprintln(os.Stderr, "sampled:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, path string) error {
	cfg, err := config.Load(path)
	if err != nil {
		return err
	}
	log, err := logging.New(os.Stderr, cfg.Log)
	if err != nil {
		return err
	}
	tracer, stopTracing, err := tracing.New(os.Stderr, cfg.Trace)
	if err != nil {
		return err
	}
	defer stopTracing(context.WithoutCancel(ctx))

	parts, err := store.Open(ctx, cfg.Database)
	if err != nil {
		return err
	}
	defer parts.Close()

	meter := metrics.New()
	api := &http.Server{Addr: cfg.HTTP, Handler: httpapi.New(parts, log, meter, tracer), ReadHeaderTimeout: 5 * time.Second}
	checks, err := net.Listen("tcp", cfg.GRPC)
	if err != nil {
		return err
	}
	probe := health.New(parts)

	log.Info("serving", zap.String("http", cfg.HTTP), zap.String("grpc", cfg.GRPC))
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return probe.Serve(checks) })
	group.Go(func() error {
		if err := api.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
			return err
		}
		return nil
	})
	group.Go(func() error { return probe.Watch(ctx, 10*time.Second) })
	group.Go(func() error {
		<-ctx.Done()
		probe.Stop()
		last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		return api.Shutdown(last)
	})
	return group.Wait()
}
