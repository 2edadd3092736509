package postgres

import (
	"context"
	_ "embed" // for the statements
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"service-courier/internal/courier"
	"service-courier/internal/usecase/orderevent"
)

//go:embed sql/match.sql
var match string

// Line is where waiting orders meet free couriers.
type Line struct{ pool *pgxpool.Pool }

var _ orderevent.Line = (*Line)(nil)

// NewLine returns the line in pool's database.
func NewLine(pool *pgxpool.Pool) *Line { return &Line{pool} }

// Match implements orderevent.Line with one statement, which is its own transaction.
func (l *Line) Match(ctx context.Context, limit int) ([]orderevent.Assignment, error) {
	transports, times := deliveryTimes()
	rows, err := l.pool.Query(ctx, match, limit, transports, times)
	if err != nil {
		return nil, fmt.Errorf("match: %w", err)
	}
	assignments, err := pgx.CollectRows(rows, scanAssignment)
	if err != nil {
		return nil, fmt.Errorf("match: %w", err)
	}
	return assignments, nil
}

// deliveryTimes returns how long each transport may take, as two columns.
func deliveryTimes() ([]courier.Transport, []time.Duration) {
	transports := courier.Transports()
	times := make([]time.Duration, len(transports))
	for i, t := range transports {
		times[i] = t.DeliveryTime()
	}
	return transports, times
}

func scanAssignment(row pgx.CollectableRow) (a orderevent.Assignment, err error) {
	return a, row.Scan(&a.OrderID, &a.CourierID, &a.Transport, &a.Deadline)
}
