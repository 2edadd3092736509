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

// Insert implements couriers.Store.
func (s *Couriers) Insert(ctx context.Context, c courier.Courier) (id int64, err error) {
	err = s.pool.QueryRow(ctx,
		`INSERT INTO couriers (name, phone, status, transport_type) VALUES ($1, $2, $3, $4) RETURNING id`,
		c.Name, c.Phone, c.Status, c.Transport,
	).Scan(&id)
	if violates(err, "couriers_phone_key") {
		return 0, courier.ErrPhoneTaken
	}
	if err != nil {
		return 0, fmt.Errorf("insert courier: %w", orUnavailable(err))
	}
	return id, nil
}

// Get implements couriers.Store.
func (s *Couriers) Get(ctx context.Context, id int64) (courier.Courier, error) {
	rows, err := s.pool.Query(ctx,
		`SELECT id, name, phone, status, transport_type FROM couriers WHERE id = $1`, id)
	if err != nil {
		return courier.Courier{}, fmt.Errorf("get courier: %w", orUnavailable(err))
	}
	c, err := pgx.CollectExactlyOneRow(rows, scanCourier)
	if errors.Is(err, pgx.ErrNoRows) {
		return courier.Courier{}, courier.ErrNotFound
	}
	if err != nil {
		return courier.Courier{}, fmt.Errorf("get courier: %w", orUnavailable(err))
	}
	return c, nil
}

// List implements couriers.Store.
func (s *Couriers) List(ctx context.Context) ([]courier.Courier, error) {
	rows, err := s.pool.Query(ctx,
		`SELECT id, name, phone, status, transport_type FROM couriers ORDER BY id`)
	if err != nil {
		return nil, fmt.Errorf("list couriers: %w", orUnavailable(err))
	}
	all, err := pgx.CollectRows(rows, scanCourier)
	if err != nil {
		return nil, fmt.Errorf("list couriers: %w", orUnavailable(err))
	}
	return all, nil
}

func scanCourier(row pgx.CollectableRow) (c courier.Courier, err error) {
	return c, row.Scan(&c.ID, &c.Name, &c.Phone, &c.Status, &c.Transport)
}

// violates reports that err is the violation of the unique constraint named.
func violates(err error, constraint string) bool {
	const uniqueViolation = "23505"
	var pg *pgconn.PgError
	return errors.As(err, &pg) && pg.Code == uniqueViolation && pg.ConstraintName == constraint
}
