package orderevent

import "service-courier/internal/courier"

// maxErrorLen bounds the error text kept with a look, in bytes.
const maxErrorLen = 300

// actUnavailable puts the order off until service-order can be asked. What an
// event claimed is already in the record, so that it is remembered meanwhile.
func actUnavailable(rec Record, s sighting) decision {
	if s.passing(rec) {
		return decision{rec, Unchanged, ""}
	}
	if rec.State == courier.StateNone {
		rec.State = courier.StateSeen
	}
	problem := s.err.Error()
	if len(problem) > maxErrorLen {
		problem = problem[:maxErrorLen]
	}
	lookForEver(&rec, s, ReasonUnavailable, problem)
	return decision{rec, Deferred, problem}
}
