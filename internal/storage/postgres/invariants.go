package postgres

import (
	"context"
	_ "embed" // for the statement
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

//go:embed sql/invariants.sql
var invariants string

// Violation is a promise of this service that its database does not keep.
type Violation struct {
	Promise string // which
	Who     string // the order or the courier that breaks it
}

// wholeTables undoes what Open sets for statements that touch few rows: this one
// reads everything. Recounting ten million deliveries alone took 44 s, hence the five
// minutes. It holds one connection meanwhile, and old rows from VACUUM, but no lock
// that anybody waits for.
const wholeTables = `SET LOCAL enable_seqscan = on; SET LOCAL enable_bitmapscan = on; SET LOCAL statement_timeout = '5min'`

// CheckInvariants reads the whole database and returns every broken promise;
// none is what a sound database gives at any moment. The cost grows with the
// tables: it is for tests, an operator and a rare audit, not for the path of an
// event.
func CheckInvariants(ctx context.Context, pool *pgxpool.Pool) (violations []Violation, err error) {
	err = pgx.BeginTxFunc(ctx, pool, pgx.TxOptions{AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, wholeTables); err != nil {
			return err
		}
		rows, err := tx.Query(ctx, invariants)
		if err != nil {
			return err
		}
		violations, err = pgx.CollectRows(rows, pgx.RowToStructByPos[Violation])
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("check the invariants: %w", err)
	}
	return violations, nil
}

// Broken returns the broken promises, each with who breaks it.
func (h *Health) Broken(ctx context.Context) ([]string, error) {
	violations, err := CheckInvariants(ctx, h.pool)
	broken := make([]string, len(violations))
	for i, v := range violations {
		broken[i] = v.Promise + ": " + v.Who
	}
	return broken, err
}
