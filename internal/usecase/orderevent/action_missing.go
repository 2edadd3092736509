package orderevent

import "service-courier/internal/courier"

// actMissing handles a 404. It cancels only together with an event that said
// so, for a restarted service-order answers 404 for every order it had. Alone
// it frees nobody and gives nobody: the order is marked missing, looked at a
// few times more, and then left alone; if nothing else is known of it, it is
// forgotten.
func actMissing(rec Record, s sighting) decision {
	switch {
	case rec.Hinted == courier.ClassCancelled:
		return cancel(rec, "service-order has no such order, and an event said it was cancelled")
	case s.passing(rec):
		rec.Missing = rec.Missing || rec.State.Class() == courier.ClassActive
		return decision{rec, Unchanged, ""}
	case rec.State == courier.StateCompleted:
		if s.holdsLook(rec) {
			rec.Look = Look{}
		}
		return decision{rec, Ignored, "service-order no longer has the completed order"}
	}
	if rec.State == courier.StateNone {
		rec.State = courier.StateSeen
	}
	rec.Missing = true
	if lookAFewTimes(&rec, s, ReasonMissing) {
		return decision{rec, Deferred, "service-order has no such order"}
	}
	if rec.State == courier.StateSeen {
		return decision{Record{OrderID: rec.OrderID}, Ignored, "service-order never knew the order"}
	}
	return decision{rec, Ignored, "service-order no longer has the order; it is missing"}
}
