package postgres

import (
	"context"
	_ "embed" // for the statements
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"service-courier/internal/courier"
	"service-courier/internal/usecase/orderevent"
)

var (
	//go:embed sql/orders_lock.sql
	ordersLock string
	//go:embed sql/orders_insert.sql
	ordersInsert string
	//go:embed sql/orders_advance.sql
	ordersAdvance string
	//go:embed sql/orders_claim_due.sql
	ordersClaimDue string
)

// ordersDelete removes orders whose rechecks are used up. The rows are locked; only an
// order that is still seen may go.
const ordersDelete = `DELETE FROM orders WHERE order_id = ANY ($1::text[]) AND state = 'seen'`

// orderWaits reports whether match would find an order.
const orderWaits = `SELECT EXISTS (SELECT FROM orders WHERE state = 'waiting' AND missing_since IS NULL)`

// Orders stores orders, with the deliveries, couriers and journal rows that follow from
// them.
type Orders struct{ pool *pgxpool.Pool }

var (
	_ orderevent.Store    = (*Orders)(nil)
	_ orderevent.Rechecks = (*Orders)(nil)
)

// NewOrders returns the orders in pool's database.
func NewOrders(pool *pgxpool.Pool) *Orders { return &Orders{pool} }

// InTx implements orderevent.Store in two round trips: begin and lock, save and commit.
func (o *Orders) InTx(ctx context.Context, fn func(orderevent.Tx) error) error {
	return orUnavailable(inTx(ctx, o.pool, func(conn *pgxpool.Conn) orderevent.Tx { return ordersTx{conn} }, fn))
}

// ClaimDue implements orderevent.Rechecks.
func (o *Orders) ClaimDue(ctx context.Context, limit int, lease time.Duration) ([]orderevent.Hint, error) {
	return query(ctx, o.pool, pgx.RowToStructByNameLax[orderevent.Hint], "claim due orders", ordersClaimDue, limit, lease.Seconds())
}

type ordersTx struct{ tx *pgxpool.Conn }

// lockedOrder is a row of orders_lock.sql.
type lockedOrder struct {
	OrderID         courier.OrderID
	State           courier.State
	OrderCreatedAt  *time.Time
	Hinted          *string
	Missing         bool
	RecheckReason   *orderevent.Reason
	RecheckCount    int
	RecheckFailures int
	RecheckError    *string
	RecheckToken    *int64
}

// LockOrders implements orderevent.Tx. It begins the transaction.
func (o ordersTx) LockOrders(ctx context.Context, ids []courier.OrderID) (map[courier.OrderID]orderevent.Order, error) {
	orders := make(map[courier.OrderID]orderevent.Order, len(ids))
	var locked []lockedOrder
	var batch pgx.Batch
	batch.Queue(begin)
	if len(ids) > 0 {
		batch.Queue(ordersLock, ids).Query(func(rows pgx.Rows) (err error) {
			locked, err = pgx.CollectRows(rows, pgx.RowToStructByName[lockedOrder])
			return err
		})
	}
	if err := o.tx.SendBatch(ctx, &batch).Close(); err != nil {
		return nil, fmt.Errorf("lock orders: %w", err)
	}
	for _, r := range locked {
		orders[r.OrderID] = orderevent.Order{
			OrderID: r.OrderID, State: r.State, CreatedAt: orZero(r.OrderCreatedAt),
			Hinted: courier.ParseClass(orZero(r.Hinted)), Missing: r.Missing,
			Recheck: orderevent.Recheck{
				Reason: orZero(r.RecheckReason), Count: r.RecheckCount, Failures: r.RecheckFailures,
				Error: orZero(r.RecheckError), Token: orZero(r.RecheckToken),
			},
		}
	}
	return orders, nil
}

// Save implements orderevent.Tx.
func (o ordersTx) Save(ctx context.Context, changes []orderevent.Change) (orderevent.Effects, error) {
	var effects orderevent.Effects
	var batch pgx.Batch
	queueChanges(&batch, changes, &effects)
	if err := o.tx.SendBatch(ctx, &batch).Close(); err != nil {
		return orderevent.Effects{}, fmt.Errorf("save orders: %w", err)
	}
	return effects, nil
}

// SaveAndCommit implements orderevent.Tx. When another transaction inserted an order first,
// the others are committed nevertheless, and the batch runs again.
func (o ordersTx) SaveAndCommit(
	ctx context.Context, changes []orderevent.Change, deadLetters []orderevent.DeadLetter, match int,
) (orderevent.Effects, error) {
	var effects orderevent.Effects
	var batch pgx.Batch
	queueChanges(&batch, changes, &effects)
	queueDeadLetters(&batch, deadLetters, &effects)
	if match > 0 {
		// Waiting for another replica here would keep the orders locked.
		batch.Queue("SELECT pg_try_advisory_xact_lock($1)", matchLock).QueryRow(func(row pgx.Row) error { return row.Scan(&effects.Matched) })
		if slices.ContainsFunc(changes, func(c orderevent.Change) bool { return c.Next.State == courier.StateWaiting }) {
			queueMatch(&batch, match, &effects.Assignments)
		} else { // mostly no order waits, and to ask costs a tenth of a match
			batch.Queue(orderWaits).QueryRow(func(row pgx.Row) error {
				var waits bool
				err := row.Scan(&waits)
				effects.Matched = effects.Matched && !waits
				return err
			})
		}
	}
	batch.Queue(commit).Exec(committed)
	if err := o.tx.SendBatch(ctx, &batch).Close(); err != nil {
		return orderevent.Effects{}, fmt.Errorf("save orders: %w", err)
	}
	return effects, nil
}

// queueChanges queues up to three set-based statements.
func queueChanges(batch *pgx.Batch, changes []orderevent.Change, effects *orderevent.Effects) {
	var inserted, advanced columns
	var deleted []courier.OrderID
	for _, c := range changes {
		switch {
		case c.From == courier.StateNone:
			inserted.add(c)
		case c.Next.State == courier.StateNone:
			deleted = append(deleted, c.Next.OrderID)
		default:
			advanced.add(c)
		}
	}
	if n := len(inserted.orderID); n > 0 {
		batch.Queue(ordersInsert, inserted.args()...).Query(func(rows pgx.Rows) error { return addTransitions(effects, rows, n) })
	}
	if n := len(advanced.orderID); n > 0 {
		batch.Queue(ordersAdvance, append(advanced.args(), advanced.from)...).Query(func(rows pgx.Rows) error { return addTransitions(effects, rows, n) })
	}
	if len(deleted) > 0 {
		batch.Queue(ordersDelete, deleted)
	}
}

// addTransitions adds the orders that changed their state to effects. Fewer rows than
// were sent mean that another transaction came first.
func addTransitions(effects *orderevent.Effects, rows pgx.Rows, sent int) error {
	saved, err := pgx.CollectRows(rows, pgx.RowToStructByName[orderevent.Transition])
	if err != nil {
		return err
	}
	if len(saved) != sent {
		return errRaced
	}
	for _, t := range saved {
		if t.From != t.To {
			effects.Transitions = append(effects.Transitions, t)
		}
	}
	return nil
}

// columns holds changes column by column, as unnest takes them.
type columns struct {
	orderID         []courier.OrderID
	state, from     []courier.State
	createdAt       []*time.Time
	hinted          []*string
	missing         []bool
	recheckReason   []*orderevent.Reason
	recheckCount    []int32
	recheckFailures []int32
	recheckError    []*string
	recheckIn       []*float64 // seconds; NULL keeps the pending recheck
	reason, source  []string
}

func (c *columns) add(change orderevent.Change) {
	next := change.Next
	var hinted string
	if next.Hinted >= courier.ClassCompleted {
		hinted = next.Hinted.String()
	}
	c.orderID = append(c.orderID, next.OrderID)
	c.state = append(c.state, next.State)
	c.from = append(c.from, change.From)
	c.createdAt = append(c.createdAt, orNull(next.CreatedAt))
	c.hinted = append(c.hinted, orNull(hinted))
	c.missing = append(c.missing, next.Missing)
	c.recheckReason = append(c.recheckReason, orNull(next.Recheck.Reason))
	c.recheckCount = append(c.recheckCount, int32(next.Recheck.Count))          // at most maxRechecks
	c.recheckFailures = append(c.recheckFailures, int32(next.Recheck.Failures)) // one per recheck
	c.recheckError = append(c.recheckError, orNull(text(next.Recheck.Error)))
	c.recheckIn = append(c.recheckIn, orNull(next.Recheck.In.Seconds()))
	c.reason = append(c.reason, text(change.Reason))
	c.source = append(c.source, text(change.Source))
}

func (c *columns) args() []any {
	return []any{
		c.orderID, c.state, c.createdAt, c.hinted, c.missing,
		c.recheckReason, c.recheckCount, c.recheckFailures, c.recheckError, c.recheckIn, c.reason, c.source,
	}
}
