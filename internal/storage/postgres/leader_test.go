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
