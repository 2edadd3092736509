package postgres

import (
	"context"
	_ "embed" // for the statements
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"service-courier/internal/courier"
)

//go:embed sql/journal_after.sql
var journalAfter string

// Journal reads what was done, in an order that every reader agrees on.
type Journal struct{ pool *pgxpool.Pool }

// NewJournal returns the journal in pool's database.
func NewJournal(pool *pgxpool.Pool) *Journal { return &Journal{pool} }

// Cursor is a place in the journal. Neither part alone is commit order.
type Cursor struct {
	XID string // transaction id, decimal
	ID  int64
}

// Entry is one applied transition, with who and what it concerns as they are now.
type Entry struct {
	Cursor
	At          time.Time
	OrderID     courier.OrderID
	What        courier.State // the state that the order reached
	Source      string        // partition@offset, or the worker or person that caused it
	Reason      string
	CourierID   int64 // 0 when none is concerned
	CourierName string
	Transport   courier.Transport
	Now         courier.State // the state the order has by now
}

// End returns the cursor after everything that is committed by now and older
// than every transaction still running.
func (j *Journal) End(ctx context.Context) (Cursor, error) {
	var c Cursor
	if err := j.pool.QueryRow(ctx, "SELECT pg_snapshot_xmin(pg_current_snapshot())::text").Scan(&c.XID); err != nil {
		return c, fmt.Errorf("end of the journal: %w", err)
	}
	return c, nil
}

// After returns at most limit entries after the cursor. A reader that goes on
// from the last entry's cursor sees every entry once.
func (j *Journal) After(ctx context.Context, c Cursor, limit int) ([]Entry, error) {
	rows, err := j.pool.Query(ctx, journalAfter, c.XID, c.ID, limit)
	if err != nil {
		return nil, fmt.Errorf("read the journal: %w", err)
	}
	entries, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (Entry, error) {
		var e Entry
		return e, row.Scan(&e.XID, &e.ID, &e.At, &e.OrderID, &e.What, &e.Source, &e.Reason,
			&e.CourierID, &e.CourierName, &e.Transport, &e.Now)
	})
	if err != nil {
		return nil, fmt.Errorf("read the journal: %w", err)
	}
	return entries, nil
}
