// Package postgres keeps couriers, orders and deliveries in PostgreSQL. A file
// a noun, its larger statements in sql/; the schema is in migrations/. It decides
// nothing: the use cases do, and the database's own constraints hold the
// invariants against both.
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

// Open returns a pool for url with at most maxConns connections. It connects
// when first used, so that the service starts without its database. Statements
// give up waiting for a lock after two seconds: the transaction is then retried.
func Open(ctx context.Context, url string, maxConns int) (*pgxpool.Pool, error) {
	cfg, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, fmt.Errorf("database URL: %w", err) // pgx leaves the password out
	}
	cfg.MaxConns = int32(maxConns) //nolint:gosec // validated by the configuration
	cfg.ConnConfig.ConnectTimeout = 3 * time.Second
	defaults := map[string]string{
		"application_name":                    "service-courier",
		"timezone":                            "UTC",
		"lock_timeout":                        "2s",
		"statement_timeout":                   "15s",
		"idle_in_transaction_session_timeout": "15s",
		// Every statement has an index for what it asks. A plan that is made once and
		// may read no table from end to end serves a batch of any size and a table that
		// has grown since; PostgreSQL's own choice, made while the tables were empty,
		// reads them whole until the next ANALYZE. (Where there is no index it still can.)
		"plan_cache_mode":   "force_generic_plan",
		"enable_seqscan":    "off",
		"enable_bitmapscan": "off",
		"jit":               "off",
	}
	for name, value := range defaults {
		if _, set := cfg.ConnConfig.RuntimeParams[name]; !set {
			cfg.ConnConfig.RuntimeParams[name] = value
		}
	}
	cfg.BeforeConnect = func(_ context.Context, c *pgx.ConnConfig) error { return renew(c, url) }
	pool, err := pgxpool.NewWithConfig(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("database pool: %w", err)
	}
	return pool, nil
}

// renew reads anew the files that url names, since certificates and passwords
// may be renewed while the service runs.
func renew(c *pgx.ConnConfig, url string) error {
	fresh, err := pgx.ParseConfig(url)
	if err != nil {
		return fmt.Errorf("database URL: %w", err)
	}
	c.TLSConfig, c.Fallbacks, c.Password = fresh.TLSConfig, fresh.Fallbacks, fresh.Password
	return nil
}

// errRaced says that another transaction made the same order meanwhile.
var errRaced = errors.New("another transaction made the same order")

// maxTries bounds how often one transaction is tried.
const maxTries = 8

// inTx runs fn in a transaction and commits it, again from the start after a
// failure that only says "not now". Any other error of COMMIT means that the
// outcome is unknown; it is returned, and the caller does it all again.
func inTx(ctx context.Context, pool *pgxpool.Pool, fn func(pgx.Tx) error) error {
	for try := 1; ; try++ {
		err := tryTx(ctx, pool, fn)
		if err == nil || try == maxTries || !retryable(err) {
			return explain(err)
		}
		wait := time.Duration(rand.Int64N(int64(try * int(5*time.Millisecond)))) //nolint:gosec // jitter
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return err
		}
	}
}

func tryTx(ctx context.Context, pool *pgxpool.Pool, fn func(pgx.Tx) error) error {
	tx, err := pool.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.ReadCommitted})
	if err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	defer func() { _ = tx.Rollback(ctx) }() // a no-op after Commit
	if err := fn(tx); err != nil {
		return orRefused(err)
	}
	if err := tx.Commit(ctx); err != nil {
		return orRefused(fmt.Errorf("commit: %w", err))
	}
	return nil
}

// orRefused marks an error that the data themselves cause: the same data will
// never be taken.
func orRefused(err error) error {
	const dataException, constraintViolation = "22", "23"
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok {
		switch sqlstateClass(pg.Code) {
		case dataException, constraintViolation:
			return fmt.Errorf("%w: %w", orderevent.ErrRefused, err)
		}
	}
	return err
}

// sqlstateClass returns the class of a SQLSTATE; a proxy may send none.
func sqlstateClass(code string) string { return code[:min(2, len(code))] }

// retryable reports an error that says "not now" of the whole transaction:
// deadlock, serialization failure, lock timeout, or a lost race.
func retryable(err error) bool {
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok {
		switch pg.Code {
		case "40P01", "40001", "55P03":
			return true
		}
	}
	return errors.Is(err, errRaced)
}
