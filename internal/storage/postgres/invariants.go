package postgres

import (
	"context"
	_ "embed" // for the statements
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

var (
	//go:embed sql/invariants_active.sql
	invariantsActive string
	//go:embed sql/invariants_deliveries.sql
	invariantsDeliveries string
	//go:embed sql/invariants_statistics.sql
	invariantsStatistics string
)

// Violation is a row that violates an invariant.
type Violation struct {
	Invariant string
	Subject   string // the order, courier or day
}

// invariantSettings suit statements that read many rows; those of Open are for a few.
const invariantSettings = `SET LOCAL enable_seqscan = on; SET LOCAL enable_bitmapscan = on; SET LOCAL statement_timeout = `

// invariantCheck reads the whole database, in pieces that take seconds each: a snapshot
// that is held for minutes keeps VACUUM from removing dead rows.
type invariantCheck struct {
	pool       *pgxpool.Pool
	blocks     int64         // of courier_orders in one piece
	deliveries int64         // of the statistics in one piece, on average
	timeout    time.Duration // of one piece; for so long it may hold back VACUUM
}

// ErrStatementCancelled means that the database is too large or too busy for a check. It
// says nothing about the data.
var ErrStatementCancelled = errors.New("a statement was cancelled")

// CheckInvariants reads the whole database and returns the violations, of which there is
// none at any moment. The cost grows with the tables: it is for tests, operators and the
// periodic invariant check.
func CheckInvariants(ctx context.Context, pool *pgxpool.Pool) ([]Violation, error) {
	return invariantCheck{pool: pool, blocks: 1 << 14, deliveries: 2_000_000, timeout: time.Minute}.run(ctx)
}

func (c invariantCheck) run(ctx context.Context) (all []Violation, err error) {
	var blocks, pieces int64
	if err = c.pool.QueryRow(ctx, `
		SELECT pg_relation_size(oid) / current_setting('block_size')::int, 1 + greatest(reltuples, 0)::bigint / $1::bigint
		FROM pg_class WHERE oid = 'courier_orders'::regclass`, c.deliveries).Scan(&blocks, &pieces); err != nil {
		return nil, fmt.Errorf("check the invariants: size of courier_orders: %w", explain(err))
	}
	check := func(sql string, args ...any) {
		if err == nil {
			var violations []Violation
			violations, err = c.read(ctx, sql, args...)
			all = append(all, violations...)
		}
	}
	check(invariantsActive)
	for piece := range pieces {
		check(invariantsStatistics, pieces, piece)
	}
	for from := int64(0); from < blocks; from += c.blocks {
		check(invariantsDeliveries, fmt.Sprintf("(%d,0)", from), fmt.Sprintf("(%d,0)", from+c.blocks))
	}
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok && pg.Code == queryCanceled && ctx.Err() == nil {
		return nil, fmt.Errorf("%w: %w", ErrStatementCancelled, err)
	}
	if err != nil {
		return nil, fmt.Errorf("check the invariants: %w", explain(err))
	}
	return all, nil
}

func (c invariantCheck) read(ctx context.Context, sql string, args ...any) (violations []Violation, err error) {
	err = pgx.BeginTxFunc(ctx, c.pool, pgx.TxOptions{AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, invariantSettings+strconv.FormatInt(c.timeout.Milliseconds(), 10)); err != nil {
			return err
		}
		rows, err := tx.Query(ctx, sql, args...)
		if err != nil {
			return err
		}
		violations, err = pgx.CollectRows(rows, pgx.RowToStructByName[Violation])
		return err
	})
	return violations, err
}

// Violations returns the result of CheckInvariants, one line per violation.
func (h *Health) Violations(ctx context.Context) ([]string, error) {
	violations, err := CheckInvariants(ctx, h.pool)
	lines := make([]string, len(violations))
	for i, v := range violations {
		lines[i] = v.Invariant + ": " + v.Subject
	}
	return lines, err
}
