package postgres

import (
	"context"
	_ "embed" // for the statement
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
)

//go:embed sql/retention_remove.sql
var retentionRemove string

// Retention deletes old orders with their deliveries and journal.
type Retention struct {
	pool   *pgxpool.Pool
	outbox bool
}

// NewRetention returns the retention of pool's database. With outbox it keeps the journal
// rows that the outbox has not published.
func NewRetention(pool *pgxpool.Pool, outbox bool) *Retention { return &Retention{pool, outbox} }

// Remove deletes at most limit of the oldest journal rows, if they are older than age, and
// the orders that they end. It returns how many of both it deleted; with fewer rows than
// limit no older ones are left.
func (r *Retention) Remove(ctx context.Context, age time.Duration, limit int) (rows, orders int, err error) {
	if err := r.pool.QueryRow(ctx, retentionRemove, age.Seconds(), limit, r.outbox).Scan(&rows, &orders); err != nil {
		return 0, 0, fmt.Errorf("retention: %w", explain(err))
	}
	return rows, orders, nil
}
