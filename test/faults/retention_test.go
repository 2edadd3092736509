package faults

import (
	"testing"
	"time"

	"service-courier/internal/config"
	"service-courier/internal/courier"
)

// TestRetentionRemovesOldOrders: with RETENTION a working replica removes orders that
// ended long ago. Active and recent orders stay, and so do the statistics.
func TestRetentionRemovesOldOrders(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 20)
	w.front.unlisted.Store(true) // in service-order they are new: the resync would find them again
	stop := w.serve()
	old := w.create(10)
	w.eventually("they are assigned", func() bool { return w.inState(courier.StateAssigned) == 10 })
	w.setStatus("completed", old[:4]...)
	for _, id := range old[4:6] {
		w.delete(id)
	}
	w.converges()
	w.allCommitted()
	stop()
	w.exec("UPDATE journal SET at = at - interval '60 days'")
	w.serve(func(c *config.Config) { c.Retention = 30 * 24 * time.Hour })
	recent := w.create(10)
	w.eventually("the recent orders are assigned", func() bool {
		return w.count("SELECT count(*) FROM courier_orders WHERE order_id = ANY ($1)", recent) == 10
	})
	w.setStatus("completed", recent[:5]...)
	w.eventually("the old orders are removed", func() bool {
		return w.count("SELECT count(*) FROM orders WHERE order_id = ANY ($1)", old) == 4
	})
	w.setStatus("completed", old[6], old[7]) // assigned two months ago
	w.eventually("the active ones can be completed", func() bool { return w.inState(courier.StateCompleted) == 7 })
	if n := w.count("SELECT sum(deliveries) FROM couriers"); n != 11 {
		t.Errorf("the couriers' counters say %d deliveries, want the 4 removed and 7 more", n)
	}
	w.exec("SELECT count_deliveries()")
	if n := w.count("SELECT sum(deliveries) FROM daily_statistics"); n != 11 {
		t.Errorf("the statistics say %d deliveries, want 11", n)
	}
	if w.logs.times("old orders removed") != 1 {
		t.Error("the log does not say once what was removed")
	}
	w.invariantsHold()
}
