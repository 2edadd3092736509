// Package tracing creates OpenTelemetry spans of the use case, the gateway and the HTTP
// server, and adds their ids to the log. Without an endpoint it is off and costs
// nothing.
package tracing

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"go.opentelemetry.io/contrib/instrumentation/google.golang.org/grpc/otelgrpc"
	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc"

	"service-courier/internal/outage"
	"service-courier/internal/usecase/orderevent"
	"service-courier/internal/usecase/outbox"
)

const (
	// maxLinks bounds the links of a batch's span: a batch may have a thousand records.
	maxLinks = 100
	// closeTimeout bounds sending the last spans to a collector that may be down.
	closeTimeout = time.Second
)

// w3c propagates traces in the traceparent header.
var w3c = propagation.TraceContext{}

// Tracing creates and exports spans. Nil means that tracing is off.
type Tracing struct {
	provider *sdktrace.TracerProvider
	tracer   trace.Tracer
}

// Open returns a Tracing that exports to an OTLP endpoint over HTTP, or nil without an
// endpoint. The SDK reads all other settings from OTEL_ variables. It connects when
// there are spans to send; while the endpoint is unavailable spans are lost, which is
// logged once.
func Open(ctx context.Context, endpoint string, log *slog.Logger) (*Tracing, error) {
	if endpoint == "" {
		return nil, nil
	}
	logSDKErrors(ctx, log)
	exporter, err := otlptracehttp.New(ctx)
	if err != nil {
		return nil, fmt.Errorf("OTEL_EXPORTER_OTLP_…: %w", err)
	}
	service, err := resource.Merge(resource.NewSchemaless(attribute.String("service.name", "service-courier")), resource.Environment())
	if err != nil {
		return nil, fmt.Errorf("OTEL_RESOURCE_ATTRIBUTES: %w", err)
	}
	return New(sdktrace.NewBatchSpanProcessor(reportingExporter{exporter, outage.New(log, "traces")}), sdktrace.WithResource(service)), nil
}

// New returns a Tracing that passes spans to a processor.
func New(processor sdktrace.SpanProcessor, options ...sdktrace.TracerProviderOption) *Tracing {
	provider := sdktrace.NewTracerProvider(append(options, sdktrace.WithSpanProcessor(redactor{processor}))...)
	return &Tracing{provider, provider.Tracer("service-courier")}
}

// Close sends the remaining spans, for at most a second.
func (t *Tracing) Close(ctx context.Context) {
	if t == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
	defer cancel()
	_ = t.provider.Shutdown(ctx) // only spans are lost
}

// Begin starts the span of a phase; see orderevent.Observer. The span of a batch has
// links to the traces of its records. A match has a span only if it assigned or failed:
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
	finish(span, err)
}

func finish(span trace.Span, err error) {
	if err != nil {
		span.RecordError(err)
		span.SetStatus(codes.Error, err.Error())
	}
	span.End()
}

// links returns a link to the trace of each record, without duplicates.
func links(hints []orderevent.Hint) (all []trace.Link) {
	seen := make(map[trace.SpanID]struct{})
	for _, h := range hints {
		if h.Trace == nil || len(all) == maxLinks {
			continue
		}
		carrier := propagation.MapCarrier{"traceparent": string(h.Trace)}
		from := trace.SpanContextFromContext(w3c.Extract(context.Background(), carrier))
		if _, duplicate := seen[from.SpanID()]; duplicate || !from.IsValid() {
			continue
		}
		seen[from.SpanID()] = struct{}{}
		all = append(all, trace.Link{SpanContext: from})
	}
	return all
}

// Publisher returns a publisher that creates a span of each page of events. The events carry
// its traceparent.
func (t *Tracing) Publisher(next outbox.Publisher) outbox.Publisher { return publisher{t, next} }

type publisher struct {
	*Tracing
	next outbox.Publisher
}

// Publish implements outbox.Publisher.
func (p publisher) Publish(ctx context.Context, events []outbox.Event) error {
	if len(events) == 0 { // the page has changes of couriers only
		return nil
	}
	ctx, span := p.tracer.Start(ctx, "publish", trace.WithSpanKind(trace.SpanKindProducer), trace.WithAttributes(attribute.Int("events", len(events))))
	err := p.next.Publish(ctx, events)
	finish(span, err)
	return err
}

// Client returns a transport that creates a span of each request and sends its
// traceparent.
func (t *Tracing) Client(next http.RoundTripper) http.RoundTripper {
	return otelhttp.NewTransport(next, otelhttp.WithTracerProvider(t.provider), otelhttp.WithPropagators(w3c),
		otelhttp.WithSpanNameFormatter(func(_ string, r *http.Request) string { return r.Method + " service-order" }))
}

// GRPCClient returns the option of a gRPC client for the same.
func (t *Tracing) GRPCClient() grpc.DialOption {
	return grpc.WithStatsHandler(otelgrpc.NewClientHandler(otelgrpc.WithTracerProvider(t.provider), otelgrpc.WithPropagators(w3c)))
}

// Server returns a handler that creates a span of each request, named after its route.
func (t *Tracing) Server(next http.Handler) http.Handler {
	return otelhttp.NewHandler(next, "http", otelhttp.WithTracerProvider(t.provider), otelhttp.WithPropagators(w3c),
		otelhttp.WithSpanNameFormatter(func(operation string, r *http.Request) string {
			if r.Pattern == "" {
				return operation
			}
			return r.Pattern
		}))
}
