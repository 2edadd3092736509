package postgres

import (
	"context"
	_ "embed" // for the statement
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"service-courier/internal/courier"
	"service-courier/internal/usecase/orderevent"
)

//go:embed sql/orders_assign.sql
var ordersAssign string

// Assign implements orderevent.Tx: it locks the courier, then pairs him with
// the order in a statement of its own, which sees what the lock waited for.
func (o ordersTx) Assign(
	ctx context.Context, id courier.OrderID, courierID int64, source string,
) (orderevent.Assignment, error) {
	courierID, err := o.lockFree(ctx, courierID)
	if err != nil {
		return orderevent.Assignment{}, err
	}
	transports, times := deliveryTimes()
	rows, err := o.tx.Query(ctx, ordersAssign, id, courierID, transports, times, text(source))
	if err != nil {
		return orderevent.Assignment{}, fmt.Errorf("assign: %w", err)
	}
	a, err := pgx.CollectExactlyOneRow(rows, scanAssignment)
	if err != nil {
		return a, fmt.Errorf("assign: %w", err)
	}
	return a, nil
}

// lockFree locks the courier named and returns his id, or with id 0 that of the
// free one whose turn it is; those whom somebody else has locked are skipped.
func (o ordersTx) lockFree(ctx context.Context, id int64) (int64, error) {
	status := courier.StatusAvailable
	var err error
	absent := courier.ErrNotFound
	if id == 0 {
		absent = courier.ErrNobodyFree
		err = o.tx.QueryRow(ctx, `SELECT id FROM couriers WHERE status = 'available'
			ORDER BY deliveries, free_since, id LIMIT 1 FOR UPDATE SKIP LOCKED`).Scan(&id)
	} else {
		err = o.tx.QueryRow(ctx, `SELECT status FROM couriers WHERE id = $1 AND deleted_at IS NULL FOR UPDATE`, id).Scan(&status)
	}
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return 0, absent
	case err != nil:
		return 0, fmt.Errorf("lock a courier: %w", err)
	case status != courier.StatusAvailable:
		return 0, fmt.Errorf("%w: he is %s", courier.ErrNotFree, status)
	}
	return id, nil
}
