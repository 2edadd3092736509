package orders

import (
	"time"

	"service-courier/internal/courier"
	"service-courier/internal/usecase/orderevent"
)

// Order is what clients read of an order. A zero time is unknown or does not apply.
type Order struct {
	OrderID        courier.OrderID
	State          courier.State
	OrderCreatedAt time.Time // according to service-order
	CreatedAt      time.Time // when this service first saw the order
	UpdatedAt      time.Time
	QueuePosition  *int64 // of a waiting order
	HeldReason     string
	MissingSince   time.Time // service-order has answered 404 since then
	Recheck        Recheck
	Delivery       Delivery // of an order that is assigned, or completed by a courier
}

// Recheck is the scheduled recheck of an order; zero when none is scheduled.
type Recheck struct {
	At       time.Time
	Reason   orderevent.Reason
	Attempts int    // fetches counted for this recheck, the first included
	Error    string // of the last attempt
}

// Delivery is the delivery of an order by a courier; CourierID is 0 when there is none.
type Delivery struct {
	CourierID    int64
	CourierName  string
	WaitingSince time.Time // when this service first saw the order, as known at its assignment
	AssignedAt   time.Time
	Deadline     time.Time
	CompletedAt  time.Time // zero while the delivery is open
	Overdue      bool      // open past its deadline, or completed after it
}

// TimelineEntry is one transition of an order, as the journal has it.
type TimelineEntry struct {
	At        time.Time
	State     courier.State // the new state
	Source    string        // partition@offset of an order event, or match, recheck, resync, deadline, dispatcher:NAME
	Reason    string
	CourierID int64     // 0 when no courier was involved
	Courier   string    // their name
	Deadline  time.Time // of an assignment
}

// List selects orders and how they are sorted.
type List string

// The lists.
const (
	All List = "" // by id
	// Active are waiting, assigned or held orders, most urgent first: the overdue ones, most
	// overdue first; the held ones, longest held first; the waiting ones by queue position; the
	// other assigned ones, next deadline first.
	Active         List = "active"
	Waiting        List = "waiting"         // by queue position
	Assigned       List = "assigned"        // next deadline first
	Overdue        List = "overdue"         // assigned and past the deadline, most overdue first
	PendingRecheck List = "pending_recheck" // soonest first
	Missing        List = "missing"         // active, and service-order answers 404; longest missing first
	Held           List = "held"            // longest held first
	Completed      List = "completed"       // last changed first
	Cancelled      List = "cancelled"       // last changed first
)

// The missing orders of one state, longest missing first.
const (
	missingWaiting  List = "missing_waiting"
	missingAssigned List = "missing_assigned"
	missingHeld     List = "missing_held"
)

// MissingOnly returns the list of the missing orders of a list. Only active orders are
// missing.
func (l List) MissingOnly() (list List, ok bool) {
	list, ok = map[List]List{All: Missing, Active: Missing, Missing: Missing, Waiting: missingWaiting, Assigned: missingAssigned, Held: missingHeld}[l]
	return list, ok
}

// Listed is an order and its key in a list.
type Listed struct {
	Order

	PageKey PageKey
}

// PageKey is the end of a page of a list; the zero PageKey is before the first order. The
// storage defines Key.
type PageKey struct {
	Key     string
	OrderID courier.OrderID
}
