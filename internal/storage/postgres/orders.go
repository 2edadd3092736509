package postgres

import (
	"context"
	_ "embed" // for the statements
	"fmt"
	"strings"
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
	//go:embed sql/orders_forget.sql
	ordersForget string
	//go:embed sql/orders_claim_due.sql
	ordersClaimDue string
)

// Orders keeps the order records, with the deliveries, couriers and journal
// rows that follow from them.
type Orders struct{ pool *pgxpool.Pool }

var (
	_ orderevent.Store = (*Orders)(nil)
	_ orderevent.Looks = (*Orders)(nil)
)

// NewOrders returns the order records in pool's database.
func NewOrders(pool *pgxpool.Pool) *Orders { return &Orders{pool} }

// InTx implements orderevent.Store in four round trips: begin, lock, save, commit.
func (o *Orders) InTx(ctx context.Context, fn func(orderevent.Tx) error) error {
	return orUnavailable(inTx(ctx, o.pool, func(tx pgx.Tx) error { return fn(ordersTx{tx}) }))
}

// ClaimDue implements orderevent.Looks.
func (o *Orders) ClaimDue(ctx context.Context, limit int, lease time.Duration) ([]orderevent.Hint, error) {
	rows, err := o.pool.Query(ctx, ordersClaimDue, limit, lease.Seconds())
	if err != nil {
		return nil, fmt.Errorf("claim due orders: %w", err)
	}
	hints, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (orderevent.Hint, error) {
		var h orderevent.Hint
		return h, row.Scan(&h.OrderID, &h.Token)
	})
	if err != nil {
		return nil, fmt.Errorf("claim due orders: %w", err)
	}
	return hints, nil
}

type ordersTx struct{ tx pgx.Tx }

// LockOrders implements orderevent.Tx.
func (o ordersTx) LockOrders(ctx context.Context, ids []courier.OrderID) (map[courier.OrderID]orderevent.Record, error) {
	records := make(map[courier.OrderID]orderevent.Record, len(ids))
	if len(ids) == 0 {
		return records, nil
	}
	rows, err := o.tx.Query(ctx, ordersLock, ids)
	if err != nil {
		return nil, fmt.Errorf("lock orders: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		rec, err := scanRecord(rows)
		if err != nil {
			return nil, fmt.Errorf("lock orders: %w", err)
		}
		records[rec.OrderID] = rec
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("lock orders: %w", err)
	}
	return records, nil
}

func scanRecord(row pgx.Row) (orderevent.Record, error) {
	var (
		rec                       orderevent.Record
		createdAt                 *time.Time
		hinted, reason, lookError *string
		token                     *int64
	)
	err := row.Scan(&rec.OrderID, &rec.State, &createdAt, &hinted, &rec.Missing,
		&reason, &rec.Look.Count, &rec.Look.Failures, &lookError, &token)
	if err != nil {
		return rec, err
	}
	rec.CreatedAt = orZero(createdAt)
	rec.Hinted = courier.ClassOf(orZero(hinted))
	rec.Look.Reason = orderevent.Reason(orZero(reason))
	rec.Look.Error = orZero(lookError)
	rec.Look.Token = orZero(token)
	return rec, nil
}

func orZero[T any](p *T) T {
	if p == nil {
		var zero T
		return zero
	}
	return *p
}

// Save implements orderevent.Tx: up to three set-based statements and the
// letters, sent together.
func (o ordersTx) Save(
	ctx context.Context, changes []orderevent.Change, letters []orderevent.DeadLetter,
) (orderevent.Saved, error) {
	var made, moved columns
	var forgotten []courier.OrderID
	for _, c := range changes {
		switch {
		case c.From == courier.StateNone:
			made.add(c)
		case c.Next.State == courier.StateNone:
			forgotten = append(forgotten, c.Next.OrderID)
		default:
			moved.add(c)
		}
	}
	var saved orderevent.Saved
	var batch pgx.Batch
	if made.len() > 0 {
		batch.Queue(ordersInsert, made.args()...).Query(func(rows pgx.Rows) error {
			return collectTransitions(rows, made.len(), &saved, scanMade)
		})
	}
	if moved.len() > 0 {
		batch.Queue(ordersAdvance, append(moved.args(), moved.was)...).Query(func(rows pgx.Rows) error {
			return collectTransitions(rows, moved.len(), &saved, scanMoved)
		})
	}
	if len(forgotten) > 0 {
		batch.Queue(ordersForget, forgotten)
	}
	queueLetters(&batch, letters, &saved)
	if err := o.tx.SendBatch(ctx, &batch).Close(); err != nil {
		return orderevent.Saved{}, fmt.Errorf("save orders: %w", err)
	}
	return saved, nil
}

// collectTransitions adds the rows that changed their state to saved. Fewer
// rows than were sent mean that another transaction came first.
func collectTransitions(
	rows pgx.Rows, want int, saved *orderevent.Saved, scan func(pgx.Rows, *orderevent.Transition) error,
) error {
	got := 0
	for rows.Next() {
		var t orderevent.Transition
		if err := scan(rows, &t); err != nil {
			return err
		}
		got++
		if t.From != t.To {
			saved.Transitions = append(saved.Transitions, t)
		}
	}
	if err := rows.Err(); err != nil {
		return err
	}
	if got != want {
		return errRaced
	}
	return nil
}

func scanMade(rows pgx.Rows, t *orderevent.Transition) error { return rows.Scan(&t.OrderID, &t.To) }

func scanMoved(rows pgx.Rows, t *orderevent.Transition) error {
	return rows.Scan(&t.OrderID, &t.From, &t.To, &t.CourierID)
}

// columns holds changes column by column, as unnest wants them.
type columns struct {
	orderID        []courier.OrderID
	state, was     []string
	createdAt      []*time.Time
	hinted         []*string
	missing        []bool
	lookReason     []*string
	lookCount      []int32
	lookFailures   []int32
	lookError      []*string
	lookIn         []*float64 // seconds; NULL leaves the pending look as it is
	reason, source []string
}

func (c *columns) len() int { return len(c.orderID) }

func (c *columns) add(ch orderevent.Change) {
	r := ch.Next
	c.orderID = append(c.orderID, r.OrderID)
	c.state = append(c.state, string(r.State))
	c.was = append(c.was, string(ch.From))
	c.createdAt = append(c.createdAt, orNull(r.CreatedAt))
	c.hinted = append(c.hinted, hintedColumn(r.Hinted))
	c.missing = append(c.missing, r.Missing)
	c.lookReason = append(c.lookReason, orNull(string(r.Look.Reason)))
	c.lookCount = append(c.lookCount, int32(r.Look.Count))          //nolint:gosec // at most maxLooks
	c.lookFailures = append(c.lookFailures, int32(r.Look.Failures)) //nolint:gosec // one a look
	c.lookError = append(c.lookError, orNull(text(r.Look.Error)))
	c.lookIn = append(c.lookIn, orNull(r.Look.In.Seconds()))
	c.reason = append(c.reason, text(ch.Reason))
	c.source = append(c.source, text(ch.Source))
}

func (c *columns) args() []any {
	return []any{
		c.orderID, c.state, c.createdAt, c.hinted, c.missing,
		c.lookReason, c.lookCount, c.lookFailures, c.lookError, c.lookIn, c.reason, c.source,
	}
}

func orNull[T comparable](v T) *T {
	var zero T
	if v == zero {
		return nil
	}
	return &v
}

func hintedColumn(c courier.Class) *string {
	if c < courier.ClassCompleted {
		return nil
	}
	name := c.String()
	return &name
}

// text makes s fit for a text column: no NUL, no bad UTF-8.
func text(s string) string {
	return strings.ToValidUTF8(strings.ReplaceAll(s, "\x00", "\uFFFD"), "\uFFFD")
}
