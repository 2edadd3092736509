package postgres_test

import (
	"testing"
	"time"

	"service-courier/internal/courier"
	"service-courier/internal/storage/postgres"
)

// TestRetention: what ended long ago goes, with its delivery and its journal;
// counters and statistics stay, and so does what is open, younger, or went on since.
func TestRetention(t *testing.T) {
	f := newFixture(t)
	f.couriers(2)
	remove := func(wantRows, wantOrders int) {
		t.Helper()
		rows, orders, err := postgres.NewRetention(f.pool).Remove(t.Context(), 48*time.Hour, 100)
		if err != nil || rows != wantRows || orders != wantOrders {
			t.Fatalf("removed %d rows and %d orders, %v; want %d and %d", rows, orders, err, wantRows, wantOrders)
		}
		f.sound()
	}
	f.save(to("old", courier.StateWaiting))
	f.match(1)
	f.save(to("old", courier.StateCompleted))
	f.save(to("gone", courier.StateCancelled))
	f.save(to("later", courier.StateCompleted))
	f.save(to("open", courier.StateWaiting))
	f.match(1)
	remove(0, 0) // nothing is old yet
	// The day of the delivery and of its statistics stay as they are: only the
	// journal says how old things are.
	f.exec("UPDATE journal SET at = now() - interval '3 days'")
	f.save(to("later", courier.StateCancelled))
	f.save(to("young", courier.StateCompleted))

	remove(7, 2) // waiting, assigned, completed; cancelled; completed; waiting, assigned
	f.expect("later open young", "SELECT string_agg(order_id, ' ' ORDER BY order_id) FROM orders")
	f.expect("open", "SELECT string_agg(order_id, ' ') FROM courier_orders")
	f.expect("1", "SELECT sum(deliveries) FROM couriers")
	f.expect("1", "SELECT sum(deliveries) FROM courier_days")
	f.exec("CALL mend_statistics()")
	f.expect("1", "SELECT sum(deliveries) FROM fleet_days")
	remove(0, 0)

	// An order whose row of the journal went with its earlier ending goes with the later one.
	f.exec("UPDATE journal SET at = now() - interval '3 days' WHERE order_id = 'later'")
	remove(1, 1)
	f.save(to("open", courier.StateCompleted))
	f.expect("2", "SELECT sum(deliveries) FROM couriers")
	f.sound()
}

// TestRetentionSeesWhatItWaitedFor: an order that is cancelled while it is to be removed
// as completed keeps its record, which is the tombstone. It fails without FOR UPDATE in
// retention_remove.sql.
func TestRetentionSeesWhatItWaitedFor(t *testing.T) {
	f := newFixture(t)
	f.save(to("a", courier.StateCompleted))
	f.exec("UPDATE journal SET at = now() - interval '3 days'")
	tx := f.holding("UPDATE orders SET state = 'cancelled'")
	removed := make(chan error, 1)
	go func() {
		_, _, err := postgres.NewRetention(f.pool).Remove(t.Context(), 48*time.Hour, 100)
		removed <- err
	}()
	f.awaitLockWait(func() bool { return len(removed) > 0 })
	f.commit(tx)
	if err := <-removed; err != nil {
		t.Fatal(err)
	}
	f.expect("cancelled", "SELECT state FROM orders")
}
