package orderevent

import "service-courier/internal/courier"

// actCancelled cancels the order, whatever it was before.
func actCancelled(rec Record, s sighting) decision {
	return cancel(rec, says(s))
}

// cancel undoes the delivery, frees its courier and leaves the record as a
// tombstone, also for an order that never had a courier.
func cancel(rec Record, reason string) decision {
	next := Record{OrderID: rec.OrderID, State: courier.StateCancelled, CreatedAt: rec.CreatedAt}
	return decision{next, Applied, reason}
}
