package postgres_test

import (
	"slices"
	"testing"

	"service-courier/internal/courier"
	"service-courier/internal/storage/postgres"
)

// TestCheckerSeesEachBrokenPromise: the one checker of all tests, of doctor and of
// the audit finds nothing in a sound database, and each promise that is broken by
// hand, with the constraints out of the way.
func TestCheckerSeesEachBrokenPromise(t *testing.T) {
	for promise, harm := range map[string][]string{
		"two open deliveries of one courier": {
			"DROP INDEX courier_orders_one_open",
			"INSERT INTO courier_orders (order_id, courier_id, deadline) VALUES ('b', 1, now() + interval '1 hour')",
		},
		"courier busy without his open delivery":                    {"DELETE FROM courier_orders"},
		"open delivery whose courier is not busy with it":           {"UPDATE couriers SET status = 'available', order_id = NULL WHERE id = 1"},
		"delivery counter differs from the completed deliveries":    {"UPDATE couriers SET deliveries = 5 WHERE id = 2"},
		"delivery of an order that must have none":                  {"UPDATE orders SET state = 'held', held_reason = 'x'"},
		"delivery open and order completed, or the other way round": {"UPDATE orders SET state = 'completed'"},
		"assigned order without a delivery":                         {"DELETE FROM courier_orders"},
		"delivery of an order without a record":                     {"DELETE FROM orders"},
		"statistics of a courier differ from his completed deliveries": {
			"INSERT INTO courier_days VALUES (1, '2026-01-01', 1, 0, '0', 0, '0', 1)",
			"INSERT INTO fleet_days VALUES ('2026-01-01', 0, 1, 0, '0', 0, '0', 1)",
		},
		"statistics of the fleet differ from those of its couriers": {"INSERT INTO fleet_days VALUES ('2026-01-01', 0, 0, 1, '0', 0, '0', 0)"},
		"order waits beside a free courier for more than a second": {
			"INSERT INTO orders (order_id, state, place, updated_at) VALUES ('b', 'waiting', 99, now() - interval '1 minute')",
			"UPDATE couriers SET free_since = now() - interval '1 minute', updated_at = now() - interval '1 minute' WHERE id = 2",
		},
	} {
		t.Run(promise, func(t *testing.T) {
			f := newFixture(t)
			f.couriers(2)
			f.save(to("a", courier.StateWaiting))
			f.match(1)
			f.sound()
			for _, sql := range harm {
				f.exec(sql)
			}
			violations, err := postgres.CheckInvariants(t.Context(), f.pool)
			if err != nil || !slices.ContainsFunc(violations, func(v postgres.Violation) bool { return v.Promise == promise && v.Who != "" }) {
				t.Errorf("found %v, %v", violations, err)
			}
			broken, err := postgres.NewHealth(f.pool).Broken(t.Context())
			if err != nil || len(broken) != len(violations) {
				t.Errorf("Broken: %v, %v", broken, err)
			}
		})
	}
}
