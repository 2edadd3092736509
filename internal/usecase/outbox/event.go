// Package outbox publishes the transitions of orders for other services. The journal is
// the outbox: a transition is in it exactly when its transaction was committed. An Outbox
// follows it with the reader of the live feed, publishes, and stores its position after
// the acknowledgement: each transition is published at least once, an order's in the
// order they happened. The package knows no SQL and no Kafka.
package outbox

import (
	"strconv"
	"time"

	"service-courier/internal/courier"
	"service-courier/internal/usecase/livefeed"
	"service-courier/internal/usecase/orders"
)

// Type is the type of an Event.
type Type string

// The types.
const (
	TypeQueued     Type = "queued"     // the order waits for a courier
	TypeAssigned   Type = "assigned"   // the order has a courier
	TypeUnassigned Type = "unassigned" // a dispatcher took the order off its courier and put it on hold
	TypeExpired    Type = "expired"    // its deadline did
	TypeReleased   Type = "released"   // a dispatcher put the order back into the waiting queue
	TypeCompleted  Type = "completed"
	TypeCancelled  Type = "cancelled"
)

// Event is one transition of an order.
type Event struct {
	Type       Type
	OrderID    courier.OrderID
	CourierID  int64             // 0 without a courier
	Transport  courier.Transport // of the courier now; "" without one
	Deadline   time.Time         // of an assignment; else zero
	OccurredAt time.Time
	Reason     string
	// Sequence rises from one event of an order to the next; numbers are left out.
	Sequence int64
}

// ID identifies the transition. It is the same when the event is published again, also
// from a restored database.
func (e Event) ID() string { return string(e.OrderID) + "." + strconv.FormatInt(e.Sequence, 10) }

// newEvent returns the event of a change. The journal's id is the sequence: an order's
// rows are written one after the other.
func newEvent(c livefeed.Change) Event {
	return Event{
		Type: typeOf(c), OrderID: c.OrderID, CourierID: c.CourierID, Transport: c.Transport,
		Deadline: c.FirstDeadline, OccurredAt: c.At, Reason: c.Reason, Sequence: c.ID,
	}
}

func typeOf(c livefeed.Change) Type {
	switch c.State {
	case courier.StateAssigned:
		return TypeAssigned
	case courier.StateHeld:
		if c.Source == orders.SourceDeadline {
			return TypeExpired
		}
		return TypeUnassigned
	case courier.StateCompleted:
		return TypeCompleted
	case courier.StateCancelled:
		return TypeCancelled
	case courier.StateWaiting:
		if c.From == courier.StateHeld {
			return TypeReleased
		}
	case courier.StateNone, courier.StateSeen: // not in the journal
	}
	return TypeQueued
}
