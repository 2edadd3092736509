package orderevent

import (
	"time"

	"service-courier/internal/courier"
)

// Order is what this service knows about an order: its row in table orders. An
// order without a row is in StateNone.
type Order struct {
	OrderID   courier.OrderID
	State     courier.State
	CreatedAt time.Time // by service-order; zero when unknown
	// Hinted is the highest ending that an event stated and no answer has
	// confirmed: ClassCompleted, ClassCancelled (the cancel hint) or ClassUnknown.
	Hinted  courier.Class
	Missing bool    // service-order answered the last fetch with 404
	Recheck Recheck // the pending recheck; zero when there is none
}

// become moves the order up the ladder and reports whether that was allowed. Only
// this and cancel change the state of an order.
func (o *Order) become(to courier.State) bool {
	if !o.State.CanBecome(to) {
		return false
	}
	o.State = to
	return true
}

// Recheck is a scheduled fetch of an order.
type Recheck struct {
	Reason   Reason
	Count    int           // answers so far, the first included; limits the bounded rechecks
	Failures int           // consecutive fetches without a usable answer; sets the back-off
	Error    string        // of the last failure
	Token    int64         // identifies this schedule or claim; set by the store
	In       time.Duration // > 0: schedule the recheck after this time; 0: keep what is stored
}

// Reason is why an order has to be fetched again.
type Reason string

// The reasons. Missing, ahead, and unknown_status of a completed order end after
// maxRechecks; the others repeat until service-order gives a usable answer.
const (
	ReasonMissing       Reason = "missing"        // 404, and no event said cancelled
	ReasonAhead         Reason = "ahead"          // an event stated a higher class than the answer
	ReasonUnknownStatus Reason = "unknown_status" // the answer has an unknown status
	ReasonUnavailable   Reason = "unavailable"    // the fetch failed
)

// ActiveOrders counts the active orders, for monitoring. Ages are by the store's
// clock.
type ActiveOrders struct {
	Active        int           // waiting, assigned and held orders; 0 while none of them is missing
	Missing       int           // active orders that service-order answers with 404
	MissingOldest time.Duration // how long the first of them has been missing
	Lost          int           // missing orders that were missing already when service-order lost its state
	Waiting       int           // waiting orders, the missing ones included
	WaitingOldest time.Duration // how long the first in the queue that is not missing has been known
}

// Many missing active orders mean that service-order lost its state, as it does
// when it restarts.
const (
	stateLostOrders = 5
	stateLostShare  = 0.5
)

// StateLost reports whether service-order lost its state and the orders that it lost
// are still missing, however many new ones there are.
func (a ActiveOrders) StateLost() bool { return a.Lost > 0 || a.MostMissing() }

// MostMissing reports whether service-order seems to lose its state now.
func (a ActiveOrders) MostMissing() bool {
	return a.Missing >= stateLostOrders && float64(a.Missing) >= stateLostShare*float64(a.Active)
}
