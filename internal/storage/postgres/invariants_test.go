package postgres_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"service-courier/internal/courier"
	"service-courier/internal/storage/postgres"
)

// TestInvariantCheckFindsEachViolation: the check of all tests, of doctor and of the
// periodic task finds nothing in a sound database, and each violation that is made by
// hand, without the constraints; also when it reads the tables in pieces.
func TestInvariantCheckFindsEachViolation(t *testing.T) {
	for invariant, harm := range map[string][]string{
		"courier has two open deliveries": {
			"DROP INDEX courier_orders_one_open",
			"INSERT INTO courier_orders (order_id, courier_id, deadline) VALUES ('b', 1, now() + interval '1 hour')",
		},
		"busy courier without an open delivery":                     {"DELETE FROM courier_orders"},
		"open delivery whose courier is not busy with it":           {"UPDATE couriers SET status = 'available', order_id = NULL WHERE id = 1"},
		"delivery counter of a courier differs from the statistics": {"UPDATE couriers SET deliveries = 5 WHERE id = 2"},
		"delivery of an order that must have none":                  {"UPDATE orders SET state = 'held', held_reason = 'x'"},
		"delivery completed and order not, or the reverse":          {"UPDATE orders SET state = 'completed'"},
		"assigned order without a delivery":                         {"DELETE FROM courier_orders"},
		"delivery of an unknown order":                              {"DELETE FROM orders"},
		"statistics of a courier differ from the completed deliveries": {
			"INSERT INTO courier_statistics VALUES (1, '2026-01-01', 1, 0, '0', 0, '0', 1)",
			"INSERT INTO daily_statistics VALUES ('2026-01-01', 1, 0, '0', 0, '0', 1)",
		},
		"daily statistics differ from those of the couriers": {"INSERT INTO daily_statistics VALUES ('2026-01-01', 0, 1, '0', 0, '0', 0)"},
		"order waits for more than a second beside an available courier": {
			"INSERT INTO orders (order_id, state, queue_position, updated_at) VALUES ('b', 'waiting', 99, now() - interval '1 minute')",
			"UPDATE couriers SET free_since = now() - interval '1 minute', updated_at = now() - interval '1 minute' WHERE id = 2",
		},
	} {
		t.Run(invariant, func(t *testing.T) {
			f := newFixture(t)
			f.couriers(2)
			f.save(to("a", courier.StateWaiting))
			f.match(1)
			f.expectNoViolations()
			for _, sql := range harm {
				f.exec(sql)
			}
			violations, err := postgres.CheckInvariants(t.Context(), f.pool)
			found := func(v postgres.Violation) bool { return v.Invariant == invariant && v.Subject != "" }
			if err != nil || !slices.ContainsFunc(violations, found) {
				t.Errorf("found %v, %v", violations, err)
			}
			f.exec("ANALYZE courier_orders")
			pieces, err := postgres.CheckInvariantsInPieces(t.Context(), f.pool, time.Minute)
			if diff := cmp.Diff(violations, pieces); err != nil || diff != "" {
				t.Errorf("in pieces: %v: %s", err, diff)
			}
			lines, err := postgres.NewHealth(f.pool).Violations(t.Context())
			if err != nil || len(lines) != len(violations) {
				t.Errorf("Violations: %v, %v", lines, err)
			}
		})
	}
}

// TestSlowInvariantCheck is no violation and no outage: it says that nothing was checked.
func TestSlowInvariantCheck(t *testing.T) {
	f := newFixture(t)
	tx, err := f.pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback(t.Context()) }()
	if _, err := tx.Exec(t.Context(), "LOCK TABLE orders"); err != nil {
		t.Fatal(err)
	}
	violations, err := postgres.CheckInvariantsInPieces(t.Context(), f.pool, 50*time.Millisecond)
	if !errors.Is(err, postgres.ErrStatementCancelled) || len(violations) > 0 {
		t.Errorf("%v, %v", violations, err)
	}
	t.Log(err)
}
