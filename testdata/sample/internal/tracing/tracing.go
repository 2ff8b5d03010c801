// Package tracing makes the service's tracer.
package tracing

import (
	"context"
	"io"

	"go.opentelemetry.io/otel/exporters/stdout/stdouttrace"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"
)

const name = "example.com/sample"

// New returns a tracer that writes spans to w, or one that does nothing, and what ends it.
func New(w io.Writer, enabled bool) (tracer trace.Tracer, stop func(context.Context) error, err error) {
	if !enabled {
		return noop.NewTracerProvider().Tracer(name), func(context.Context) error { return nil }, nil
	}
	exporter, err := stdouttrace.New(stdouttrace.WithWriter(w))
	if err != nil {
		return nil, nil, err
	}
	provider := sdk.NewTracerProvider(sdk.WithBatcher(exporter))
	return provider.Tracer(name), provider.Shutdown, nil
}
