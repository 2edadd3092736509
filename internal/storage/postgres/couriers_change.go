package postgres

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"service-courier/internal/courier"
	"service-courier/internal/usecase/couriers"
)

// Change implements couriers.Store.
func (s *Couriers) Change(ctx context.Context, id int64, decide couriers.Decide) (courier.Courier, error) {
	var next courier.Courier
	err := s.locked(ctx, id, func(tx pgx.Tx, c courier.Courier) (err error) {
		if next, err = decide(c); err != nil || next == c {
			return err
		}
		// Whoever becomes available stands behind those who are. A phone that somebody
		// else has is seen before the constraint tells it to PostgreSQL's log.
		done, err := tx.Exec(ctx, `UPDATE couriers
			SET name = $2, phone = $3, status = $4, transport_type = $5, pause_after_delivery = $6,
			    free_since = CASE WHEN status <> 'available' AND $4 = 'available' THEN now() ELSE free_since END,
			    updated_at = now()
			WHERE id = $1
			  AND NOT EXISTS (SELECT FROM couriers WHERE phone = $3 AND deleted_at IS NULL AND id <> $1)`,
			id, next.Name, next.Phone, next.Status, next.Transport, next.PauseAfter)
		if err == nil && done.RowsAffected() == 0 {
			return courier.ErrPhoneTaken
		}
		return err
	})
	return next, err
}

// Delete implements couriers.Store.
func (s *Couriers) Delete(ctx context.Context, id int64, allow func(courier.Courier) error) error {
	return s.locked(ctx, id, func(tx pgx.Tx, c courier.Courier) error {
		if err := allow(c); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `UPDATE couriers
			SET status = 'paused', deleted_at = now(), updated_at = now() WHERE id = $1`, id)
		return err
	})
}

// locked runs do on a courier whom nobody else changes meanwhile: match passes
// him over, and a batch that frees him waits.
func (s *Couriers) locked(ctx context.Context, id int64, do func(pgx.Tx, courier.Courier) error) error {
	err := inTx(ctx, s.pool, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, selectCouriers+` AND id = $1 FOR UPDATE`, id)
		if err != nil {
			return err
		}
		c, err := pgx.CollectExactlyOneRow(rows, scanCourier)
		if errors.Is(err, pgx.ErrNoRows) {
			return courier.ErrNotFound
		}
		if err != nil {
			return err
		}
		return do(tx, c)
	})
	switch {
	case violates(err, phoneKey):
		return courier.ErrPhoneTaken
	case err != nil:
		return fmt.Errorf("change courier: %w", orUnavailable(err))
	}
	return nil
}
