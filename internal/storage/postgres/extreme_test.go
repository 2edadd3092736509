package postgres_test

import (
	"math"
	"slices"
	"testing"
	"time"

	"service-courier/internal/courier"
	"service-courier/internal/storage/postgres"
	"service-courier/internal/usecase/orderevent"
	"service-courier/internal/usecase/orders"
	"service-courier/internal/usecase/statistics"
)

// TestListsHaveOrdersOfAnyKey: a row of another program with an extreme time or number is
// in its list, once, and hides no other.
func TestListsHaveOrdersOfAnyKey(t *testing.T) {
	f := newFixture(t)
	f.fillLists()
	f.exec("INSERT INTO couriers (id, name, phone, status, order_id) VALUES (-5, 'c', '-5', 'busy', 'assigned-x')")
	f.exec("INSERT INTO orders (order_id, state, queue_position) VALUES ('waiting-x', 'waiting', -9223372036854775807), ('waiting-y', 'waiting', 9223372036854775807), ('assigned-x', 'assigned', 1)")
	f.exec("INSERT INTO courier_orders (order_id, courier_id, deadline) VALUES ('assigned-x', -5, 'infinity')")
	for _, state := range []string{"completed", "cancelled", "held"} {
		f.exec(`INSERT INTO orders (order_id, state, updated_at, held_reason)
			SELECT s || '-' || t, s::order_state, t::timestamptz, CASE s WHEN 'held' THEN 'ill' END
			FROM unnest(ARRAY['infinity', '-infinity']) t, text(($1::text)) s`, state)
	}
	for list, extremes := range map[orders.List][]string{
		orders.Waiting: {"waiting-x", "waiting-y"}, orders.Assigned: {"assigned-x"},
		orders.Completed: {"completed-infinity", "completed--infinity"}, orders.Cancelled: {"cancelled-infinity", "cancelled--infinity"},
		orders.Held: {"held-infinity", "held--infinity"}, orders.Active: {"waiting-x", "waiting-y", "assigned-x", "held-infinity", "held--infinity"},
	} {
		ids := f.pages(list)
		slices.Sort(ids)
		if unique := slices.Compact(slices.Clone(ids)); len(unique) != len(ids) || len(ids) < 5+len(extremes) {
			t.Errorf("list %q: %v", list, ids)
		}
		for _, id := range extremes {
			if !slices.Contains(ids, id) {
				t.Errorf("list %q has no %s: %v", list, id, ids)
			}
		}
	}
}

// TestStatisticsOfAnySize: figures of another program that no int64 and no interval holds
// when they are added up break no answer.
func TestStatisticsOfAnySize(t *testing.T) {
	f := newFixture(t)
	f.couriers(3)
	store := postgres.NewStatistics(f.pool)
	period := statistics.Period{From: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), To: time.Date(2026, 1, 9, 0, 0, 0, 0, time.UTC)}
	for _, histogram := range []string{"NaN", "-7", "0.5", "1e400", "1e100000"} {
		f.exec("TRUNCATE courier_statistics, daily_statistics")
		f.exec(`INSERT INTO courier_statistics SELECT 1, day, $1, $1, '100000000 years', $1, '100000000 years', $2::text::numeric
			FROM unnest(ARRAY['2026-01-01', '2026-01-02']::date[]) day`, int64(math.MaxInt64), histogram)
		f.exec(`INSERT INTO daily_statistics VALUES ('2026-01-01', $1, $1, '100000000 years', $1, '-100000000 years', $2::text::numeric)`, int64(math.MaxInt64), histogram)
		days, err := store.Days(t.Context(), period)
		if err != nil || len(days) != 1 || days[0].Deliveries <= 0 {
			t.Errorf("histogram %s: days: %+v, %v", histogram, days, err)
		}
		expressible(t, days)
		if days, err = store.Courier(t.Context(), 1, period); err != nil || len(days) != 2 || statistics.Sum(days).Deliveries <= 0 {
			t.Errorf("histogram %s: courier: %+v, %v", histogram, days, err)
		}
		expressible(t, days)
		all, err := store.Couriers(t.Context(), period, 0, 9)
		if err != nil || len(all) != 3 || all[0].Deliveries <= 0 {
			t.Errorf("histogram %s: couriers: %+v, %v", histogram, all, err)
		}
		expressible(t, all)
	}
}

// TestCompletedAfterItsAssignment: a batch that began before the order was assigned
// completes it; the delivery takes no negative time.
func TestCompletedAfterItsAssignment(t *testing.T) {
	f := newFixture(t)
	f.couriers(1)
	f.save(to("o-1", courier.StateWaiting))
	err := f.orders.InTx(t.Context(), func(tx orderevent.Tx) error {
		if _, err := tx.LockOrders(t.Context(), []courier.OrderID{"another"}); err != nil { // sends BEGIN
			return err
		}
		f.match(1)
		_, err := tx.Save(t.Context(), []orderevent.Change{{From: courier.StateAssigned, Next: to("o-1", courier.StateCompleted)}})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	f.expect("true", "SELECT (completed_at >= assigned_at)::text FROM courier_orders")
	f.count()
	f.expect("true", "SELECT (delivery_time >= '0')::text FROM courier_statistics")
	f.expectNoViolations()
}
