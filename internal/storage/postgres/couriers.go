package postgres

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"service-courier/internal/courier"
	"service-courier/internal/usecase/couriers"
)

// Couriers keeps who the couriers are. What they carry is changed by Orders
// and Line alone.
type Couriers struct{ pool *pgxpool.Pool }

var _ couriers.Store = (*Couriers)(nil)

// NewCouriers returns the couriers in pool's database.
func NewCouriers(pool *pgxpool.Pool) *Couriers { return &Couriers{pool} }

// phoneKey is the constraint that no two couriers have one phone.
const phoneKey = "couriers_phone_key"

// selectCouriers begins every question for couriers, in the order that
// scanCourier reads: those who were deleted are not found.
const selectCouriers = `SELECT id, name, phone, status, transport_type, pause_after_delivery, coalesce(order_id, ''), deliveries
	FROM couriers WHERE deleted_at IS NULL`

// Insert implements couriers.Store.
func (s *Couriers) Insert(ctx context.Context, c courier.Courier) (id int64, err error) {
	// A violated constraint would tell the phone to PostgreSQL's log.
	err = s.pool.QueryRow(ctx, `INSERT INTO couriers (name, phone, status, transport_type) VALUES ($1, $2, $3, $4)
		ON CONFLICT (phone) WHERE deleted_at IS NULL DO NOTHING RETURNING id`,
		c.Name, c.Phone, c.Status, c.Transport,
	).Scan(&id)
	if errors.Is(err, pgx.ErrNoRows) {
		return 0, courier.ErrPhoneTaken
	}
	if err != nil {
		return 0, fmt.Errorf("insert courier: %w", orUnavailable(err))
	}
	return id, nil
}

// Get implements couriers.Store.
func (s *Couriers) Get(ctx context.Context, id int64) (courier.Courier, error) {
	return s.one(ctx, ` AND id = $1`, id)
}

// ByPhone implements couriers.Store.
func (s *Couriers) ByPhone(ctx context.Context, phone string) (courier.Courier, error) {
	return s.one(ctx, ` AND phone = $1`, phone)
}

func (s *Couriers) one(ctx context.Context, condition string, arg any) (courier.Courier, error) {
	all, err := s.several(ctx, condition, arg)
	if err == nil && len(all) == 0 {
		return courier.Courier{}, courier.ErrNotFound
	}
	if err != nil {
		return courier.Courier{}, err
	}
	return all[0], nil
}

// List implements couriers.Store.
func (s *Couriers) List(ctx context.Context) ([]courier.Courier, error) {
	return s.several(ctx, ` ORDER BY id`)
}

// Page implements couriers.Store.
func (s *Couriers) Page(ctx context.Context, f couriers.Filter, after int64, limit int) ([]courier.Courier, error) {
	return s.several(ctx, ` AND id > $1 AND ($2 = '' OR status = $2) AND ($3 = '' OR transport_type = $3) ORDER BY id LIMIT $4`,
		after, f.Status, f.Transport, limit)
}

func (s *Couriers) several(ctx context.Context, condition string, args ...any) ([]courier.Courier, error) {
	rows, err := s.pool.Query(ctx, selectCouriers+condition, args...)
	if err != nil {
		return nil, fmt.Errorf("read couriers: %w", orUnavailable(err))
	}
	all, err := pgx.CollectRows(rows, scanCourier)
	if err != nil {
		return nil, fmt.Errorf("read couriers: %w", orUnavailable(err))
	}
	return all, nil
}

func scanCourier(row pgx.CollectableRow) (c courier.Courier, err error) {
	return c, row.Scan(&c.ID, &c.Name, &c.Phone, &c.Status, &c.Transport, &c.PauseAfter, &c.OrderID, &c.Deliveries)
}

// violates reports that err is the violation of the unique constraint named.
func violates(err error, constraint string) bool {
	const uniqueViolation = "23505"
	var pg *pgconn.PgError
	return errors.As(err, &pg) && pg.Code == uniqueViolation && pg.ConstraintName == constraint
}
