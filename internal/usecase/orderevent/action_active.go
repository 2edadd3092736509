package orderevent

import (
	"fmt"

	"service-courier/internal/courier"
)

// actActive parks an order that service-order says is under way and that
// nobody stands in line for yet. Parking is all: Matcher alone assigns.
func actActive(rec Record, s sighting) decision {
	reason := says(s)
	was := rec.State
	if was == courier.StateNone || was == courier.StateSeen {
		rec.State = courier.StateWaiting
		rec.CreatedAt = s.answer.CreatedAt
	}
	rec.Missing = false
	after := settle(&rec, s, courier.ClassActive)
	switch {
	case was != rec.State:
		after = Applied
	case was == courier.StateCompleted && after == Unchanged:
		after, reason = Superseded, reason+", but the order is completed already"
	}
	return decision{rec, after, reason}
}

// says words the answer for the journal and the log.
func says(s sighting) string { return fmt.Sprintf("service-order says %s", s.answer.Status) }
