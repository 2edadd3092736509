package postgres

import (
	"context"
	_ "embed" // for the statement
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"service-courier/internal/courier"
	"service-courier/internal/usecase/couriers"
	"service-courier/internal/usecase/livefeed"
)

//go:embed sql/journal_between.sql
var journalBetween string

// Couriers stores couriers. Only Orders and Matching change the order of a courier.
type Couriers struct{ pool *pgxpool.Pool }

var _ couriers.Store = (*Couriers)(nil)

// NewCouriers returns the couriers in pool's database.
func NewCouriers(pool *pgxpool.Pool) *Couriers { return &Couriers{pool} }

// courierColumns are named after the fields of courier.Courier.
const courierColumns = `SELECT id, name, phone, status, transport_type AS transport, pause_after_delivery AS pause_after,
	coalesce(order_id, '') AS order_id, deliveries
	FROM couriers`

// selectCouriers reads couriers that are not deleted.
const selectCouriers = courierColumns + ` WHERE deleted_at IS NULL`

// Insert implements couriers.Store. ON CONFLICT keeps a registered phone out of
// PostgreSQL's log, where the violation of a constraint would write it.
func (s *Couriers) Insert(ctx context.Context, c courier.Courier) (int64, error) {
	id, err := queryRow(ctx, s.pool, pgx.RowTo[int64], "insert courier", `
		WITH registered AS (
			INSERT INTO couriers (name, phone, status, transport_type) VALUES ($1, $2, $3, $4)
			ON CONFLICT (phone) WHERE deleted_at IS NULL DO NOTHING RETURNING id
		)
		INSERT INTO journal (courier_id, courier_change, source) SELECT id, 'registered', $5 FROM registered RETURNING courier_id`,
		c.Name, c.Phone, c.Status, c.Transport, courier.Dispatcher(ctx))
	if errors.Is(err, pgx.ErrNoRows) {
		return 0, courier.ErrPhoneRegistered
	}
	return id, err
}

// Get implements couriers.Store.
func (s *Couriers) Get(ctx context.Context, id int64) (courier.Courier, error) {
	return getCourier(ctx, s.pool, ` AND id = $1`, id)
}

// ByPhone implements couriers.Store.
func (s *Couriers) ByPhone(ctx context.Context, phone string) (courier.Courier, error) {
	return getCourier(ctx, s.pool, ` AND phone = $1`, phone)
}

func getCourier(ctx context.Context, q querier, condition string, arg any) (courier.Courier, error) {
	c, err := queryRow(ctx, q, pgx.RowToStructByName[courier.Courier], "read courier", selectCouriers+condition, arg)
	if errors.Is(err, pgx.ErrNoRows) {
		return c, courier.ErrNotFound
	}
	return c, err
}

// Page implements couriers.Store. coalesce() instead of IS NULL, so that no partial index
// matches: while the table is not analyzed, the planner would read all of one, and sort it,
// for each page.
func (s *Couriers) Page(ctx context.Context, f couriers.Filter, after int64, limit int) ([]courier.Courier, error) {
	return query(ctx, s.pool, pgx.RowToStructByName[courier.Courier], "read couriers", courierColumns+`
		WHERE coalesce(deleted_at, 'infinity') = 'infinity' AND id > $1 AND ($2 = '' OR status::text = $2) AND ($3 = '' OR transport_type::text = $3) ORDER BY id LIMIT $4`,
		after, f.Status, f.Transport, limit)
}

// Change implements couriers.Store.
func (s *Couriers) Change(ctx context.Context, id int64, decide couriers.Decide) (courier.Courier, error) {
	var next courier.Courier
	err := s.locked(ctx, id, func(tx *pgxpool.Conn, c courier.Courier) (err error) {
		if next, err = decide(c); err != nil || next == c {
			return err
		}
		// A courier that becomes available is the last of the available ones. NOT EXISTS
		// keeps a registered phone out of PostgreSQL's log, as in Insert.
		done, err := tx.Exec(ctx, `UPDATE couriers
			SET name = $2, phone = $3, status = $4::courier_status, transport_type = $5, pause_after_delivery = $6,
			    free_since = CASE WHEN status <> 'available' AND $4::courier_status = 'available' THEN now() ELSE free_since END,
			    updated_at = now()
			WHERE id = $1
			  AND NOT EXISTS (SELECT FROM couriers WHERE phone = $3 AND deleted_at IS NULL AND id <> $1)`,
			id, next.Name, next.Phone, next.Status, next.Transport, next.PauseAfter)
		if err == nil && done.RowsAffected() == 0 {
			return courier.ErrPhoneRegistered
		}
		if err != nil {
			return err
		}
		return journalCourier(ctx, tx, id, livefeed.CourierChangeOf(c, next))
	})
	return next, err
}

// journalCourier adds a change of a courier to the journal. The row of the courier is
// locked, so that the ids of their changes and assignments rise in commit order.
func journalCourier(ctx context.Context, tx *pgxpool.Conn, id int64, change livefeed.CourierChange) error {
	_, err := tx.Exec(ctx, `INSERT INTO journal (courier_id, courier_change, source) VALUES ($1, $2, $3)`, id, string(change), courier.Dispatcher(ctx))
	return err
}

// Delete implements couriers.Store.
func (s *Couriers) Delete(ctx context.Context, id int64, allow func(courier.Courier) error) error {
	return s.locked(ctx, id, func(tx *pgxpool.Conn, c courier.Courier) error {
		if err := allow(c); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `UPDATE couriers
			SET status = 'paused', deleted_at = now(), updated_at = now() WHERE id = $1`, id)
		if err != nil {
			return err
		}
		return journalCourier(ctx, tx, id, livefeed.CourierDeleted)
	})
}

// maxDayIDs limits what History reads of the journal: 200,000 rows, those of 60,000 orders.
const maxDayIDs = 200_000

// History implements couriers.Store. It reads the journal through its primary key: the rows
// of a day lie together, and an index by courier would cost every transition. The open delivery
// is read first, so that a delivery that ends meanwhile is not missing.
func (s *Couriers) History(ctx context.Context, id int64, from, to time.Time) (h couriers.History, err error) {
	return s.history(ctx, id, from, to, maxDayIDs)
}

func (s *Couriers) history(ctx context.Context, id int64, from, to time.Time, limit int64) (h couriers.History, err error) {
	h.Open, err = queryRow(ctx, s.pool, pgx.RowToStructByNameLax[couriers.Delivery], "read the open delivery", `
		SELECT order_id, assigned_at AS from, deadline FROM courier_orders
		WHERE courier_id = $1 AND completed_at IS NULL AND courier_id IS NOT NULL AND assigned_at < $2`, id, to)
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return h, err
	}
	type span struct {
		First, Last int64
		Until       *time.Time
	}
	ids, err := queryRow(ctx, s.pool, pgx.RowToStructByName[span], "find the day in the journal", journalBetween, from, to, limit)
	if err != nil {
		return h, err
	}
	if until := orZero(ids.Until); until.Before(to) {
		h.Until = until
	}
	h.Steps, err = query(ctx, s.pool, pgx.RowToStructByName[couriers.Step], "read the day in the journal", `
		SELECT at, order_id, coalesce(was::text, '') AS was, state, coalesce(deadline, '0001-01-01Z') AS deadline
		FROM journal WHERE id >= $1 AND id < $2 AND courier_id = $3 AND state IS NOT NULL AND at >= $4 AND at < $5
		ORDER BY id`, ids.First, ids.Last, id, from, to)
	return h, err
}

// locked runs do with the courier's row locked: matching skips it, and a batch that
// frees the courier waits.
func (s *Couriers) locked(ctx context.Context, id int64, do func(*pgxpool.Conn, courier.Courier) error) error {
	err := inTx(ctx, s.pool, func(tx *pgxpool.Conn) *pgxpool.Conn { return tx }, func(tx *pgxpool.Conn) error {
		if _, err := tx.Exec(ctx, begin); err != nil {
			return fmt.Errorf("begin: %w", err)
		}
		c, err := getCourier(ctx, tx, ` AND id = $1 FOR UPDATE`, id)
		if err != nil {
			return err
		}
		return do(tx, c)
	})
	const uniqueViolation = "23505"
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok && pg.Code == uniqueViolation && pg.ConstraintName == "couriers_phone_key" {
		return courier.ErrPhoneRegistered
	}
	if err != nil {
		return fmt.Errorf("change courier: %w", orUnavailable(err))
	}
	return nil
}
