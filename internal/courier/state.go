package courier

// State is where an order stands in this service. The zero State is an order
// that has no record yet.
//
//	none → seen → {waiting ⇄ assigned ⇄ held ⇄ waiting} → completed → cancelled
//
// The three active states follow each other freely; otherwise an order only
// climbs, and may leave out any step on its way.
type State string

// The states of an order's record.
const (
	StateNone      State = ""          // no record
	StateSeen      State = "seen"      // hinted; its class is not known yet
	StateWaiting   State = "waiting"   // in line for a courier
	StateAssigned  State = "assigned"  // has exactly one courier, who is busy with it
	StateHeld      State = "held"      // taken from its courier; only a person gives it another
	StateCompleted State = "completed" // delivered
	StateCancelled State = "cancelled" // the end: nothing follows
)

// States lists every state of a record, lowest first.
func States() []State {
	return []State{StateNone, StateSeen, StateWaiting, StateAssigned, StateHeld, StateCompleted, StateCancelled}
}

// Class returns the class that the state stands for; ClassUnknown for an order
// that has no record or was only seen.
func (s State) Class() Class {
	switch s {
	case StateWaiting, StateAssigned, StateHeld:
		return ClassActive
	case StateCompleted:
		return ClassCompleted
	case StateCancelled:
		return ClassCancelled
	case StateNone, StateSeen:
	}
	return ClassUnknown
}

// CanBecome reports whether the ladder allows the step from s to next: the
// class never falls, nothing follows cancelled, and seen is only a beginning.
func (s State) CanBecome(next State) bool {
	switch {
	case s == next, next == StateNone, s == StateCancelled:
		return false
	case next == StateSeen:
		return s == StateNone
	default:
		return next.Class() >= s.Class()
	}
}
