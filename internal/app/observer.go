package app

import (
	"context"

	"service-courier/internal/metrics"
	"service-courier/internal/tracing"
	"service-courier/internal/usecase/orderevent"
)

// observerOf is what the use case tells what it does: the metrics, and the spans
// where there are any.
func observerOf(counted *metrics.Metrics, spans *tracing.Tracing) orderevent.Observer {
	if spans == nil {
		return counted
	}
	return traced{counted, spans}
}

type traced struct {
	*metrics.Metrics
	spans *tracing.Tracing
}

// Begin implements orderevent.Observer.
func (t traced) Begin(ctx context.Context, p orderevent.Phase, hints ...orderevent.Hint) (context.Context, orderevent.End) {
	ctx, timed := t.Metrics.Begin(ctx, p)
	ctx, span := t.spans.Begin(ctx, p, hints...)
	return ctx, func(orders int, err error) {
		timed(orders, err)
		span(orders, err)
	}
}
