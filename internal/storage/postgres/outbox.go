package postgres

import (
	"context"
	_ "embed" // for the statements
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"service-courier/internal/usecase/livefeed"
	"service-courier/internal/usecase/outbox"
)

var (
	//go:embed sql/outbox_after.sql
	outboxAfter string
	//go:embed sql/outbox_lag.sql
	outboxLag string
	//go:embed sql/outbox_since.sql
	outboxSince string
)

// Outbox stores the position of the outbox.
type Outbox struct{ pool *pgxpool.Pool }

var (
	_ outbox.Positions = (*Outbox)(nil)
	_ outbox.History   = (*Outbox)(nil)
)

// NewOutbox returns the position in pool's database.
func NewOutbox(pool *pgxpool.Pool) *Outbox { return &Outbox{pool} }

// Transitions is the journal with only what an event of the outbox has of each change.
type Transitions struct{ *Journal }

var _ livefeed.Journal = Transitions{}

// NewTransitions returns the journal in pool's database.
func NewTransitions(pool *pgxpool.Pool) Transitions { return Transitions{NewJournal(pool)} }

// After implements livefeed.Journal.
func (t Transitions) After(ctx context.Context, id int64, limit int) ([]livefeed.Change, error) {
	return query(ctx, t.pool, pgx.RowToStructByNameLax[livefeed.Change], "read the journal", outboxAfter, id, limit)
}

// Position implements outbox.Positions.
func (o *Outbox) Position(ctx context.Context) (id int64, ok bool, err error) {
	err = o.pool.QueryRow(ctx, "SELECT published_id FROM outbox").Scan(&id)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return 0, false, nil
	case err != nil:
		return 0, false, fmt.Errorf("read the position of the outbox: %w", explain(err))
	}
	return id, true, nil
}

// Lag returns what is not published yet, of the next million rows of the journal.
func (o *Outbox) Lag(ctx context.Context) (outbox.Lag, error) {
	return queryRow(ctx, o.pool, pgx.RowToStructByName[outbox.Lag], "read the lag of the outbox", outboxLag)
}

// Since implements outbox.History. It may read the journal for longer than any statement
// of the service.
func (o *Outbox) Since(ctx context.Context, t time.Time, end int64) (id int64, err error) {
	err = pgx.BeginTxFunc(ctx, o.pool, pgx.TxOptions{AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "SET LOCAL statement_timeout = 0"); err != nil {
			return err
		}
		return tx.QueryRow(ctx, outboxSince, t, end).Scan(&id)
	})
	if err != nil {
		return 0, fmt.Errorf("find the transitions since %s: %w", t.Format(time.RFC3339), explain(err))
	}
	return id, nil
}

// Begin implements outbox.Positions.
func (o *Outbox) Begin(ctx context.Context, at livefeed.Cursor) error {
	const begin = "INSERT INTO outbox (published_id, epoch) VALUES ($1, $2) ON CONFLICT DO NOTHING"
	if _, err := o.pool.Exec(ctx, begin, at.ID, int64(at.Epoch)); err != nil {
		return fmt.Errorf("store the first position of the outbox: %w", explain(err))
	}
	return nil
}

// Advance implements outbox.Positions.
func (o *Outbox) Advance(ctx context.Context, from, to int64) error {
	done, err := o.pool.Exec(ctx, "UPDATE outbox SET published_id = $2 WHERE published_id = $1", from, to)
	switch {
	case err != nil:
		return fmt.Errorf("store the position of the outbox: %w", explain(err))
	case done.RowsAffected() == 0:
		return outbox.ErrMoved
	}
	return nil
}
