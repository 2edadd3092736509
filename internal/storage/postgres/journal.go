package postgres

import (
	"context"
	_ "embed" // for the statements
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"service-courier/internal/usecase/livefeed"
)

var (
	//go:embed sql/journal_after.sql
	journalAfter string
	//go:embed sql/journal_latest.sql
	journalLatest string
)

// journalHorizon is the oldest transaction that still runs, or the next one: all
// before it have ended.
const journalHorizon = "SELECT pg_snapshot_xmin(pg_current_snapshot())"

// Journal reads what was done, in an order that every reader agrees on.
type Journal struct{ pool *pgxpool.Pool }

var _ livefeed.Source = (*Journal)(nil)

// NewJournal returns the journal in pool's database.
func NewJournal(pool *pgxpool.Pool) *Journal { return &Journal{pool} }

// End implements livefeed.Journal.
func (j *Journal) End(ctx context.Context) (c livefeed.Cursor, err error) {
	if err := j.pool.QueryRow(ctx, journalHorizon).Scan(&c.Tx); err != nil {
		return c, fmt.Errorf("end of the journal: %w", err)
	}
	return c, nil
}

// Latest implements livefeed.Journal.
func (j *Journal) Latest(ctx context.Context, end livefeed.Cursor, changes int) (c livefeed.Cursor, err error) {
	err = j.pool.QueryRow(ctx, journalLatest, end.Tx, changes).Scan(&c.Tx, &c.ID)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return end, nil
	case err != nil:
		return c, fmt.Errorf("look back in the journal: %w", err)
	}
	return c, nil
}

// After implements livefeed.Journal in one round trip. The horizon is asked for
// first: what is below it is among the rows that follow, unless the page is full.
func (j *Journal) After(ctx context.Context, from livefeed.Cursor, limit int) (page []livefeed.Change, next livefeed.Cursor, err error) {
	var batch pgx.Batch
	var horizon livefeed.Cursor
	batch.Queue(journalHorizon).QueryRow(func(row pgx.Row) error { return row.Scan(&horizon.Tx) })
	batch.Queue(journalAfter, from.Tx, from.ID, limit).Query(func(rows pgx.Rows) (err error) {
		page, err = pgx.CollectRows(rows, scanChange)
		return err
	})
	if err := j.pool.SendBatch(ctx, &batch).Close(); err != nil {
		return nil, from, fmt.Errorf("read the journal: %w", err)
	}
	next = from
	if len(page) > 0 {
		next = page[len(page)-1].Cursor
	}
	if len(page) < limit && horizon.Compare(next) > 0 {
		next = horizon
	}
	return page, next, nil
}

func scanChange(row pgx.CollectableRow) (c livefeed.Change, err error) {
	return c, row.Scan(&c.Tx, &c.ID, &c.At, &c.OrderID, &c.What, &c.Source, &c.Reason,
		&c.CourierID, &c.CourierName, &c.Transport, &c.Deadline, &c.Now)
}
