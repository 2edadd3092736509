package postgres

import (
	"context"

	"github.com/jackc/pgx/v5"
)

// MatchLock is the advisory lock of the replica that matches.
const MatchLock = matchLock

// PatientLine returns line, waiting for its turn as long as a test may take.
func PatientLine(line *Line) *Line { return &Line{pool: line.pool, turnWithin: "1min"} }

// MatchIn matches at most limit orders in a transaction that the caller ends.
func MatchIn(ctx context.Context, tx pgx.Tx, limit int) error {
	transports, times := deliveryTimes()
	_, err := tx.Exec(ctx, match, limit, transports, times)
	return err
}
