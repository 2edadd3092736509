package postgres_test

import (
	"sync"
	"testing"
	"time"

	"service-courier/internal/courier"
	"service-courier/internal/usecase/orderevent"
)

// TestLockedRecordIsReadAsTheOtherBatchLeftIt: a batch that wants the order of
// another waits for it, and then finds the cancel hint that the other has stored.
// Without the row lock it would read the record as it was before, and overwrite
// the hint, though the state is the same all along (tried).
func TestLockedRecordIsReadAsTheOtherBatchLeftIt(t *testing.T) {
	f := newFixture(t)
	f.save(to("o", courier.StateWaiting))
	hinted := to("o", courier.StateWaiting)
	hinted.Hinted = courier.ClassCancelled
	seen := make(chan courier.Class, 1)
	var batches sync.WaitGroup
	err := f.orders.InTx(t.Context(), func(first orderevent.Tx) error {
		if _, err := first.LockOrders(t.Context(), []courier.OrderID{"o"}); err != nil {
			return err
		}
		batches.Go(func() {
			err := f.orders.InTx(t.Context(), func(second orderevent.Tx) error {
				records, err := second.LockOrders(t.Context(), []courier.OrderID{"o"})
				seen <- records["o"].Hinted
				return err
			})
			if err != nil {
				t.Error(err)
			}
		})
		f.awaitLockWait(func() bool { return len(seen) > 0 })
		_, err := first.Save(t.Context(), []orderevent.Change{{From: courier.StateWaiting, Next: hinted, Source: "0@1"}}, nil)
		return err
	})
	batches.Wait()
	if err != nil {
		t.Fatal(err)
	}
	if got := <-seen; got != courier.ClassCancelled {
		t.Errorf("the second batch reads the hint %v, want %v", got, courier.ClassCancelled)
	}
}

// awaitLockWait returns when a session of this database waits for a lock, or
// when gaveUp says that it went on without.
func (f fixture) awaitLockWait(gaveUp func() bool) {
	f.Helper()
	const waits = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
	for deadline := time.Now().Add(10 * time.Second); f.one(waits) == "0" && !gaveUp(); <-time.After(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			f.Fatal("nobody waits for a lock")
		}
	}
}
