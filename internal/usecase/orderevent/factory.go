package orderevent

import "service-courier/internal/courier"

// decision is what a sighting makes of a record.
type decision struct {
	next        Record // StateNone: the record is forgotten
	disposition Disposition
	reason      string // for the journal and the log
}

// action makes the next record of the one at hand and a sighting of its
// order. Actions are pure: they ask nobody and write nothing.
type action func(Record, sighting) decision

// actions is the factory: what service-order answered chooses the action.
// TestFactoryIsComplete holds that every kind has one.
var actions = map[kind]action{
	kindActive:        actActive,
	kindCompleted:     actCompleted,
	kindCancelled:     actCancelled,
	kindMissing:       actMissing,
	kindUnknownStatus: actUnknownStatus,
	kindUnavailable:   actUnavailable,
}

// decide is the whole decision about one order. What an event claimed is
// merged into the record first, never overwritten, so that it outlives this
// look. Nothing follows cancelled: its record is the tombstone that keeps a
// slower reader of an older GET from assigning the order again.
func decide(rec Record, s sighting) decision {
	if rec.State == courier.StateCancelled {
		return atTheEnd(rec, s)
	}
	if s.said >= courier.ClassCompleted && s.said > rec.State.Class() {
		rec.Hinted = max(rec.Hinted, s.said)
	}
	return actions[s.kind()](rec, s)
}

// atTheEnd tells a repetition of the ending from an answer that fell behind it.
func atTheEnd(rec Record, s sighting) decision {
	if k := s.kind(); k == kindActive || k == kindCompleted {
		return decision{rec, Superseded, says(s) + ", but the order is cancelled already"}
	}
	return decision{rec, Unchanged, ""}
}

// holdsLook reports whether the sighting holds the pending look. Only then may
// it clear the look: one that a newer hint scheduled meanwhile is not its own.
func (s sighting) holdsLook(rec Record) bool {
	return s.token != 0 && s.token == rec.Look.Token
}
