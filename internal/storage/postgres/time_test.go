package postgres_test

import (
	"encoding/json"
	"testing"
	"time"

	"service-courier/internal/storage/postgres"
	"service-courier/internal/usecase/livefeed"
	"service-courier/internal/usecase/orders"
	"service-courier/internal/usecase/statistics"
)

// TestTimesThatJSONCannotExpress: a row of another program may have any time that
// PostgreSQL has. It is clamped, and every list, the snapshot, the health and the
// statistics go on with it and the rows behind it.
func TestTimesThatJSONCannotExpress(t *testing.T) {
	for _, bad := range []string{"infinity", "-infinity", "294276-12-31 23:59:59Z", "10000-01-01Z", "4713-01-01 BC", "0001-01-01 BC"} {
		t.Run(bad, func(t *testing.T) {
			f := newFixture(t)
			f.couriers(3)
			f.save(to("o-1", "waiting"), to("o-2", "waiting"))
			f.match(2)
			f.save(to("o-3", "waiting"), to("o-4", "waiting"), to("o-5", "waiting"))
			f.exec("UPDATE orders SET order_created_at = $1::text::timestamptz, created_at = $1::text::timestamptz, updated_at = $1::text::timestamptz", bad)
			f.exec("UPDATE orders SET missing_since = $1::text::timestamptz WHERE order_id IN ('o-1', 'o-3')", bad)
			f.exec("UPDATE orders SET recheck_at = $1::text::timestamptz, recheck_reason = 'missing', recheck_token = 1 WHERE order_id = 'o-4'", bad)
			f.exec("UPDATE courier_orders SET waiting_since = $1::text::timestamptz", bad)
			f.exec("UPDATE courier_orders SET assigned_at = '-infinity', deadline = $1::text::timestamptz", bad)

			views := postgres.NewOrderViews(f.pool)
			for list, want := range map[orders.List]int{orders.All: 5, orders.Active: 5, orders.Waiting: 3, orders.Assigned: 2, orders.Missing: 2} {
				page, err := views.Page(t.Context(), list, orders.PageKey{}, 10)
				if err != nil || len(page) != want {
					t.Errorf("list %q: %d orders, %v; want %d", list, len(page), err, want)
				}
				expressible(t, page)
			}
			snapshot, err := postgres.NewJournal(f.pool).Snapshot(t.Context(), 0)
			if err != nil {
				t.Error(err)
			}
			expressible(t, []livefeed.ActiveOrders{snapshot.Waiting, snapshot.Assigned, snapshot.Held})
			for _, o := range append(snapshot.Waiting.First, snapshot.Assigned.First...) {
				if o.Missing.Abs() > 200*365*24*time.Hour {
					t.Errorf("%s is missing for %v", o.OrderID, o.Missing)
				}
			}
			health := postgres.NewHealth(f.pool)
			if _, err := health.ActiveOrders(t.Context()); err != nil {
				t.Error(err)
			}
			if _, err := health.Queue(t.Context()); err != nil {
				t.Error(err)
			}
			if _, err := health.WorstRechecks(t.Context(), 9); err != nil {
				t.Error(err)
			}
			if _, _, err := health.Rechecks(t.Context()); err != nil {
				t.Error(err)
			}
			f.save(to("o-1", "completed"), to("o-2", "completed"))
			f.match(2) // not o-3, which is missing
			f.expect("2", "SELECT count(*) FROM courier_orders WHERE completed_at < now() + '1 minute'")
			today := time.Now()
			days, err := postgres.NewStatistics(f.pool).Days(t.Context(), statistics.Period{From: today.AddDate(0, 0, -1), To: today.AddDate(0, 0, 1)})
			if err != nil || len(days) != 1 || days[0].Deliveries != 2 {
				t.Errorf("statistics: %+v, %v", days, err)
			}
			expressible(t, days)
			f.expectNoViolations()
		})
	}
}

// expressible fails the test when v has no JSON.
func expressible(t *testing.T, v any) {
	t.Helper()
	if _, err := json.Marshal(v); err != nil {
		t.Error(err)
	}
}
