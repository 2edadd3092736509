package orderevent

import (
	"context"
	"errors"
	"testing"

	"service-courier/internal/courier"
	"service-courier/internal/gateway/order"
)

// converge runs a command that tells what it was given.
func (r rig) converge(t *testing.T, id courier.OrderID) (rec Record, missing, ran bool, err error) {
	t.Helper()
	err = r.Converge(t.Context(), id, "person", func(_ context.Context, _ Tx, given Record, gone bool) (Saved, error) {
		rec, missing, ran = given, gone, true
		return Saved{}, nil
	})
	return rec, missing, ran, err
}

// TestConvergeSavesWhatServiceOrderSaysFirst: the command sees an order that no
// event ever told of.
func TestConvergeSavesWhatServiceOrderSaysFirst(t *testing.T) {
	r := newRig(map[courier.OrderID]string{"a": "cooking"})
	rec, missing, ran, err := r.converge(t, "a")
	if err != nil || !ran || missing || rec.State != courier.StateWaiting {
		t.Errorf("the command ran %t with %+v, missing %t, %v; want the order in line", ran, rec, missing, err)
	}
	if r.store.records["a"].State != courier.StateWaiting || !r.woken() {
		t.Errorf("saved %+v; want the order in line and the matcher woken", r.store.records)
	}
}

// TestConvergeLeavesNothingOfAnUnknownOrder: asking for ids that service-order
// does not have fills no table, and schedules no look.
func TestConvergeLeavesNothingOfAnUnknownOrder(t *testing.T) {
	r := newRig(map[courier.OrderID]string{"odd": "refunded"})
	for id, gone := range map[courier.OrderID]bool{"none": true, "odd": false} {
		rec, missing, ran, err := r.converge(t, id)
		if err != nil || !ran || missing != gone || rec.State != courier.StateNone {
			t.Errorf("%s: the command ran %t with %+v, missing %t, %v", id, ran, rec, missing, err)
		}
	}
	if len(r.store.records) != 0 {
		t.Errorf("kept %+v, want nothing", r.store.records)
	}
}

func TestConvergeMarksAnOpenOrderMissing(t *testing.T) {
	r := newRig(nil)
	r.store.records = map[courier.OrderID]Record{"a": {OrderID: "a", State: courier.StateAssigned}}
	rec, missing, _, err := r.converge(t, "a")
	if err != nil || !missing || !rec.Missing || rec.State != courier.StateAssigned || !r.store.records["a"].Missing {
		t.Errorf("given %+v, missing %t, %v; want it assigned and missing", rec, missing, err)
	}
}

// TestConvergeChangesNothingUnasked: without an answer no command runs.
func TestConvergeChangesNothingUnasked(t *testing.T) {
	open := newRig(nil)
	open.client.ready = order.ErrOpen
	failing := newRig(nil)
	failing.client.down = true
	for name, r := range map[string]rig{"breaker open": open, "GET failed": failing} {
		_, _, ran, err := r.converge(t, "a")
		if !errors.Is(err, courier.ErrOrdersUnavailable) || ran || len(r.store.records) != 0 {
			t.Errorf("%s: err = %v, ran %t; want ErrOrdersUnavailable and nothing done", name, err, ran)
		}
	}
}

func TestConvergeRunsAgainWithTheTransaction(t *testing.T) {
	r := newRig(map[courier.OrderID]string{"a": "cooking"})
	r.store.reruns = 2
	made := Assignment{OrderID: "a", CourierID: 7}
	err := r.Converge(t.Context(), "a", "person", func(context.Context, Tx, Record, bool) (Saved, error) {
		return Saved{Assignments: []Assignment{made}}, nil
	})
	if err != nil || len(r.seen.matched) != 1 || r.seen.matched[0] != made {
		t.Errorf("told %+v, %v; want the assignment once", r.seen.matched, err)
	}
}
