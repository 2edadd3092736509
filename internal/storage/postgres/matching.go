package postgres

import (
	"context"
	_ "embed" // for the statements
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"service-courier/internal/courier"
	"service-courier/internal/usecase/orderevent"
)

var (
	//go:embed sql/match.sql
	match string
	//go:embed sql/orders_assign.sql
	ordersAssign string
)

// Matching assigns waiting orders to available couriers.
type Matching struct {
	pool        *pgxpool.Pool
	lockTimeout string // of matchLock
}

var _ orderevent.MatchStore = (*Matching)(nil)

// NewMatching returns the matching in pool's database.
func NewMatching(pool *pgxpool.Pool) *Matching { return &Matching{pool: pool, lockTimeout: "1s"} }

// matchLock is the advisory lock of the replica that matches ("match" in ASCII).
const matchLock = 0x6d61746368

// lockMatching waits for the matching of another replica, but not for one that hangs. It
// is a statement of its own, so that the next one sees what was committed meanwhile.
const lockMatching = "SELECT set_config('lock_timeout', $1, true), pg_advisory_xact_lock($2)"

// Match implements orderevent.MatchStore with one statement. The lock only saves work: two
// replicas that match at once skip each other's rows. SKIP LOCKED keeps the invariants, so
// that matching goes on without the lock after its timeout.
func (m *Matching) Match(ctx context.Context, limit int) ([]orderevent.Assignment, error) {
	assignments, err := m.match(ctx, limit, true)
	if refused := err; retryable(refused) {
		assignments, err = m.match(ctx, limit, false)
		if errors.Is(err, context.DeadlineExceeded) {
			err = refused // why there was no time left
		}
	}
	if err != nil {
		return nil, fmt.Errorf("match: %w", explain(err))
	}
	return assignments, nil
}

// match runs in one transaction, as a batch of statements does.
func (m *Matching) match(ctx context.Context, limit int, lock bool) (assignments []orderevent.Assignment, err error) {
	var batch pgx.Batch
	if lock {
		batch.Queue(lockMatching, m.lockTimeout, matchLock)
	}
	queueMatch(&batch, limit, &assignments)
	err = m.pool.SendBatch(ctx, &batch).Close() // which sets assignments
	return assignments, err
}

func queueMatch(batch *pgx.Batch, limit int, assignments *[]orderevent.Assignment) {
	transports, times := deliveryTimes()
	batch.Queue(match, limit, transports, times).Query(func(rows pgx.Rows) (err error) {
		*assignments, err = pgx.CollectRows(rows, pgx.RowToStructByName[orderevent.Assignment])
		return err
	})
}

// deliveryTimes returns the delivery time of each transport as two columns.
func deliveryTimes() ([]courier.Transport, []time.Duration) {
	transports := courier.Transports()
	times := make([]time.Duration, len(transports))
	for i, t := range transports {
		times[i] = t.DeliveryTime()
	}
	return transports, times
}

// Assign implements orderevent.Tx. It locks the courier first; the second statement sees
// what was committed while the first one waited.
func (o ordersTx) Assign(
	ctx context.Context, id courier.OrderID, courierID int64, source string,
) (orderevent.Assignment, error) {
	courierID, err := o.lockAvailable(ctx, courierID)
	if err != nil {
		return orderevent.Assignment{}, err
	}
	transports, times := deliveryTimes()
	return queryRow(ctx, o.tx, pgx.RowToStructByName[orderevent.Assignment], "assign",
		ordersAssign, id, courierID, transports, times, text(source))
}

// lockAvailable locks a courier, which has to be available, and returns the id. With id 0
// it locks the next available courier that no other transaction has locked.
func (o ordersTx) lockAvailable(ctx context.Context, id int64) (int64, error) {
	status := courier.StatusAvailable
	var order courier.OrderID
	var err error
	absent := courier.ErrNotFound
	if id == 0 {
		absent = courier.ErrNoCourierAvailable
		err = o.tx.QueryRow(ctx, `SELECT id FROM couriers WHERE status = 'available'
			ORDER BY deliveries, free_since, id LIMIT 1 FOR UPDATE SKIP LOCKED`).Scan(&id)
	} else {
		err = o.tx.QueryRow(ctx, `SELECT status, coalesce(order_id, '') FROM couriers WHERE id = $1 AND deleted_at IS NULL FOR UPDATE`, id).Scan(&status, &order)
	}
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return 0, absent
	case err != nil:
		return 0, fmt.Errorf("lock courier: %w", err)
	case order != "":
		return 0, courier.Explain(courier.ErrCourierNotAvailable, "courier %d is %s with order %s", id, status, order)
	case status != courier.StatusAvailable:
		return 0, courier.Explain(courier.ErrCourierNotAvailable, "courier %d is %s", id, status)
	}
	return id, nil
}

// Overdue implements orderevent.Tx.
func (o ordersTx) Overdue(ctx context.Context, id courier.OrderID) (bool, error) {
	return queryRow(ctx, o.tx, pgx.RowTo[bool], "read the deadline", `SELECT EXISTS (SELECT FROM courier_orders
		WHERE order_id = $1 AND completed_at IS NULL AND deadline < now())`, id)
}

// Overdue returns the orders whose open delivery is past its deadline, most overdue
// first. There are never more than couriers.
func (o *Orders) Overdue(ctx context.Context) ([]courier.OrderID, error) {
	return query(ctx, o.pool, pgx.RowTo[courier.OrderID], "find overdue deliveries", `
		SELECT order_id FROM courier_orders
		WHERE completed_at IS NULL AND deadline >= '-infinity' AND deadline < now() ORDER BY deadline`)
}
