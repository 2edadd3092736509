package postgres_test

import (
	"testing"
	"time"

	"service-courier/internal/courier"
	"service-courier/internal/storage/postgres"
)

// TestRetention: old ended orders are deleted with their delivery and journal. Counters
// and statistics stay, and so do orders that are active, younger, or changed since.
func TestRetention(t *testing.T) {
	f := newFixture(t)
	f.couriers(2)
	remove := func(wantRows, wantOrders int) {
		t.Helper()
		rows, orders, err := postgres.NewRetention(f.pool, false).Remove(t.Context(), 48*time.Hour, 100)
		if err != nil || rows != wantRows || orders != wantOrders {
			t.Fatalf("removed %d rows and %d orders, %v; want %d and %d", rows, orders, err, wantRows, wantOrders)
		}
		f.expectNoViolations()
	}
	f.save(to("old", courier.StateWaiting))
	f.match(1)
	f.save(to("old", courier.StateCompleted))
	f.save(to("gone", courier.StateCancelled))
	f.save(to("later", courier.StateCompleted))
	f.save(to("open", courier.StateWaiting))
	f.match(1)
	remove(0, 0) // nothing is old yet
	// Only the journal decides how old an order is: the days of the delivery and of its
	// statistics stay.
	f.exec("UPDATE journal SET at = now() - interval '3 days'")
	f.save(to("later", courier.StateCancelled))
	f.save(to("young", courier.StateCompleted))

	remove(7, 2) // waiting, assigned, completed; cancelled; completed; waiting, assigned
	f.expect("later open young", "SELECT string_agg(order_id, ' ' ORDER BY order_id) FROM orders")
	f.expect("open", "SELECT string_agg(order_id, ' ') FROM courier_orders")
	f.expect("1", "SELECT sum(deliveries) FROM couriers")
	f.count()
	f.expect("1", "SELECT sum(deliveries) FROM courier_statistics")
	f.exec("CALL repair_statistics()")
	f.expect("1", "SELECT sum(deliveries) FROM daily_statistics")
	remove(0, 0)

	// An order that outlived its first end is deleted with the journal row of the later one.
	f.exec("UPDATE journal SET at = now() - interval '3 days' WHERE order_id = 'later'")
	remove(1, 1)
	f.save(to("open", courier.StateCompleted))
	f.expect("2", "SELECT sum(deliveries) FROM couriers")
	f.expectNoViolations()
}

// TestRetentionSeesCancellationItWaitedFor: an order that is cancelled while it is about
// to be removed as completed stays as a tombstone. It fails without FOR UPDATE in
// retention_remove.sql.
func TestRetentionSeesCancellationItWaitedFor(t *testing.T) {
	f := newFixture(t)
	f.save(to("a", courier.StateCompleted))
	f.exec("UPDATE journal SET at = now() - interval '3 days'")
	tx := f.holding("UPDATE orders SET state = 'cancelled'")
	removed := make(chan error, 1)
	go func() {
		_, _, err := postgres.NewRetention(f.pool, false).Remove(t.Context(), 48*time.Hour, 100)
		removed <- err
	}()
	f.awaitLockWait(func() bool { return len(removed) > 0 })
	f.commit(tx)
	if err := <-removed; err != nil {
		t.Fatal(err)
	}
	f.expect("cancelled", "SELECT state FROM orders")
}
