package postgres

import (
	"context"
	_ "embed" // for the statements
	"fmt"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"

	"service-courier/internal/courier"
	"service-courier/internal/usecase/livefeed"
)

var (
	//go:embed sql/snapshot_couriers.sql
	snapshotCouriers string
	//go:embed sql/snapshot_counts.sql
	snapshotCounts string
	//go:embed sql/snapshot_waiting.sql
	snapshotWaiting string
	//go:embed sql/snapshot_assigned.sql
	snapshotAssigned string
	//go:embed sql/snapshot_held.sql
	snapshotHeld string
)

// Snapshot implements livefeed.Source: all of it is one moment, and Seen says
// which, since every statement of the transaction sees the same.
func (j *Journal) Snapshot(ctx context.Context) (s livefeed.Snapshot, err error) {
	err = pgx.BeginTxFunc(ctx, j.pool, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) error {
		var batch pgx.Batch
		queueSnapshot(&batch, &s)
		return tx.SendBatch(ctx, &batch).Close()
	})
	if err != nil {
		return s, fmt.Errorf("read how things stand: %w", err)
	}
	return s, nil
}

func queueSnapshot(batch *pgx.Batch, s *livefeed.Snapshot) {
	batch.Queue("SELECT pg_current_snapshot()::text, now()").QueryRow(func(row pgx.Row) (err error) {
		var seen string
		if err := row.Scan(&seen, &s.At); err != nil {
			return err
		}
		s.Seen, err = parseSeen(seen)
		return err
	})
	batch.Queue(snapshotCouriers).Query(func(rows pgx.Rows) error {
		s.Couriers = make(map[courier.Status]int)
		var status courier.Status
		var n int
		_, err := pgx.ForEachRow(rows, []any{&status, &n}, func() error { s.Couriers[status] = n; return nil })
		return err
	})
	batch.Queue(snapshotCounts).QueryRow(func(row pgx.Row) error {
		return row.Scan(&s.Waiting.Count, &s.Waiting.Missing, &s.Assigned.Count, &s.Assigned.Missing, &s.Assigned.Late,
			&s.Held.Count, &s.Held.Missing)
	})
	for statement, orders := range map[string]*livefeed.OpenOrders{
		snapshotWaiting: &s.Waiting, snapshotAssigned: &s.Assigned, snapshotHeld: &s.Held,
	} {
		batch.Queue(statement, livefeed.SnapshotRows).Query(func(rows pgx.Rows) (err error) {
			orders.First, err = pgx.CollectRows(rows, pgx.RowToStructByPos[livefeed.OpenOrder])
			return err
		})
	}
}

// parseSeen reads a pg_snapshot: xmin:xmax:running,running,…
func parseSeen(text string) (s livefeed.Seen, err error) {
	fields := strings.Split(text, ":")
	if len(fields) != 3 {
		return s, fmt.Errorf("%q is no pg_snapshot", text)
	}
	s.Running = make(map[uint64]struct{})
	if s.From, err = strconv.ParseUint(fields[0], 10, 64); err != nil {
		return s, fmt.Errorf("%q is no pg_snapshot: %w", text, err)
	}
	if s.To, err = strconv.ParseUint(fields[1], 10, 64); err != nil {
		return s, fmt.Errorf("%q is no pg_snapshot: %w", text, err)
	}
	for running := range strings.SplitSeq(fields[2], ",") {
		if running == "" {
			continue
		}
		tx, err := strconv.ParseUint(running, 10, 64)
		if err != nil {
			return s, fmt.Errorf("%q is no pg_snapshot: %w", text, err)
		}
		s.Running[tx] = struct{}{}
	}
	return s, nil
}
