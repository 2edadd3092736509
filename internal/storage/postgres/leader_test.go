package postgres_test

import (
	"context"
	"testing"

	"service-courier/internal/storage/postgres"
)

// TestOneReplicaLeads, and the lock is released afterwards. It fails without the unlock
// in Lead. (Leading once more proves nothing: the pool may return the connection that
// holds the lock.)
func TestOneReplicaLeads(t *testing.T) {
	f := newFixture(t)
	resync := postgres.NewLeader(f.pool, postgres.ResyncLock)
	led, err := resync.Lead(t.Context(), func(ctx context.Context) error {
		if other, err := resync.Lead(ctx, func(context.Context) error { return nil }); err != nil || other {
			t.Errorf("a second leader: %t, %v", other, err)
		}
		check := postgres.NewLeader(f.pool, postgres.InvariantCheckLock)
		if other, err := check.Lead(ctx, func(context.Context) error { return nil }); err != nil || !other {
			t.Errorf("another task's leader: %t, %v; want true", other, err)
		}
		return nil
	})
	if err != nil || !led {
		t.Errorf("Lead = %t, %v; want true", led, err)
	}
	f.expect("0", `SELECT count(*) FROM pg_locks
		WHERE locktype = 'advisory' AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`)
}

// TestLeaderDoesNotHoldBackVacuum: a round may take minutes, and rows that die meanwhile must
// be removable.
func TestLeaderDoesNotHoldBackVacuum(t *testing.T) {
	f := newFixture(t)
	var snapshots int
	_, err := postgres.NewLeader(f.pool, postgres.ResyncLock).Lead(t.Context(), func(ctx context.Context) error {
		return f.pool.QueryRow(ctx, `SELECT count(*) FROM pg_stat_activity
			WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_xmin IS NOT NULL`).Scan(&snapshots)
	})
	if err != nil || snapshots != 0 {
		t.Errorf("%d sessions have a snapshot, %v; want none", snapshots, err)
	}
}
