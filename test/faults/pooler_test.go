package faults

import (
	"strings"
	"testing"
	"time"

	"service-courier/internal/config"
	"service-courier/internal/dev/pgtest"
	"service-courier/internal/storage/postgres"
)

// TestBehindPgBouncer: two replicas work through a PgBouncer that gives each transaction
// another of five sessions, with every periodic task and the settings of docs/deploy.md.
func TestBehindPgBouncer(t *testing.T) {
	t.Parallel()
	direct := pgtest.NewDatabase(t, postgres.Migrate)
	start := func() string {
		p := pgtest.StartPgBouncer(t, direct, "transaction", "default_pool_size = 5")
		return p.URL(direct, "default_query_exec_mode=cache_describe")
	}
	w := newWorldOn(t, direct, 20)
	w.database = start()
	w.exec(roleSettings(w))
	w.database = start() // with sessions that have the settings
	onlyHere := func(c *config.Config) {
		c.DeliveryOverdue, c.Retention, c.ResyncInterval = config.OverdueHold, 24*time.Hour, time.Second
	}
	w.serve(onlyHere)
	w.serve(onlyHere)
	ids := w.create(60)
	w.setStatus("completed", ids[:30]...)
	w.sim.Mute(true) // found by the resync
	w.setStatus("cancelled", ids[30:40]...)
	w.sim.Mute(false)
	w.converges()
	w.nothingHappenedTwice()
	w.allCommitted()
	for _, alarm := range []string{"SQLSTATE", "level=ERROR"} { // a timeout may be the machine's
		if n := w.logs.times(alarm); n > 0 {
			t.Errorf("%q is logged %d times", alarm, n)
		}
	}
}

// roleSettings returns the statements that the refusal of the service names.
func roleSettings(w *world) string {
	w.Helper()
	pool, err := postgres.Open(w.Context(), pgtest.Patient(w.database), 1)
	w.must(err)
	defer pool.Close()
	err = postgres.CheckSchema(w.Context(), pool)
	if err == nil {
		w.Fatal("the service accepts a role without the settings")
	}
	_, statements, _ := strings.Cut(err.Error(), "session: ")
	statements, _, found := strings.Cut(statements, "; set them")
	if !found {
		w.Fatalf("no statements in: %v", err)
	}
	return statements
}
