// Package traces tells an OpenTelemetry receiver of jobs: one trace a job, with a span for each phase of its caches and an event for each miss.
package traces

import (
	"context"
	"crypto/sha256"
	"fmt"
	"sync"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/stats"
)

// Sender sends traces. One goroutine at a time may use it.
type Sender struct {
	exporter *otlptrace.Exporter
	version  string
}

// sendTimeout is for one request.
const sendTimeout = 10 * time.Second

// New gives a sender to a receiver of OTLP over HTTP. Nothing is sent yet. It is closed by Close.
func New(ctx context.Context, endpoint string, headers map[string]string, version string) (*Sender, error) {
	exporter, err := otlptracehttp.New(ctx, otlptracehttp.WithEndpointURL(endpoint), otlptracehttp.WithHeaders(headers),
		otlptracehttp.WithTimeout(sendTimeout),
		otlptracehttp.WithRetry(otlptracehttp.RetryConfig{})) // whoever calls tries again
	if err != nil {
		return nil, fmt.Errorf("traces: %w", err)
	}
	return &Sender{exporter, version}, nil
}

// Close ends the sender.
func (s *Sender) Close(ctx context.Context) error { return s.exporter.Shutdown(ctx) }

// Send sends the trace of a job that has ended.
func (s *Sender) Send(ctx context.Context, j stats.Job) error {
	spans := &ended{}
	provider := sdk.NewTracerProvider(sdk.WithSpanProcessor(spans), sdk.WithIDGenerator(ids{j: &j, next: new(int)}), sdk.WithSampler(sdk.AlwaysSample()),
		sdk.WithResource(resource.NewSchemaless(attribute.String("service.name", "gitlab-go-executor"), attribute.String("service.version", s.version),
			attribute.String("host.name", j.Host))))
	spansOf(ctx, provider.Tracer("gitlab.com/gitlab-go-executor/gitlab-go-executor"), &j)
	if err := s.exporter.ExportSpans(ctx, spans.all); err != nil {
		return fmt.Errorf("traces: %w", err)
	}
	return nil
}

// IDOf is the id of a job's trace. It is known from the job's begin, so that the job log can say it.
func IDOf(j *stats.Job) trace.TraceID {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s %s %d", j.Instance, j.Job, j.Began.UnixMilli()))
	return trace.TraceID(sum[:16])
}

// ids makes a job that is sent twice the same trace twice.
type ids struct {
	j    *stats.Job
	next *int
}

// NewIDs implements sdk.IDGenerator.
func (i ids) NewIDs(ctx context.Context) (trace.TraceID, trace.SpanID) {
	id := IDOf(i.j)
	return id, i.NewSpanID(ctx, id)
}

// NewSpanID implements sdk.IDGenerator.
func (i ids) NewSpanID(_ context.Context, id trace.TraceID) trace.SpanID {
	*i.next++
	sum := sha256.Sum256(fmt.Appendf(id[:], " %d", *i.next))
	return trace.SpanID(sum[:8])
}

// ended collects spans.
type ended struct {
	mu  sync.Mutex
	all []sdk.ReadOnlySpan
}

// OnStart implements sdk.SpanProcessor.
func (e *ended) OnStart(context.Context, sdk.ReadWriteSpan) {}

// OnEnd implements sdk.SpanProcessor.
func (e *ended) OnEnd(s sdk.ReadOnlySpan) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.all = append(e.all, s)
}

// Shutdown implements sdk.SpanProcessor.
func (e *ended) Shutdown(context.Context) error { return nil }

// ForceFlush implements sdk.SpanProcessor.
func (e *ended) ForceFlush(context.Context) error { return nil }

// spansOf tells a job in spans.
func spansOf(ctx context.Context, tracer trace.Tracer, j *stats.Job) {
	ctx, root := tracer.Start(ctx, "job "+j.Name, trace.WithTimestamp(j.Began.Time), trace.WithSpanKind(trace.SpanKindServer), trace.WithAttributes(attributes(j)...))
	defer root.End(trace.WithTimestamp(j.Ended.Time))
	if j.Outcome != "success" {
		root.SetStatus(codes.Error, j.Outcome+": "+j.Reason)
	}
	for _, m := range misses(j) {
		root.AddEvent("cache.miss", trace.WithTimestamp(m.at), trace.WithAttributes(m.attributes...))
	}
	for _, p := range phases(j) {
		parent, span := tracer.Start(ctx, p.name, trace.WithTimestamp(p.began), trace.WithAttributes(p.attributes...))
		at := p.began
		for _, part := range p.parts {
			_, child := tracer.Start(parent, part.name, trace.WithTimestamp(at))
			at = at.Add(part.took)
			child.End(trace.WithTimestamp(at))
		}
		span.End(trace.WithTimestamp(p.began.Add(p.took)))
	}
}

// attributes are those of a job, by OpenTelemetry's conventions for CI where there are any.
func attributes(j *stats.Job) []attribute.KeyValue {
	all := []attribute.KeyValue{
		attribute.String("cicd.pipeline.run.id", j.Pipeline), attribute.String("cicd.pipeline.task.name", j.Name),
		attribute.String("cicd.pipeline.task.run.id", j.Job), attribute.String("cicd.pipeline.task.run.result", result[j.Outcome]),
		attribute.String("vcs.ref.head.name", j.Ref), attribute.String("vcs.repository.name", j.ProjectPath),
		attribute.String("gitlab.instance", j.Instance), attribute.String("gitlab.project.id", j.Project),
		attribute.String("container.image.name", j.Image),
		attribute.String("job.outcome", j.Outcome), attribute.String("job.reason", j.Reason),
		attribute.String("cache.reason", j.CacheReason), attribute.String("cache.tier", j.Tier), attribute.String("cache.base_job", j.BaseJob),
		attribute.String("cache.platform", j.Platform), attribute.String("cache.toolchain", j.Toolchain),
	}
	for name, n := range map[string]*int{
		"cache.modules.wanted": j.ModulesWanted, "cache.modules.hit_host": j.ModulesHitHost, "cache.modules.hit_store": j.ModulesHitStore,
		"cache.modules.missed": j.ModulesMissed, "cache.packages.hit": j.BuildHit, "cache.packages.compiled": j.BuildNew,
		"cache.tests.ok": j.TestsOK, "cache.tests.cached": j.TestsCached,
	} {
		if n != nil {
			all = append(all, attribute.Int(name, *n))
		}
	}
	return all
}

// result is the outcome in the words of OpenTelemetry's conventions.
var result = map[string]string{
	"success": "success", "script_failed": "failure", "job_invalid": "failure", "system_failed": "error", "canceled": "cancellation", "timed_out": "timeout", "lost": "error",
}
