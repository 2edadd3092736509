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

// CheckInvariants reads the whole database and returns every broken promise;
// none is what a sound database gives at any moment. The cost grows with the
// tables: it is for tests and for an operator, not for the path of an event.
func CheckInvariants(ctx context.Context, pool *pgxpool.Pool) ([]Violation, error) {
	rows, err := pool.Query(ctx, invariants)
	if err != nil {
		return nil, fmt.Errorf("check the invariants: %w", err)
	}
	violations, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Violation])
	if err != nil {
		return nil, fmt.Errorf("check the invariants: %w", err)
	}
	return violations, nil
}
