package postgres_test

import (
	"errors"
	"sync"
	"testing"

	"service-courier/internal/courier"
	"service-courier/internal/usecase/orderevent"
)

// assign gives a courier to an order by hand, as the use case would.
func (f fixture) assign(id courier.OrderID, courierID int64) (a orderevent.Assignment, err error) {
	err = f.orders.InTx(f.Context(), func(tx orderevent.Tx) error {
		if _, err := tx.LockOrders(f.Context(), []courier.OrderID{id}); err != nil {
			return err
		}
		a, err = tx.Assign(f.Context(), id, courierID, "person")
		return err
	})
	return a, err
}

func TestAssignByHand(t *testing.T) {
	f := newFixture(t)
	f.couriers(3)
	f.exec("UPDATE couriers SET deliveries = 4 - id") // the third has the fewest
	f.exec("UPDATE couriers SET status = 'paused' WHERE id = 1")
	f.save(to("a", courier.StateWaiting), to("b", courier.StateWaiting), to("c", courier.StateWaiting))

	a, err := f.assign("a", 0)
	if err != nil || a.OrderID != "a" || a.CourierID != 3 || a.Transport != courier.Scooter || a.Deadline.IsZero() {
		t.Errorf("assigned %+v, %v; want courier 3, whose turn it is", a, err)
	}
	for id, want := range map[int64]error{1: courier.ErrNotFree, 3: courier.ErrNotFree, 99: courier.ErrNotFound} {
		if _, err := f.assign("b", id); !errors.Is(err, want) {
			t.Errorf("courier %d: err = %v, want %v", id, err, want)
		}
	}
	if b, err := f.assign("b", 2); err != nil || b.CourierID != 2 {
		t.Errorf("assigned %+v, %v; want courier 2, who was named", b, err)
	}
	if _, err := f.assign("c", 0); !errors.Is(err, courier.ErrNobodyFree) {
		t.Errorf("err = %v, want ErrNobodyFree", err)
	}
	f.expect("a assigned b assigned", "SELECT string_agg(order_id || ' ' || what, ' ' ORDER BY order_id) FROM journal WHERE source = 'person'")
	f.expect("00:15:00", "SELECT min(deadline - assigned_at) FROM courier_orders")
	f.exec("UPDATE couriers SET deliveries = 0") // as the rows say, for the checker
	f.sound()
}

// TestLockedCourierIsPassedOverByHand: a person who names nobody does not wait for
// the courier whose turn it is while somebody is changing him. It fails without SKIP
// LOCKED in lockFree.
func TestLockedCourierIsPassedOverByHand(t *testing.T) {
	f := newFixture(t)
	f.couriers(2)
	f.save(to("a", courier.StateWaiting))
	f.holding("SELECT FROM couriers WHERE id = 1 FOR UPDATE")
	if a, err := f.assign("a", 0); err != nil || a.CourierID != 2 {
		t.Errorf("assigned %+v, %v; want courier 2, for the first is locked", a, err)
	}
}

// TestEndedOrderIsNotAssignedByHand, whatever the use case let through. It fails
// without the state in orders_assign.sql.
func TestEndedOrderIsNotAssignedByHand(t *testing.T) {
	f := newFixture(t)
	f.couriers(1)
	f.save(to("a", courier.StateCompleted), to("b", courier.StateCancelled))
	for _, id := range []courier.OrderID{"a", "b"} {
		if a, err := f.assign(id, 1); err == nil {
			t.Errorf("assigned %+v", a)
		}
	}
	f.sound()
}

// TestHeldFreesTheCourierAndKeepsThePlace: a held order has no delivery row, so
// that it can be assigned again, and returns to the place in line it had.
func TestHeldFreesTheCourierAndKeepsThePlace(t *testing.T) {
	f := newFixture(t)
	f.couriers(1)
	f.save(to("a", courier.StateWaiting), to("b", courier.StateWaiting))
	f.match(1)
	saved := f.save(to("a", courier.StateHeld))
	want := orderevent.Transition{OrderID: "a", From: courier.StateAssigned, To: courier.StateHeld, CourierID: 1}
	if len(saved.Transitions) != 1 || saved.Transitions[0] != want {
		t.Errorf("transitions = %+v, want %+v", saved.Transitions, want)
	}
	f.expect("available 0", "SELECT status || ' ' || deliveries FROM couriers")
	f.expect("test", "SELECT held_reason FROM orders WHERE order_id = 'a'")
	f.sound()
	f.save(to("a", courier.StateWaiting))
	if got := f.match(1); len(got) != 1 || got[0].OrderID != "a" {
		t.Errorf("match = %+v, want order a, which stood in line first", got)
	}
	f.sound()
}

// TestHeldIsAssignedByHand also holds that match leaves a held order alone, and
// that one held before it had a courier is held again without harm.
func TestHeldIsAssignedByHand(t *testing.T) {
	f := newFixture(t)
	f.couriers(1)
	f.save(to("a", courier.StateWaiting))
	f.match(1)
	f.save(to("a", courier.StateHeld))
	f.save(orderevent.Record{OrderID: "a", State: courier.StateHeld, Missing: true}) // a sweep finds it gone
	if got := f.match(1); len(got) != 0 {
		t.Errorf("match = %+v, want the held order left alone", got)
	}
	if _, err := f.assign("a", 1); err != nil {
		t.Error(err)
	}
	f.sound()
	f.save(to("a", courier.StateCompleted))
	f.expect("available 1", "SELECT status || ' ' || deliveries FROM couriers")
	f.sound()
}

// TestTwoPersonsRaceForOneCourier: one gets him, the other is refused.
func TestTwoPersonsRaceForOneCourier(t *testing.T) {
	for range 20 {
		f := newFixture(t)
		f.couriers(1)
		f.save(to("a", courier.StateWaiting), to("b", courier.StateWaiting))
		var wg sync.WaitGroup
		errs := make([]error, 2)
		for i, id := range []courier.OrderID{"a", "b"} {
			wg.Go(func() { _, errs[i] = f.assign(id, 1) })
		}
		wg.Wait()
		if (errs[0] == nil) == (errs[1] == nil) || !errors.Is(errors.Join(errs...), courier.ErrNotFree) {
			t.Fatalf("errors %v, want one ErrNotFree", errs)
		}
		f.sound()
	}
}
