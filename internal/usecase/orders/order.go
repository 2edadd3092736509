package orders

import (
	"time"

	"service-courier/internal/courier"
	"service-courier/internal/usecase/orderevent"
)

// Order is all that is known of an order. Times that are zero are not known, or
// do not apply.
type Order struct {
	OrderID        courier.OrderID
	State          courier.State
	OrderCreatedAt time.Time // as service-order tells it
	CreatedAt      time.Time // when it was first heard of here
	UpdatedAt      time.Time
	HeldReason     string
	MissingSince   time.Time // service-order answers 404 since then
	Look           Look
	Delivery       Delivery // of an order that is assigned or completed by a courier
}

// Look is the pending look at an order; zero when none is due.
type Look struct {
	DueAt    time.Time
	Reason   orderevent.Reason
	Attempts int    // looks so far
	Error    string // of the last one
}

// Delivery is who carries an order, or did; CourierID is 0 when nobody does.
type Delivery struct {
	CourierID    int64
	WaitingSince time.Time // since when the order had been known when it was assigned
	AssignedAt   time.Time
	Deadline     time.Time
	CompletedAt  time.Time // zero while it is open
	Late         bool      // completed after its deadline, or open behind it
}

// Event is something that happened to an order.
type Event struct {
	At        time.Time
	State     courier.State // what it became
	Source    string        // whose doing it was: partition@offset of an event, or match, look-again, sweep, deadline, person
	Reason    string
	CourierID int64     // 0: no courier had to do with it
	Deadline  time.Time // of an assignment
}

// List is a choice of orders, each with an order of its own.
type List string

// The lists.
const (
	All       List = ""          // by id
	Waiting   List = "waiting"   // in line, the first first; those that service-order does not have are Missing
	Assigned  List = "assigned"  // with a courier, by courier
	Late      List = "late"      // with a courier, behind the deadline, the latest first
	Looking   List = "looking"   // to be looked at again, the soonest first
	Missing   List = "missing"   // open, and service-order answers 404; the longest first
	Held      List = "held"      // taken from a courier, the longest first
	Completed List = "completed" // the last changed first
	Cancelled List = "cancelled" // the last changed first
)

// Listed is an order in a list, and where it stands in it.
type Listed struct {
	Order

	Position Position
}

// Position is a place in a list; the zero Position is before its beginning. Key is
// the storage's.
type Position struct {
	Key     string
	OrderID courier.OrderID
}
