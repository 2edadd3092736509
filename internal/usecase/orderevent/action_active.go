package orderevent

import (
	"fmt"

	"service-courier/internal/courier"
)

// actActive parks an order that service-order says is under way and that is
// not under way here yet. Parking is all: Matcher alone assigns. The ladder
// keeps an order that has ended where it is.
func actActive(rec Record, s sighting) decision {
	reason := says(s)
	parked := rec.State.Class() != courier.ClassActive && rec.become(courier.StateWaiting)
	if parked {
		rec.CreatedAt = s.answer.CreatedAt
	}
	rec.Missing = false
	after := settle(&rec, s, courier.ClassActive)
	switch {
	case parked:
		after = Applied
	case rec.State == courier.StateCompleted && after == Unchanged:
		after, reason = Superseded, reason+", but the order is completed already"
	}
	return decision{rec, after, reason}
}

// says words the answer for the journal and the log.
func says(s sighting) string { return fmt.Sprintf("service-order says %s", s.answer.Status) }
