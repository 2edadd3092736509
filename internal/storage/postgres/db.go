// Package postgres keeps couriers, orders and deliveries in PostgreSQL: one file per
// noun, larger statements in sql/, the schema in migrations/. It decides nothing: the
// use cases decide, and the constraints of the database hold the invariants.
package postgres

import (
	"context"
	_ "embed" // for the statements
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"service-courier/internal/usecase/orderevent"
)

// errRaced means that another transaction inserted or changed the same order first.
var errRaced = errors.New("another transaction saved the same order")

// maxTries bounds how often one transaction is tried.
const maxTries = 8

// inTx runs fn in a transaction and commits it; as converts the transaction for fn. After a
// temporary failure it starts again. After any other error of COMMIT the outcome is
// unknown, and the caller repeats everything.
func inTx[T any](ctx context.Context, pool *pgxpool.Pool, as func(pgx.Tx) T, fn func(T) error) error {
	var tx pgx.Tx
	defer func() {
		if tx != nil {
			_ = tx.Rollback(ctx) // after a panic of fn; else it is closed already
		}
	}()
	for try := 1; ; try++ {
		var err error
		if tx, err = pool.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.ReadCommitted}); err != nil {
			err = fmt.Errorf("begin: %w", err)
		} else if err = fn(as(tx)); err != nil {
			_ = tx.Rollback(ctx)
		} else if err = tx.Commit(ctx); err != nil {
			err = fmt.Errorf("commit: %w", err)
		}
		if err == nil || try == maxTries || !retryable(err) {
			return explain(orRefused(err))
		}
		wait := time.Duration(rand.Int64N(int64(try * int(5*time.Millisecond))))
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return err
		}
	}
}

// orRefused marks an error that the data cause: the same data would fail again.
func orRefused(err error) error {
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok && !sequenceBehind(pg) {
		switch sqlstateClass(pg.Code) {
		case "22", "23": // data exception, integrity constraint violation
			return fmt.Errorf("%w: %w", orderevent.ErrRefused, err)
		}
	}
	return err
}

// sqlstateClass returns the class of a SQLSTATE; a proxy may send none.
func sqlstateClass(code string) string { return code[:min(2, len(code))] }

// retryable reports a temporary error, after which the whole transaction is run
// again: deadlock, serialization failure, lock timeout, or a lost race.
func retryable(err error) bool {
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok {
		switch pg.Code {
		case "40P01", "40001", "55P03":
			return true
		}
	}
	return errors.Is(err, errRaced)
}
