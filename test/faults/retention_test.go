package faults

import (
	"testing"
	"time"

	"service-courier/internal/config"
	"service-courier/internal/courier"
)

// TestOldOrdersGoWhileNewOnesCome: with RETENTION a replica removes what ended long
// ago while it works; what is open or young stays, and so does what was counted.
func TestOldOrdersGoWhileNewOnesCome(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 20)
	w.front.unlisted.Store(true) // there, they were placed just now: the sweep would find them again
	stop := w.serve()
	old := w.create(10)
	w.eventually("they are assigned", func() bool { return w.inState(courier.StateAssigned) == 10 })
	w.setStatus("completed", old[:4]...)
	for _, id := range old[4:6] {
		w.delete(id)
	}
	w.agrees()
	w.allCommitted()
	stop()
	w.exec("UPDATE journal SET at = at - interval '60 days'")
	w.serve(func(c *config.Config) { c.Retention = 30 * 24 * time.Hour })
	young := w.create(10)
	w.eventually("the young are assigned", func() bool {
		return w.count("SELECT count(*) FROM courier_orders WHERE order_id = ANY ($1)", young) == 10
	})
	w.setStatus("completed", young[:5]...)
	w.eventually("what ended long ago is gone", func() bool {
		return w.count("SELECT count(*) FROM orders WHERE order_id = ANY ($1)", old) == 4
	})
	w.setStatus("completed", old[6], old[7]) // assigned two months ago
	w.eventually("the open ones end as ever", func() bool { return w.inState(courier.StateCompleted) == 7 })
	if n := w.count("SELECT sum(deliveries) FROM couriers"); n != 11 {
		t.Errorf("the couriers' counters say %d deliveries, want the 4 removed and 7 more", n)
	}
	if n := w.count("SELECT sum(deliveries) FROM fleet_days"); n != 11 {
		t.Errorf("the statistics say %d deliveries, want 11", n)
	}
	if w.logs.times("removed what is older than RETENTION") != 1 {
		t.Error("the log does not say once what was removed")
	}
	w.sound()
}
