package app

import (
	"context"

	"github.com/jackc/pgx/v5/pgxpool"

	"service-courier/internal/courier"
	"service-courier/internal/metrics"
	"service-courier/internal/storage/postgres"
	"service-courier/internal/usecase/orderevent"
)

// stateOf reads what the metrics show of the database.
func stateOf(pool *pgxpool.Pool) func(context.Context) (metrics.State, error) {
	health := postgres.NewHealth(pool)
	return func(ctx context.Context) (metrics.State, error) {
		g, err := health.Gauges(ctx)
		return metrics.State{
			Couriers: map[string]int{
				string(courier.StatusAvailable): g.Available, string(courier.StatusBusy): g.Busy, string(courier.StatusPaused): g.Paused,
			},
			Looks: map[string]int{
				string(orderevent.ReasonMissing): g.Missing, string(orderevent.ReasonAhead): g.Ahead,
				string(orderevent.ReasonUnknownStatus): g.UnknownStatus, string(orderevent.ReasonUnavailable): g.Unavailable,
			},
			LooksDue: g.LooksDue, Held: g.Held, Late: g.Late,
			LettersWaiting: g.DeadLetters.Count, OldestLetter: g.DeadLetters.Oldest,
		}, err
	}
}

// poolOf tells how the pool stands.
func poolOf(pool *pgxpool.Pool) func() metrics.Pool {
	return func() metrics.Pool {
		s := pool.Stat()
		return metrics.Pool{Acquired: int(s.AcquiredConns()), Idle: int(s.IdleConns()), Max: int(s.MaxConns())}
	}
}
