package orderevent

import (
	"fmt"

	"service-courier/internal/courier"
)

// actUnknownStatus handles a status that nobody knows: it changes nothing and
// is looked at again until the order has one that is understood. A completed
// order wants nothing any more, so it is looked at a few times only; else
// every order that gets, say, a "rated" afterwards would be asked for for ever.
func actUnknownStatus(rec Record, s sighting) decision {
	reason := fmt.Sprintf("service-order says %q, which is no status known here", s.answer.Status)
	switch {
	case s.passing(rec):
		return decision{rec, Unchanged, ""}
	case rec.State == courier.StateCompleted:
		if !lookAFewTimes(&rec, s, ReasonUnknownStatus) {
			return decision{rec, Ignored, reason}
		}
		return decision{rec, Deferred, reason}
	case rec.State == courier.StateNone:
		rec.State = courier.StateSeen
	}
	lookForEver(&rec, s, ReasonUnknownStatus, reason)
	return decision{rec, Deferred, reason}
}
