package tracing

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"slices"

	"github.com/go-logr/logr"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"service-courier/internal/outage"
)

// reportingExporter logs the start and the end of an outage of the collector. The SDK
// would log every attempt.
type reportingExporter struct {
	sdktrace.SpanExporter
	reporter *outage.Reporter
}

// ExportSpans implements sdktrace.SpanExporter. It returns no error, since it logs it.
func (e reportingExporter) ExportSpans(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	if err := e.SpanExporter.ExportSpans(ctx, spans); err != nil {
		if failed, ok := errors.AsType[*url.Error](err); ok {
			err = failed.Err // its text quotes the collector's URL, which may have a user
		}
		e.reporter.Failed(ctx, err)
		return nil
	}
	e.reporter.Recovered(ctx)
	return nil
}

// logSDKErrors logs the other errors of the SDK, such as an invalid OTEL_ variable. By
// itself the SDK writes text between the lines of JSON.
func logSDKErrors(ctx context.Context, log *slog.Logger) {
	report := func(err error) { log.WarnContext(ctx, "opentelemetry error", slog.Any("error", err)) }
	otel.SetErrorHandler(otel.ErrorHandlerFunc(report))
	otel.SetLogger(logr.New(sdkLog{report}))
}

// sdkLog is a logr.LogSink that drops the values of a message: they may be a header with a
// token.
type sdkLog struct{ report func(error) }

func (sdkLog) Init(logr.RuntimeInfo)                 {}
func (sdkLog) Enabled(int) bool                      { return false } // of Info, which has details only
func (sdkLog) Info(int, string, ...any)              {}
func (l sdkLog) Error(err error, m string, _ ...any) { l.report(fmt.Errorf("%s: %w", m, err)) }
func (l sdkLog) WithValues(...any) logr.LogSink      { return l }
func (l sdkLog) WithName(string) logr.LogSink        { return l }

// redactor removes the client and the path from spans: a path may hold anything, such
// as a phone number. The route is the name of the span.
type redactor struct{ sdktrace.SpanProcessor }

// OnEnd implements sdktrace.SpanProcessor.
func (r redactor) OnEnd(s sdktrace.ReadOnlySpan) { r.SpanProcessor.OnEnd(redactedSpan{s}) }

type redactedSpan struct{ sdktrace.ReadOnlySpan }

// Attributes implements sdktrace.ReadOnlySpan.
func (s redactedSpan) Attributes() []attribute.KeyValue {
	return slices.DeleteFunc(slices.Clone(s.ReadOnlySpan.Attributes()), func(a attribute.KeyValue) bool {
		switch a.Key {
		case "client.address", "network.peer.address", "network.peer.port", "user_agent.original", "url.path":
			return true
		}
		return false
	})
}
