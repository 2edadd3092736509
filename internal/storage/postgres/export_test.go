package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"service-courier/internal/usecase/couriers"
)

// MatchLock is the advisory lock of the replica that matches.
const MatchLock = matchLock

// OrderWaits asks whether an order waits.
const OrderWaits = orderWaits

// WithPatience returns the matching with a lock timeout that no test reaches.
func WithPatience(m *Matching) *Matching { return &Matching{pool: m.pool, lockTimeout: "1min"} }

// MatchIn matches at most limit orders in a transaction that the caller ends.
func MatchIn(ctx context.Context, tx pgx.Tx, limit int) error {
	transports, times := deliveryTimes()
	_, err := tx.Exec(ctx, match, limit, transports, times)
	return err
}

// CheckInvariantsInPieces checks the invariants in pieces of a block of courier_orders and
// a delivery, each of which may take timeout.
func CheckInvariantsInPieces(ctx context.Context, pool *pgxpool.Pool, timeout time.Duration) ([]Violation, error) {
	return invariantCheck{pool: pool, blocks: 1, deliveries: 1, timeout: timeout}.run(ctx)
}

// HistoryOfCourier is Couriers.History, which reads at most limit ids of the journal.
func HistoryOfCourier(ctx context.Context, s *Couriers, id int64, from, to time.Time, limit int64) (couriers.History, error) {
	return s.history(ctx, id, from, to, limit)
}
