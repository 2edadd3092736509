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

// retentionLock is the advisory lock of the one replica that removes what is old
// ("retain" in ASCII).
const retentionLock = 0x72657461696e

// Retention removes finished deliveries, ended records and their journal.
type Retention struct{ pool *pgxpool.Pool }

// NewRetention returns the retention of pool's database.
func NewRetention(pool *pgxpool.Pool) *Retention { return &Retention{pool} }

// Lead runs do on the one replica that holds the lock, and returns false on the others.
func (r *Retention) Lead(ctx context.Context, do func(context.Context) error) (bool, error) {
	return lead(ctx, r.pool, retentionLock, do)
}

// Remove removes at most limit of the oldest rows of the journal, if they are
// older than age, and the orders whose ending they tell. It returns how many of
// both went; fewer rows than limit: the rest is younger.
func (r *Retention) Remove(ctx context.Context, age time.Duration, limit int) (rows, orders int, err error) {
	if err := r.pool.QueryRow(ctx, retentionRemove, age.Seconds(), limit).Scan(&rows, &orders); err != nil {
		return 0, 0, fmt.Errorf("remove what is old: %w", err)
	}
	return rows, orders, nil
}
