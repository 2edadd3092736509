// Package tracing makes OpenTelemetry spans of what the use case, the gateway and
// the HTTP server do, and puts their ids into the log. It is off unless an
// endpoint is given: then it costs nothing, and starts nothing. Nothing depends on
// it being there.
package tracing

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"service-courier/internal/outage"
	"service-courier/internal/usecase/orderevent"
)

const (
	// maxLinks bounds the links of a batch's span, which may have a thousand records.
	maxLinks = 100
	// closeWithin bounds sending what is left, with nobody there perhaps.
	closeWithin = time.Second
)

// w3c is the form in which a trace goes from one program to the next.
var w3c = propagation.TraceContext{}

// Tracing makes spans and sends them. A nil one makes none.
type Tracing struct {
	provider *sdktrace.TracerProvider
	tracer   trace.Tracer
}

// Open returns what sends spans to an OTLP endpoint over HTTP, or nil when there is
// none. Everything else is told by the environment's OTEL_ variables, which the
// SDK reads itself. It connects when there is something to send; an endpoint that
// is away costs spans, never the work; log says so once.
func Open(ctx context.Context, endpoint string, log *slog.Logger) (*Tracing, error) {
	if endpoint == "" {
		return nil, nil //nolint:nilnil // a nil Tracing is one that is off
	}
	hear(ctx, log)
	exporter, err := otlptracehttp.New(ctx)
	if err != nil {
		return nil, fmt.Errorf("OTEL_EXPORTER_OTLP_…: %w", err)
	}
	self, err := resource.Merge(resource.NewSchemaless(attribute.String("service.name", "service-courier")), resource.Environment())
	if err != nil {
		return nil, fmt.Errorf("OTEL_RESOURCE_ATTRIBUTES: %w", err)
	}
	return New(sdktrace.NewBatchSpanProcessor(told{exporter, outage.New(log, "traces")}), sdktrace.WithResource(self)), nil
}

// New returns what gives spans to a processor.
func New(processor sdktrace.SpanProcessor, options ...sdktrace.TracerProviderOption) *Tracing {
	provider := sdktrace.NewTracerProvider(append(options, sdktrace.WithSpanProcessor(discreet{processor}))...)
	return &Tracing{provider, provider.Tracer("service-courier")}
}

// Close sends what is left, within a second.
func (t *Tracing) Close(ctx context.Context) {
	if t == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeWithin)
	defer cancel()
	_ = t.provider.Shutdown(ctx) // what could not be sent is lost, and nothing else
}

// Begin starts the span of a phase; see orderevent.Observer. A batch's is linked
// to the traces of its records. A match is told only when it came to something:
// there are four a second.
func (t *Tracing) Begin(ctx context.Context, p orderevent.Phase, hints ...orderevent.Hint) (context.Context, orderevent.End) {
	if p == orderevent.PhaseMatch {
		began := time.Now()
		return ctx, func(orders int, err error) {
			if orders > 0 || err != nil {
				_, span := t.tracer.Start(ctx, string(p), trace.WithTimestamp(began))
				end(span, orders, err)
			}
		}
	}
	ctx, span := t.tracer.Start(ctx, string(p), trace.WithLinks(links(hints)...))
	return ctx, func(orders int, err error) { end(span, orders, err) }
}

func end(span trace.Span, orders int, err error) {
	span.SetAttributes(attribute.Int("orders", orders))
	if err != nil {
		span.RecordError(err)
		span.SetStatus(codes.Error, err.Error())
	}
	span.End()
}

// links are to the traces of the records, each once.
func links(hints []orderevent.Hint) (all []trace.Link) {
	seen := make(map[trace.SpanID]struct{})
	for _, h := range hints {
		if h.Trace == nil || len(all) == maxLinks {
			continue
		}
		carrier := propagation.MapCarrier{"traceparent": string(h.Trace)}
		from := trace.SpanContextFromContext(w3c.Extract(context.Background(), carrier))
		if _, again := seen[from.SpanID()]; again || !from.IsValid() {
			continue
		}
		seen[from.SpanID()] = struct{}{}
		all = append(all, trace.Link{SpanContext: from})
	}
	return all
}

// Client makes a span of every request and sends its traceparent.
func (t *Tracing) Client(next http.RoundTripper) http.RoundTripper {
	return otelhttp.NewTransport(next, otelhttp.WithTracerProvider(t.provider), otelhttp.WithPropagators(w3c),
		otelhttp.WithSpanNameFormatter(func(_ string, r *http.Request) string { return r.Method + " service-order" }))
}

// Server makes a span of every request that is served, named after its route.
func (t *Tracing) Server(next http.Handler) http.Handler {
	return otelhttp.NewHandler(next, "http", otelhttp.WithTracerProvider(t.provider), otelhttp.WithPropagators(w3c),
		otelhttp.WithSpanNameFormatter(func(operation string, r *http.Request) string {
			if r.Pattern == "" {
				return operation
			}
			return r.Pattern
		}))
}
