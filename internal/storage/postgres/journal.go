package postgres

import (
	"cmp"
	"context"
	_ "embed" // for the statements
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"service-courier/internal/courier"
	"service-courier/internal/usecase/livefeed"
)

var (
	//go:embed sql/journal_after.sql
	journalAfter string
	//go:embed sql/snapshot_counts.sql
	snapshotCounts string
	//go:embed sql/snapshot_waiting.sql
	snapshotWaiting string
	//go:embed sql/snapshot_assigned.sql
	snapshotAssigned string
	//go:embed sql/snapshot_held.sql
	snapshotHeld string
)

const (
	// journalEnd is the epoch of the journal and the highest id that was taken. The epoch
	// changes with the cluster, with its timeline at each failover and recovery, and with
	// the file of the table when it is truncated or created again.
	journalEnd = `SELECT hashtextextended(concat_ws(' ', system_identifier, left(pg_walfile_name(pg_current_wal_lsn()), 8),
			pg_relation_filenode('journal')), 0), coalesce(pg_sequence_last_value('journal_id_seq'), 0),
			(SELECT seqcache FROM pg_sequence WHERE seqrelid = 'journal_id_seq'::regclass)
		FROM pg_control_system()`
	// journalWriters finds the transactions that write the journal by the lock that each
	// takes before it takes an id, and holds until its rows are visible. Only a prepared
	// transaction has no process.
	journalWriters = `SELECT virtualtransaction AS transaction, coalesce(pid, 0) AS pid FROM pg_locks
		WHERE locktype = 'relation' AND relation = 'journal'::regclass AND mode = 'RowExclusiveLock' AND granted
			AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`
	// journalBefore finds the row that exactly $2 rows with an id up to $1 follow, or else
	// the oldest row.
	journalBefore = `(SELECT id FROM journal WHERE id <= $1 ORDER BY id DESC OFFSET $2 LIMIT 1)
		UNION ALL (SELECT id FROM journal WHERE id <= $1 ORDER BY id LIMIT 1)
		LIMIT 1`
	snapshotIncluded = `SELECT id FROM journal WHERE id > $1 ORDER BY id`
)

// Journal reads the journal.
type Journal struct{ pool *pgxpool.Pool }

var _ livefeed.Source = (*Journal)(nil)

// NewJournal returns the journal in pool's database.
func NewJournal(pool *pgxpool.Pool) *Journal { return &Journal{pool} }

// End implements livefeed.Journal.
func (j *Journal) End(ctx context.Context) (end livefeed.Cursor, err error) {
	var epoch, cache int64
	if err := j.pool.QueryRow(ctx, journalEnd).Scan(&epoch, &end.ID, &cache); err != nil {
		return end, fmt.Errorf("read the end of the journal: %w", explain(err))
	}
	if cache != 1 { // a session may use an id of its cache after readers have passed it
		return end, cmp.Or(checkSafe(ctx, j.pool), fmt.Errorf("%w: journal_id_seq had CACHE %d", ErrSchema, cache))
	}
	end.Epoch = uint64(epoch)
	return end, nil
}

// After implements livefeed.Journal.
func (j *Journal) After(ctx context.Context, id int64, limit int) ([]livefeed.Change, error) {
	return query(ctx, j.pool, pgx.RowToStructByName[livefeed.Change], "read the journal", journalAfter, id, limit)
}

// Writers implements livefeed.Journal.
func (j *Journal) Writers(ctx context.Context) ([]livefeed.Writer, error) {
	return query(ctx, j.pool, pgx.RowToStructByName[livefeed.Writer], "read the writers of the journal", journalWriters)
}

// Before implements livefeed.Journal.
func (j *Journal) Before(ctx context.Context, id int64, changes int) (before int64, err error) {
	err = j.pool.QueryRow(ctx, journalBefore, id, changes).Scan(&before)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return id, nil
	case err != nil:
		return 0, fmt.Errorf("read the latest changes of the journal: %w", explain(err))
	}
	return before, nil
}

// Snapshot implements livefeed.Source. All statements see the same moment.
func (j *Journal) Snapshot(ctx context.Context, id int64) (s livefeed.Snapshot, err error) {
	err = pgx.BeginTxFunc(ctx, j.pool, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) error {
		var batch pgx.Batch
		queueSnapshot(&batch, id, &s)
		return tx.SendBatch(ctx, &batch).Close()
	})
	if err != nil {
		return s, fmt.Errorf("read a snapshot: %w", explain(err))
	}
	return s, nil
}

func queueSnapshot(batch *pgx.Batch, id int64, s *livefeed.Snapshot) {
	batch.Queue("SELECT now()").QueryRow(func(row pgx.Row) error { return row.Scan(&s.At) })
	batch.Queue(snapshotIncluded, id).Query(func(rows pgx.Rows) (err error) {
		s.Included, err = pgx.CollectRows(rows, pgx.RowTo[int64])
		return err
	})
	batch.Queue("SELECT status, count(*) FILTER (WHERE deleted_at IS NULL) FROM couriers GROUP BY status").Query(func(rows pgx.Rows) error {
		s.Couriers = make(map[courier.Status]int)
		var status courier.Status
		var n int
		_, err := pgx.ForEachRow(rows, []any{&status, &n}, func() error { s.Couriers[status] = n; return nil })
		return err
	})
	batch.Queue(snapshotCounts).Query(func(rows pgx.Rows) error {
		type counts struct{ Waiting, WaitingMissing, Assigned, AssignedMissing, AssignedOverdue, Held, HeldMissing int }
		c, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[counts])
		s.Waiting.Count, s.Waiting.Missing = c.Waiting, c.WaitingMissing
		s.Assigned.Count, s.Assigned.Missing, s.Assigned.Overdue = c.Assigned, c.AssignedMissing, c.AssignedOverdue
		s.Held.Count, s.Held.Missing = c.Held, c.HeldMissing
		return err
	})
	for statement, orders := range map[string]*livefeed.ActiveOrders{
		snapshotWaiting: &s.Waiting, snapshotAssigned: &s.Assigned, snapshotHeld: &s.Held,
	} {
		batch.Queue(statement, livefeed.SnapshotRows).Query(func(rows pgx.Rows) (err error) {
			orders.First, err = pgx.CollectRows(rows, pgx.RowToStructByName[livefeed.ActiveOrder])
			return err
		})
	}
}
