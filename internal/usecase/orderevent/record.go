package orderevent

import (
	"time"

	"service-courier/internal/courier"
)

// Record is what this service knows of an order: the row of table orders.
// An order without a row is a Record in StateNone.
type Record struct {
	OrderID   courier.OrderID
	State     courier.State
	CreatedAt time.Time // as service-order tells it; zero when not known
	// Hinted is the highest ending that an event claimed and no GET has
	// confirmed: ClassCompleted, ClassCancelled (the cancel hint) or ClassUnknown.
	Hinted  courier.Class
	Missing bool // the last GET that told of the order, or of none, was a 404
	Look    Look // the pending look; zero when none is due
}

// become takes the record up the ladder, and reports whether it may go there.
// This is the one place where a record changes its state, but for cancel.
func (r *Record) become(to courier.State) bool {
	if !r.State.CanBecome(to) {
		return false
	}
	r.State = to
	return true
}

// Look is the next look at an order: why, and how often it was tried.
type Look struct {
	Reason   Reason
	Count    int           // answers so far; at most maxLooks for ReasonMissing and ReasonAhead
	Failures int           // looks in a row without a usable answer; decides the back-off
	Error    string        // of the last failure
	Token    int64         // names this scheduling or claim; given by the store
	In       time.Duration // > 0 schedules: how long from now; 0 leaves the look as it is stored
}

// Reason is why an order has to be looked at again.
type Reason string

// The reasons. Missing and ahead are given up after maxLooks, the others never.
const (
	ReasonMissing       Reason = "missing"        // 404, and no event said cancelled
	ReasonAhead         Reason = "ahead"          // an event claimed more than the GET said
	ReasonUnknownStatus Reason = "unknown_status" // answered with a status nobody knows
	ReasonUnavailable   Reason = "unavailable"    // service-order could not be asked
)

// Disposition says what became of a hint.
type Disposition string

// The dispositions.
const (
	Applied    Disposition = "applied"    // the order changed its state
	Unchanged  Disposition = "unchanged"  // the record says so already
	Superseded Disposition = "superseded" // the record is further than the answer
	Deferred   Disposition = "deferred"   // another look is due
	Ignored    Disposition = "ignored"    // looked at often enough; nothing follows
)
