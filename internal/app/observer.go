package app

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"service-courier/internal/metrics"
	"service-courier/internal/storage/postgres"
	"service-courier/internal/tracing"
	"service-courier/internal/transport/rest"
	"service-courier/internal/usecase/orderevent"
)

// observerOf returns what observes the use case: the metrics, and the spans if
// tracing is on.
func observerOf(m *metrics.Metrics, spans *tracing.Tracing) orderevent.Observer {
	if spans == nil {
		return m
	}
	return traced{m, spans}
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

// readGauges returns a function that reads the gauges of the database.
func readGauges(pool *pgxpool.Pool) func(context.Context) (metrics.Gauges, error) {
	health := postgres.NewHealth(pool)
	return func(ctx context.Context) (metrics.Gauges, error) {
		g, err := health.Gauges(ctx)
		if postgres.Answered(err) {
			err = fmt.Errorf("%w: %w", metrics.ErrNoGauges, err)
		}
		return metrics.Gauges(g), err
	}
}

// readPools returns a function that reads the gauges of the connection pools, by name.
func readPools(pools map[string]*pgxpool.Pool) func() map[string]metrics.Pool {
	return func() map[string]metrics.Pool {
		all := make(map[string]metrics.Pool, len(pools))
		for name, pool := range pools {
			s := pool.Stat()
			all[name] = metrics.Pool{Acquired: int(s.AcquiredConns()), Idle: int(s.IdleConns()), Max: int(s.MaxConns())}
		}
		return all
	}
}

// history serves the samples of the metrics.
type history struct{ *metrics.History }

var _ rest.History = history{}

// Samples implements rest.History.
func (h history) Samples() []rest.HealthSample {
	samples := h.History.Samples()
	all := make([]rest.HealthSample, len(samples))
	for i, s := range samples {
		all[i] = rest.HealthSample{
			At: s.At.UTC(), Events: s.Events, Assignments: s.Assignments, Lag: s.Lag, WaitingOrders: s.WaitingOrders,
			FetchP50: inSeconds(s.FetchP50), FetchP99: inSeconds(s.FetchP99), CommitP50: inSeconds(s.CommitP50), CommitP99: inSeconds(s.CommitP99),
		}
	}
	return all
}

func inSeconds(d *time.Duration) *float64 {
	if d == nil {
		return nil
	}
	s := d.Seconds()
	return &s
}
