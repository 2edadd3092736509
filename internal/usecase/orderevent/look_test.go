package orderevent

import (
	"testing"
	"time"

	"service-courier/internal/courier"
)

// claimed is the sighting of a look that this worker holds.
func claimed(k kind, token int64) sighting { return see(k, subject{orderID: "1", token: token}) }

// follow repeats the looks at rec until none is scheduled, or one more than there may
// be was, and returns the last decision, how many looks there were and how long they took.
func follow(rec Record, k kind) (last decision, looks int, took time.Duration) {
	for rec.Look.In > 0 && looks <= maxLooks {
		looks++
		took += rec.Look.In
		rec.Look.In, rec.Look.Token = 0, int64(looks)
		last = decide(rec, claimed(k, int64(looks)))
		rec = last.next
	}
	return last, looks, took
}

func TestMissingIsLookedAtFiveTimesThenForgotten(t *testing.T) {
	first := decide(Record{OrderID: "1"}, see(kindMissing, subject{orderID: "1", fresh: true}))
	last, looks, took := follow(first.next, kindMissing)
	if looks != maxLooks || took != 30*time.Second {
		t.Errorf("%d looks in %v, want %d in 30s", looks, took, maxLooks)
	}
	if last.next != (Record{OrderID: "1"}) || last.disposition != Ignored {
		t.Errorf("at last %+v, want the record forgotten", last)
	}
}

func TestMissingAssignedOrderKeepsItsCourier(t *testing.T) {
	rec := Record{OrderID: "1", State: courier.StateAssigned}
	first := decide(rec, see(kindMissing, subject{orderID: "1", fresh: true}))
	last, _, _ := follow(first.next, kindMissing)
	if last.next.State != courier.StateAssigned || !last.next.Missing || last.next.Look != (Look{}) {
		t.Errorf("at last %+v, want it assigned, missing and left alone", last.next)
	}
}

func TestEventAheadOfTheTruth(t *testing.T) {
	rec := Record{OrderID: "1", State: courier.StateAssigned}
	first := decide(rec, see(kindActive, subject{orderID: "1", fresh: true, said: courier.ClassCompleted}))
	t.Run("the truth follows", func(t *testing.T) {
		rec := first.next
		rec.Look.In, rec.Look.Token = 0, 7
		if d := decide(rec, claimed(kindCompleted, 7)); d.next != (Record{OrderID: "1", State: courier.StateCompleted}) {
			t.Errorf("next = %+v, want it completed and nothing pending", d.next)
		}
	})
	t.Run("the GET stands", func(t *testing.T) {
		last, looks, _ := follow(first.next, kindActive)
		if looks != maxLooks || last.next != rec {
			t.Errorf("after %d looks %+v, want %+v after %d", looks, last.next, rec, maxLooks)
		}
	})
	t.Run("an outage in between costs no look and loses no claim", func(t *testing.T) {
		rec := first.next
		for i := range 20 {
			rec.Look.In, rec.Look.Token = 0, int64(i+1)
			rec = decide(rec, claimed(kindUnavailable, int64(i+1))).next
		}
		rec.Look.In, rec.Look.Token = 0, 100
		rec = decide(rec, claimed(kindActive, 100)).next
		if rec.Look.Reason != ReasonAhead || rec.Look.Count != 2 || rec.Look.Failures != 0 {
			t.Errorf("look = %+v, want the second one as ahead", rec.Look)
		}
	})
}

func TestCancelHintOutlivesTheLooks(t *testing.T) {
	rec := Record{OrderID: "1", State: courier.StateAssigned}
	first := decide(rec, see(kindActive, subject{orderID: "1", fresh: true, said: courier.ClassCancelled}))
	last, _, _ := follow(first.next, kindActive)
	if last.next.Hinted != courier.ClassCancelled {
		t.Fatalf("at last %+v, want the cancel hint kept", last.next)
	}
	if d := decide(last.next, see(kindMissing, subject{orderID: "1", fresh: true})); d.next.State != courier.StateCancelled {
		t.Errorf("after a later 404: %+v, want it cancelled", d.next)
	}
}

func TestUnavailableIsNeverGivenUp(t *testing.T) {
	rec := decide(Record{OrderID: "1"}, see(kindUnavailable, subject{orderID: "1", fresh: true})).next
	var delays []time.Duration
	for i := range int64(30) {
		delays = append(delays, rec.Look.In)
		rec.Look.In, rec.Look.Token = 0, i+1
		rec = decide(rec, claimed(kindUnavailable, i+1)).next
	}
	if delays[0] != time.Second || delays[1] != 2*time.Second || delays[29] != 10*time.Minute {
		t.Errorf("delays %v, want 1s, 2s … 10m", delays)
	}
	if rec.Look.Failures != 31 || rec.Look.Error == "" {
		t.Errorf("look = %+v, want 31 failures and the error", rec.Look)
	}
}

// TestBackoffStaysWithinItsBounds, however long the outage. Without the bound on the
// doublings the 35th delay is negative.
func TestBackoffStaysWithinItsBounds(t *testing.T) {
	for failures := 1; failures <= 1000; failures++ {
		if got := backoff(failures); got < minBackoff || got > maxBackoff {
			t.Errorf("after %d failures %v", failures, got)
		}
	}
}

// TestCompletedOrderIsNotLookedAtForEver: it wants nothing any more, whatever status it
// gets afterwards. It fails when an unknown status is looked at as that of any other order.
func TestCompletedOrderIsNotLookedAtForEver(t *testing.T) {
	rec := Record{OrderID: "1", State: courier.StateCompleted}
	first := decide(rec, see(kindUnknownStatus, subject{orderID: "1", fresh: true}))
	last, looks, _ := follow(first.next, kindUnknownStatus)
	if looks != maxLooks || last.next != rec || last.disposition != Ignored {
		t.Errorf("after %d looks %s, %+v; want %+v left alone after %d", looks, last.disposition, last.next, rec, maxLooks)
	}
}

// TestEventBeginsTheLooksAnew: what was used up by those before it is not missing for
// its own. Each case fails when progress goes on from the pending look.
func TestEventBeginsTheLooksAnew(t *testing.T) {
	usedUp := Look{Reason: ReasonAhead, Count: maxLooks, Failures: 30, Token: 3}
	for k, want := range map[kind]Look{
		kindActive:      {Reason: ReasonAhead, Count: 1, In: boundedDelays[0]},
		kindUnavailable: {Reason: ReasonUnavailable, Failures: 1, In: minBackoff},
	} {
		rec := Record{OrderID: "1", State: courier.StateAssigned, Look: usedUp}
		got := decide(rec, see(k, subject{orderID: "1", fresh: true, said: courier.ClassCompleted})).next.Look
		got.Error = ""
		if got != want {
			t.Errorf("kind %d: look = %+v, want %+v", k, got, want)
		}
	}
}

// TestTokenGuardsANewerLook fails when holdsLook is made to say yes always: a
// look that a newer hint scheduled would be cleared by an older one.
func TestTokenGuardsANewerLook(t *testing.T) {
	newer := Look{Reason: ReasonAhead, Count: 1, Token: 9}
	rec := Record{OrderID: "1", State: courier.StateAssigned, Hinted: courier.ClassCompleted, Look: newer}
	for _, k := range kinds {
		if k == kindCancelled || k == kindCompleted {
			continue // the end of the order ends its looks
		}
		if d := decide(rec, claimed(k, 8)); d.next.Look != newer {
			t.Errorf("kind %d: an older look left %+v, want %+v untouched", k, d.next.Look, newer)
		}
	}
	if d := decide(rec, see(kindActive, subject{orderID: "1", fresh: true})); d.next.Look != newer {
		t.Errorf("an event left %+v, want %+v untouched", d.next.Look, newer)
	}
}

func TestStaleLookDoesNotBringAForgottenOrderBack(t *testing.T) {
	for _, k := range []kind{kindMissing, kindUnknownStatus, kindUnavailable} {
		if d := decide(Record{OrderID: "1"}, claimed(k, 8)); d.next != (Record{OrderID: "1"}) {
			t.Errorf("kind %d: next = %+v, want no record", k, d.next)
		}
	}
}

func TestCoalesce(t *testing.T) {
	got := coalesce([]Hint{
		{OrderID: "b", Said: courier.ClassActive, Source: "0@1"},
		{OrderID: "a", Said: courier.ClassCancelled, Source: "1@1"},
		{OrderID: "b", Token: 5, Source: "look"},
		{OrderID: "a", Said: courier.ClassCompleted, Source: "1@2"},
		{OrderID: "c", Token: 6, Source: "look"},
	})
	want := []subject{
		{orderID: "b", said: courier.ClassActive, token: 5, fresh: true, source: "0@1"},
		{orderID: "a", said: courier.ClassCancelled, fresh: true, source: "1@2"},
		{orderID: "c", token: 6, source: "look"},
	}
	if len(got) != len(want) {
		t.Fatalf("got %d subjects, want %d", len(got), len(want))
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("subject %d = %+v, want %+v", i, got[i], want[i])
		}
	}
}

// TestSweepSchedulesNothing: the sweep comes again by itself, so an answer that
// decides nothing leaves no look behind; only that an open order is missing is
// marked.
func TestSweepSchedulesNothing(t *testing.T) {
	for _, state := range courier.States()[1:] {
		for _, k := range []kind{kindMissing, kindUnknownStatus, kindUnavailable} {
			rec := Record{OrderID: "1", State: state}
			want := rec
			want.Missing = k == kindMissing && state.Class() == courier.ClassActive
			if d := decide(rec, see(k, subject{orderID: "1"})); d.next != want {
				t.Errorf("%q + kind %d: next = %+v, want %+v", state, k, d.next, want)
			}
		}
	}
	for _, k := range []kind{kindMissing, kindUnknownStatus, kindUnavailable} {
		// It was listed, and later sweeps may begin after it: only a look keeps it.
		if d := decide(Record{OrderID: "1"}, see(k, subject{orderID: "1"})); d.next.State != courier.StateSeen || d.next.Look.In == 0 {
			t.Errorf("no record + kind %d: next = %+v, want it seen and looked at again", k, d.next)
		}
	}
	rec := Record{OrderID: "1", State: courier.StateAssigned, Hinted: courier.ClassCancelled}
	if d := decide(rec, see(kindMissing, subject{orderID: "1"})); d.next.State != courier.StateCancelled {
		t.Errorf("a 404 of the sweep with a stored cancel hint: %+v, want it cancelled", d.next)
	}
}
