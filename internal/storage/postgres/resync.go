package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"service-courier/internal/courier"
)

// Resync reads the orders that the resync compares, and stores its progress.
type Resync struct{ pool *pgxpool.Pool }

// NewResync returns the resync of pool's database.
func NewResync(pool *pgxpool.Pool) *Resync { return &Resync{pool} }

// Begin returns the creation time up to which orders were compared (zero: never), and the
// database's current time.
func (r *Resync) Begin(ctx context.Context) (until, now time.Time, err error) {
	err = r.pool.QueryRow(ctx, "SELECT coalesce((SELECT resynced_until FROM resync), '0001-01-01Z'), now()").Scan(&until, &now)
	if err != nil {
		return until, now, fmt.Errorf("read the last resync: %w", explain(err))
	}
	return until, now, nil
}

// Finish stores that all orders created until then were compared.
func (r *Resync) Finish(ctx context.Context, until time.Time) error {
	_, err := r.pool.Exec(ctx, `
		INSERT INTO resync (resynced_until) VALUES ($1)
		ON CONFLICT (only_row) DO UPDATE SET resynced_until = greatest(resync.resynced_until, excluded.resynced_until)`, until)
	if err != nil {
		return fmt.Errorf("store the resync: %w", explain(err))
	}
	return nil
}

// Behind returns the listed orders that are unknown, or known with a lower class.
func (r *Resync) Behind(ctx context.Context, listed map[courier.OrderID]courier.Class) ([]courier.OrderID, error) {
	ids := make([]courier.OrderID, 0, len(listed))
	for id := range listed {
		ids = append(ids, id)
	}
	type order struct {
		OrderID courier.OrderID
		State   courier.State
	}
	orders, err := query(ctx, r.pool, pgx.RowToStructByName[order], "compare with service-order",
		"SELECT order_id, state FROM orders WHERE order_id = ANY ($1::text[])", ids)
	if err != nil {
		return nil, err
	}
	known := make(map[courier.OrderID]courier.State, len(orders))
	for _, o := range orders {
		known[o.OrderID] = o.State
	}
	behind := ids[:0]
	for _, id := range ids {
		if known[id] == courier.StateNone || listed[id] > known[id].Class() {
			behind = append(behind, id)
		}
	}
	return behind, nil
}

// ActivePage returns at most limit active orders with an id after the given one, by id.
func (r *Resync) ActivePage(ctx context.Context, after courier.OrderID, limit int) ([]courier.OrderID, error) {
	return query(ctx, r.pool, pgx.RowTo[courier.OrderID], "read active orders", `
		SELECT order_id FROM orders
		WHERE state IN ('waiting', 'assigned', 'held') AND order_id > '' -- selects orders_active
		  AND order_id > $1
		ORDER BY order_id LIMIT $2`, after, limit)
}
