package orderevent

import "service-courier/internal/courier"

// actCompleted completes the order: its courier becomes free and the delivery
// counts. An order that never had a courier is completed all the same, so that
// nobody is sent out for it; it counts for nobody.
func actCompleted(rec Record, s sighting) decision {
	completed := rec.become(courier.StateCompleted)
	if completed && rec.CreatedAt.IsZero() {
		rec.CreatedAt = s.answer.CreatedAt
	}
	rec.Missing = false
	after := settle(&rec, s, courier.ClassCompleted)
	if completed {
		after = Applied
	}
	return decision{rec, after, says(s)}
}
