package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"service-courier/internal/courier"
)

// sweepLock is the advisory lock that one replica's sweep holds ("sweep" in ASCII).
const sweepLock = 0x7377656570

// Sweep is what the sweep asks of the records, and how far it has come.
type Sweep struct{ pool *pgxpool.Pool }

// NewSweep returns the sweep's part of pool's database.
func NewSweep(pool *pgxpool.Pool) *Sweep { return &Sweep{pool} }

// Lead runs do on the one replica that holds the lock, and returns false on
// the others. The lock goes with its connection, so a crash frees it.
func (s *Sweep) Lead(ctx context.Context, do func(context.Context) error) (bool, error) {
	return lead(ctx, s.pool, sweepLock, do)
}

// lead runs do while it holds an advisory lock, and returns false where somebody
// else does.
func lead(ctx context.Context, pool *pgxpool.Pool, lock int64, do func(context.Context) error) (led bool, err error) {
	conn, err := pool.Acquire(ctx)
	if err != nil {
		return false, fmt.Errorf("leader's lock: %w", err)
	}
	defer conn.Release()
	if err := conn.QueryRow(ctx, "SELECT pg_try_advisory_lock($1)", lock).Scan(&led); err != nil || !led {
		return false, err
	}
	err = do(ctx)
	free, cancel := context.WithTimeout(context.WithoutCancel(ctx), unlockTimeout)
	defer cancel()
	if _, unlockErr := conn.Exec(free, "SELECT pg_advisory_unlock($1)", lock); unlockErr != nil {
		_ = conn.Conn().Close(free) // the pool must not keep a connection that holds the lock
	}
	return true, err
}

// unlockTimeout bounds giving the lock back, although the caller's time is over.
const unlockTimeout = 2 * time.Second

// Begin returns until when was swept (zero: never), and the database's time now.
func (s *Sweep) Begin(ctx context.Context) (until, now time.Time, err error) {
	err = s.pool.QueryRow(ctx, "SELECT coalesce((SELECT swept_until FROM sweep), '0001-01-01Z'), now()").Scan(&until, &now)
	if err != nil {
		return until, now, fmt.Errorf("last sweep: %w", err)
	}
	return until, now, nil
}

// Finish remembers that everything created until then has been looked at.
func (s *Sweep) Finish(ctx context.Context, until time.Time) error {
	_, err := s.pool.Exec(ctx, `
		INSERT INTO sweep (swept_until) VALUES ($1)
		ON CONFLICT (only_row) DO UPDATE SET swept_until = greatest(sweep.swept_until, excluded.swept_until)`, until)
	if err != nil {
		return fmt.Errorf("remember the sweep: %w", err)
	}
	return nil
}

// Behind returns those of the orders that have no record, whatever is told of
// them, or one of a lower class than the one told.
func (s *Sweep) Behind(ctx context.Context, told map[courier.OrderID]courier.Class) ([]courier.OrderID, error) {
	ids := make([]courier.OrderID, 0, len(told))
	for id := range told {
		ids = append(ids, id)
	}
	rows, err := s.pool.Query(ctx, "SELECT order_id, state FROM orders WHERE order_id = ANY ($1::text[])", ids)
	if err != nil {
		return nil, fmt.Errorf("compare with service-order's list: %w", err)
	}
	known := make(map[courier.OrderID]courier.State, len(told))
	var id courier.OrderID
	var state courier.State
	if _, err := pgx.ForEachRow(rows, []any{&id, &state}, func() error { known[id] = state; return nil }); err != nil {
		return nil, fmt.Errorf("compare with service-order's list: %w", err)
	}
	behind := ids[:0]
	for _, id := range ids {
		if known[id] == courier.StateNone || told[id] > known[id].Class() {
			behind = append(behind, id)
		}
	}
	return behind, nil
}

// Open returns at most limit open orders (waiting, missing, assigned, held)
// with an id after the given one, in the order of their ids.
func (s *Sweep) Open(ctx context.Context, after courier.OrderID, limit int) ([]courier.OrderID, error) {
	rows, err := s.pool.Query(ctx, `
		SELECT order_id FROM orders
		WHERE state IN ('waiting', 'assigned', 'held') AND order_id > '' -- as the index says it
		  AND order_id > $1
		ORDER BY order_id LIMIT $2`, after, limit)
	if err != nil {
		return nil, fmt.Errorf("open orders: %w", err)
	}
	ids, err := pgx.CollectRows(rows, pgx.RowTo[courier.OrderID])
	if err != nil {
		return nil, fmt.Errorf("open orders: %w", err)
	}
	return ids, nil
}
