package orderevent

import (
	"testing"
	"time"

	"service-courier/internal/courier"
)

// claimed is the observation of the recheck with this token.
func claimed(k kind, token int64) observation {
	return observed(k, mergedHint{orderID: "1", token: token})
}

// runRechecks rechecks o until nothing is scheduled, or once more than allowed. It
// returns the last decision, the number of rechecks and how long they took.
func runRechecks(o Order, k kind) (last decision, rechecks int, took time.Duration) {
	for o.Recheck.In > 0 && rechecks <= maxRechecks {
		rechecks++
		took += o.Recheck.In
		o.Recheck.In, o.Recheck.Token = 0, int64(rechecks)
		last = decide(o, claimed(k, int64(rechecks)))
		o = last.next
	}
	return last, rechecks, took
}

func TestUnknownOrderIsDeletedAfterFiveRechecks(t *testing.T) {
	first := decide(Order{OrderID: "1"}, observed(kindMissing, mergedHint{orderID: "1", event: true}))
	last, rechecks, took := runRechecks(first.next, kindMissing)
	if rechecks != maxRechecks || took != 30*time.Second {
		t.Errorf("%d rechecks in %v, want %d in 30s", rechecks, took, maxRechecks)
	}
	if last.next != (Order{OrderID: "1"}) || last.outcome != Ignored {
		t.Errorf("at last %+v, want the row deleted", last)
	}
}

func TestMissingAssignedOrderKeepsItsCourier(t *testing.T) {
	o := Order{OrderID: "1", State: courier.StateAssigned}
	first := decide(o, observed(kindMissing, mergedHint{orderID: "1", event: true}))
	last, _, _ := runRechecks(first.next, kindMissing)
	if last.next.State != courier.StateAssigned || !last.next.Missing || last.next.Recheck != (Recheck{}) {
		t.Errorf("at last %+v, want it assigned and missing, without a recheck", last.next)
	}
}

func TestEventAheadOfServiceOrder(t *testing.T) {
	o := Order{OrderID: "1", State: courier.StateAssigned}
	first := decide(o, observed(kindActive, mergedHint{orderID: "1", event: true, eventClass: courier.ClassCompleted}))
	t.Run("service-order catches up", func(t *testing.T) {
		o := first.next
		o.Recheck.In, o.Recheck.Token = 0, 7
		if d := decide(o, claimed(kindCompleted, 7)); d.next != (Order{OrderID: "1", State: courier.StateCompleted}) {
			t.Errorf("next = %+v, want it completed and nothing pending", d.next)
		}
	})
	t.Run("the answer stands", func(t *testing.T) {
		last, rechecks, _ := runRechecks(first.next, kindActive)
		if rechecks != maxRechecks || last.next != o {
			t.Errorf("after %d rechecks %+v, want %+v after %d", rechecks, last.next, o, maxRechecks)
		}
	})
	t.Run("an outage uses up no recheck and loses no stated ending", func(t *testing.T) {
		o := first.next
		for i := range 20 {
			o.Recheck.In, o.Recheck.Token = 0, int64(i+1)
			o = decide(o, claimed(kindUnavailable, int64(i+1))).next
		}
		o.Recheck.In, o.Recheck.Token = 0, 100
		o = decide(o, claimed(kindActive, 100)).next
		if o.Recheck.Reason != ReasonAhead || o.Recheck.Count != 2 || o.Recheck.Failures != 0 {
			t.Errorf("recheck = %+v, want the second one as ahead", o.Recheck)
		}
	})
}

func TestCancelHintOutlivesTheRechecks(t *testing.T) {
	o := Order{OrderID: "1", State: courier.StateAssigned}
	first := decide(o, observed(kindActive, mergedHint{orderID: "1", event: true, eventClass: courier.ClassCancelled}))
	last, _, _ := runRechecks(first.next, kindActive)
	if last.next.Hinted != courier.ClassCancelled {
		t.Fatalf("at last %+v, want the cancel hint kept", last.next)
	}
	if d := decide(last.next, observed(kindMissing, mergedHint{orderID: "1", event: true})); d.next.State != courier.StateCancelled {
		t.Errorf("after a later 404: %+v, want it cancelled", d.next)
	}
}

func TestUnavailableIsRecheckedForEver(t *testing.T) {
	o := decide(Order{OrderID: "1"}, observed(kindUnavailable, mergedHint{orderID: "1", event: true})).next
	var delays []time.Duration
	for i := range int64(30) {
		delays = append(delays, o.Recheck.In)
		o.Recheck.In, o.Recheck.Token = 0, i+1
		o = decide(o, claimed(kindUnavailable, i+1)).next
	}
	if delays[0] != time.Second || delays[1] != 2*time.Second || delays[29] != 10*time.Minute {
		t.Errorf("delays %v, want 1s, 2s … 10m", delays)
	}
	if o.Recheck.Failures != 31 || o.Recheck.Error == "" {
		t.Errorf("recheck = %+v, want 31 failures and the error", o.Recheck)
	}
}

// TestBackoffStaysWithinItsBounds: without the bound on the doublings the 35th delay is
// negative.
func TestBackoffStaysWithinItsBounds(t *testing.T) {
	for failures := 1; failures <= 1000; failures++ {
		if got := backoff(failures); got < minBackoff || got > maxBackoff {
			t.Errorf("after %d failures %v", failures, got)
		}
	}
}

// TestCompletedOrderIsNotRecheckedForEver: a completed order needs no courier, whatever
// status it gets afterwards. It fails when decideUnknownStatus has no case for it.
func TestCompletedOrderIsNotRecheckedForEver(t *testing.T) {
	o := Order{OrderID: "1", State: courier.StateCompleted}
	first := decide(o, observed(kindUnknownStatus, mergedHint{orderID: "1", event: true}))
	last, rechecks, _ := runRechecks(first.next, kindUnknownStatus)
	if rechecks != maxRechecks || last.next != o || last.outcome != Ignored {
		t.Errorf("after %d rechecks %s, %+v; want %+v unchanged after %d", rechecks, last.outcome, last.next, o, maxRechecks)
	}
}

// TestEventRestartsTheRechecks: an event gets all its rechecks, however many the pending
// one has used up. Each case fails when progress returns the pending recheck.
func TestEventRestartsTheRechecks(t *testing.T) {
	usedUp := Recheck{Reason: ReasonAhead, Count: maxRechecks, Failures: 30, Token: 3}
	for k, want := range map[kind]Recheck{
		kindActive:      {Reason: ReasonAhead, Count: 1, In: boundedDelays[0]},
		kindUnavailable: {Reason: ReasonUnavailable, Failures: 1, In: minBackoff},
	} {
		o := Order{OrderID: "1", State: courier.StateAssigned, Recheck: usedUp}
		got := decide(o, observed(k, mergedHint{orderID: "1", event: true, eventClass: courier.ClassCompleted})).next.Recheck
		got.Error = ""
		if got != want {
			t.Errorf("kind %d: recheck = %+v, want %+v", k, got, want)
		}
	}
}

// TestTokenProtectsANewerRecheck fails when ownsRecheck compares no tokens: an older
// observation would clear the recheck that a newer hint scheduled.
func TestTokenProtectsANewerRecheck(t *testing.T) {
	newer := Recheck{Reason: ReasonAhead, Count: 1, Token: 9}
	o := Order{OrderID: "1", State: courier.StateAssigned, Hinted: courier.ClassCompleted, Recheck: newer}
	for _, k := range kinds {
		if k == kindCancelled || k == kindCompleted {
			continue // a final state clears the recheck
		}
		if d := decide(o, claimed(k, 8)); d.next.Recheck != newer {
			t.Errorf("kind %d: an older recheck left %+v, want %+v untouched", k, d.next.Recheck, newer)
		}
	}
	if d := decide(o, observed(kindActive, mergedHint{orderID: "1", event: true})); d.next.Recheck != newer {
		t.Errorf("an event left %+v, want %+v untouched", d.next.Recheck, newer)
	}
}

func TestOutdatedRecheckDoesNotRestoreADeletedOrder(t *testing.T) {
	for _, k := range []kind{kindMissing, kindUnknownStatus, kindUnavailable} {
		if d := decide(Order{OrderID: "1"}, claimed(k, 8)); d.next != (Order{OrderID: "1"}) {
			t.Errorf("kind %d: next = %+v, want no row", k, d.next)
		}
	}
}

// TestResyncSchedulesNothing: the resync repeats itself, so an answer without a known
// status schedules no recheck. Only a missing active order is marked.
func TestResyncSchedulesNothing(t *testing.T) {
	for _, state := range courier.States()[1:] {
		for _, k := range []kind{kindMissing, kindUnknownStatus, kindUnavailable} {
			o := Order{OrderID: "1", State: state}
			want := o
			want.Missing = k == kindMissing && state.Class() == courier.ClassActive
			if d := decide(o, observed(k, mergedHint{orderID: "1"})); d.next != want {
				t.Errorf("%q + kind %d: next = %+v, want %+v", state, k, d.next, want)
			}
		}
	}
	for _, k := range []kind{kindMissing, kindUnknownStatus, kindUnavailable} {
		// The next resync may begin after this order: only a recheck finds it again.
		if d := decide(Order{OrderID: "1"}, observed(k, mergedHint{orderID: "1"})); d.next.State != courier.StateSeen || d.next.Recheck.In == 0 {
			t.Errorf("no row + kind %d: next = %+v, want it seen, with a recheck", k, d.next)
		}
	}
	o := Order{OrderID: "1", State: courier.StateAssigned, Hinted: courier.ClassCancelled}
	if d := decide(o, observed(kindMissing, mergedHint{orderID: "1"})); d.next.State != courier.StateCancelled {
		t.Errorf("a 404 of the resync with a stored cancel hint: %+v, want it cancelled", d.next)
	}
}
