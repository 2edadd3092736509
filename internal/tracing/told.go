package tracing

import (
	"context"
	"log/slog"

	"go.opentelemetry.io/otel"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"service-courier/internal/outage"
)

// told says in the log that spans cannot be sent. The SDK would write a line of its
// own for each try.
type told struct {
	sdktrace.SpanExporter
	sending *outage.Log
}

// ExportSpans implements sdktrace.SpanExporter. It returns no error: it is told.
func (t told) ExportSpans(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	if err := t.SpanExporter.ExportSpans(ctx, spans); err != nil {
		t.sending.Failed(ctx, err)
		return nil
	}
	t.sending.Works(ctx)
	return nil
}

// hear takes what else the SDK complains of, a wrong OTEL_ variable for one, into
// the log.
func hear(ctx context.Context, log *slog.Logger) {
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) {
		log.WarnContext(ctx, "OpenTelemetry complains", slog.Any("error", err))
	}))
}
