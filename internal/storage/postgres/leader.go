package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Lock is the key of an advisory lock: a name in ASCII.
type Lock int64

// The locks of the tasks that run on one replica at a time.
const (
	ResyncLock         Lock = 0x726573796e63 // "resync"
	RetentionLock      Lock = 0x72657461696e // "retain"
	OutboxLock         Lock = 0x6f7574626f78 // "outbox"
	InvariantCheckLock Lock = 0x696e76617269 // "invari"
)

// unlockTimeout bounds the release of the lock after the caller's context has ended.
const unlockTimeout = 2 * time.Second

// Leader runs a function on one replica at a time, under an advisory lock. The lock
// belongs to a transaction, so that a crash releases it, and so that it holds behind a
// connection pooler that gives each transaction another session.
type Leader struct {
	pool *pgxpool.Pool
	lock Lock
}

// NewLeader returns a Leader with the lock in pool's database.
func NewLeader(pool *pgxpool.Pool, lock Lock) *Leader { return &Leader{pool, lock} }

// Lead runs do while it holds the lock. It returns false if another replica holds it. The
// transaction of the lock reads and writes nothing, and has no snapshot while do runs:
// it does not hold back VACUUM.
func (l *Leader) Lead(ctx context.Context, do func(context.Context) error) (led bool, err error) {
	tx, err := l.pool.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.ReadCommitted, AccessMode: pgx.ReadOnly})
	if err != nil {
		return false, fmt.Errorf("leader lock: %w", explain(err))
	}
	defer func() {
		unlock, cancel := context.WithTimeout(context.WithoutCancel(ctx), unlockTimeout)
		defer cancel()
		_ = tx.Rollback(unlock) // a connection that it fails on is closed
	}()
	// In the extended protocol the portal of the statement, and with it its snapshot, would
	// live until the next statement of the transaction.
	const lock = "SELECT pg_try_advisory_xact_lock($1) FROM set_config('idle_in_transaction_session_timeout', '0', true)"
	if err := tx.QueryRow(ctx, lock, pgx.QueryExecModeSimpleProtocol, int64(l.lock)).Scan(&led); err != nil || !led {
		return false, explain(err)
	}
	return true, do(ctx)
}
