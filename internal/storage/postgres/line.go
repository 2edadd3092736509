package postgres

import (
	"context"
	_ "embed" // for the statements
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"service-courier/internal/courier"
	"service-courier/internal/usecase/orderevent"
)

//go:embed sql/match.sql
var match string

// Line is where waiting orders meet free couriers.
type Line struct {
	pool       *pgxpool.Pool
	turnWithin string // as PostgreSQL writes it
}

var _ orderevent.Line = (*Line)(nil)

// NewLine returns the line in pool's database.
func NewLine(pool *pgxpool.Pool) *Line { return &Line{pool: pool, turnWithin: "1s"} }

// matchLock is the advisory lock of the replica that matches ("match" in ASCII).
const matchLock = 0x6d61746368

// takeTurn waits for who matches already, but not for one that hangs. It is a statement
// of its own, so that the one after it sees what was committed meanwhile.
const takeTurn = "SELECT set_config('lock_timeout', $1, true), pg_advisory_xact_lock($2)"

// Match implements orderevent.Line with one statement. Replicas take turns, since two
// at a time would look at each other's rows only to skip them; whose turn does not
// come goes first all the same: the turns spare work, SKIP LOCKED keeps the promises.
func (l *Line) Match(ctx context.Context, limit int) ([]orderevent.Assignment, error) {
	assignments, err := l.match(ctx, limit, true)
	if retryable(err) {
		assignments, err = l.match(ctx, limit, false)
	}
	if err != nil {
		return nil, fmt.Errorf("match: %w", err)
	}
	return assignments, nil
}

// match is one transaction, as a batch of statements is.
func (l *Line) match(ctx context.Context, limit int, inTurn bool) (assignments []orderevent.Assignment, err error) {
	var batch pgx.Batch
	if inTurn {
		batch.Queue(takeTurn, l.turnWithin, matchLock)
	}
	transports, times := deliveryTimes()
	batch.Queue(match, limit, transports, times).Query(func(rows pgx.Rows) (err error) {
		assignments, err = pgx.CollectRows(rows, scanAssignment)
		return err
	})
	err = l.pool.SendBatch(ctx, &batch).Close() // which sets assignments
	return assignments, err
}

// deliveryTimes returns how long each transport may take, as two columns.
func deliveryTimes() ([]courier.Transport, []time.Duration) {
	transports := courier.Transports()
	times := make([]time.Duration, len(transports))
	for i, t := range transports {
		times[i] = t.DeliveryTime()
	}
	return transports, times
}

func scanAssignment(row pgx.CollectableRow) (a orderevent.Assignment, err error) {
	return a, row.Scan(&a.OrderID, &a.CourierID, &a.Transport, &a.Deadline)
}
