package tracing

import (
	"slices"

	"go.opentelemetry.io/otel/attribute"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

// discreet keeps from a processor who called and by which path: anything can be in a
// path, a phone as well. The span's name is the route.
type discreet struct{ sdktrace.SpanProcessor }

// OnEnd implements sdktrace.SpanProcessor.
func (d discreet) OnEnd(s sdktrace.ReadOnlySpan) { d.SpanProcessor.OnEnd(discreetSpan{s}) }

type discreetSpan struct{ sdktrace.ReadOnlySpan }

// Attributes implements sdktrace.ReadOnlySpan.
func (s discreetSpan) Attributes() []attribute.KeyValue {
	return slices.DeleteFunc(slices.Clone(s.ReadOnlySpan.Attributes()), func(a attribute.KeyValue) bool {
		switch a.Key {
		case "client.address", "network.peer.address", "network.peer.port", "user_agent.original", "url.path":
			return true
		}
		return false
	})
}
