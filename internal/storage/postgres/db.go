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

// Statements of a transaction. A batch sends them together with others, which saves two
// round trips.
const (
	begin  = "begin isolation level read committed"
	commit = "commit"
)

// inTx runs fn, which begins a transaction with the statement begin, and commits the
// transaction, unless fn has committed it already; as converts the connection for fn. After a
// temporary failure it starts again. After any other error of COMMIT the outcome is unknown,
// and the caller repeats everything.
func inTx[T any](ctx context.Context, pool *pgxpool.Pool, as func(*pgxpool.Conn) T, fn func(T) error) error {
	var conn *pgxpool.Conn
	release := func() {
		if conn != nil && isOpen(conn) {
			_, _ = conn.Exec(ctx, "rollback")
		}
		if conn != nil {
			conn.Release() // which closes a connection whose transaction is still open
		}
		conn = nil
	}
	defer release()   // after a panic of fn
	var refused error // of the last try
	for try := 1; ; try++ {
		var err error
		if conn, err = pool.Acquire(ctx); err != nil {
			err = fmt.Errorf("begin: %w", err)
		} else if err = fn(as(conn)); err == nil && isOpen(conn) {
			err = commitTx(ctx, conn)
		}
		release()
		if refused != nil && errors.Is(err, context.DeadlineExceeded) {
			return explain(refused) // why there was no time left
		}
		if err == nil || try == maxTries || !retryable(err) {
			return explain(orRefused(err))
		}
		refused = err
		wait := time.Duration(rand.Int64N(int64(try * int(5*time.Millisecond))))
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return explain(err)
		}
	}
}

func commitTx(ctx context.Context, conn *pgxpool.Conn) error {
	tag, err := conn.Exec(ctx, commit)
	if err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	return committed(tag)
}

// isOpen reports whether a transaction is open.
func isOpen(conn *pgxpool.Conn) bool { return conn.Conn().PgConn().TxStatus() != 'I' }

// committed returns an error if COMMIT ended a failed transaction, which rolls it back.
func committed(tag pgconn.CommandTag) error {
	if tag.String() != "COMMIT" {
		return fmt.Errorf("commit: %w", pgx.ErrTxCommitRollback)
	}
	return nil
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
