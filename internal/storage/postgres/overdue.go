package postgres

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"service-courier/internal/courier"
)

// Overdue implements orderevent.Tx.
func (o ordersTx) Overdue(ctx context.Context, id courier.OrderID) (overdue bool, err error) {
	err = o.tx.QueryRow(ctx, `SELECT EXISTS (SELECT FROM courier_orders
		WHERE order_id = $1 AND completed_at IS NULL AND deadline < now())`, id).Scan(&overdue)
	if err != nil {
		return false, fmt.Errorf("read the deadline: %w", err)
	}
	return overdue, nil
}

// Overdue returns the orders whose open delivery is behind its deadline, the
// most overdue first. There are never more than couriers.
func (o *Orders) Overdue(ctx context.Context) ([]courier.OrderID, error) {
	rows, err := o.pool.Query(ctx,
		`SELECT order_id FROM courier_orders
		WHERE completed_at IS NULL AND deadline > '-infinity' AND deadline < now() ORDER BY deadline`)
	if err != nil {
		return nil, fmt.Errorf("find late deliveries: %w", err)
	}
	ids, err := pgx.CollectRows(rows, pgx.RowTo[courier.OrderID])
	if err != nil {
		return nil, fmt.Errorf("find late deliveries: %w", err)
	}
	return ids, nil
}
