package orderevent

import (
	"context"
	"time"

	"service-courier/internal/courier"
)

// Store keeps the records. InTx is the one transaction of a batch.
type Store interface {
	// InTx calls fn in a transaction and commits it. A deadlock, a serialization
	// failure or a lost race for a new order runs fn again from the start, so fn
	// must be repeatable. An error means that nothing is known to be saved.
	InTx(ctx context.Context, fn func(Tx) error) error
}

// Tx is what a batch does inside its transaction, in this order.
type Tx interface {
	// LockOrders locks the orders' rows in the order of their ids and returns
	// their records; an order without a row is not in the map.
	LockOrders(ctx context.Context, ids []courier.OrderID) (map[courier.OrderID]Record, error)
	// Save writes the changes with everything that follows from them (the
	// deliveries, the couriers, the journal) and the dead letters. What it
	// returns is what the database really did.
	Save(ctx context.Context, changes []Change, letters []DeadLetter) (Saved, error)
	// Assign gives a locked order that waits or is held to the courier named, or
	// with courierID 0 to the one whose turn it is. The error matches
	// courier.ErrNotFound, courier.ErrNotFree or courier.ErrNobodyFree.
	Assign(ctx context.Context, id courier.OrderID, courierID int64, source string) (Assignment, error)
	// Overdue reports whether a locked order's open delivery is behind its
	// deadline, by the store's clock.
	Overdue(ctx context.Context, id courier.OrderID) (bool, error)
}

// Change is a record that has to be written.
type Change struct {
	From   courier.State // as locked
	Next   Record        // StateNone: forget the record
	Reason string        // for the journal
	Source string        // for the journal
}

// Saved is what a transaction did.
type Saved struct {
	Transitions []Transition
	Letters     int          // those not known before
	Assignments []Assignment // those made by hand
}

// Transition is an order that changed its state.
type Transition struct {
	OrderID  courier.OrderID
	From, To courier.State
	// CourierID is the courier whose delivery was completed or undone; 0 if
	// there was none.
	CourierID int64
}

// Line is where waiting orders meet free couriers.
type Line interface {
	// Match assigns at most limit waiting orders, those longest in line first,
	// to the couriers with the fewest deliveries, in one transaction. Rows that
	// somebody else has locked are skipped: they come next time.
	Match(ctx context.Context, limit int) ([]Assignment, error)
}

// Assignment is an order that was given its courier.
type Assignment struct {
	OrderID   courier.OrderID
	CourierID int64
	Transport courier.Transport
	Deadline  time.Time
}

// Looks finds the orders that are due for another look.
type Looks interface {
	// ClaimDue leases at most limit due orders for the given time: each comes due
	// again when the lease ends, unless what it was claimed for is saved before.
	// The hints carry the tokens of the claims.
	ClaimDue(ctx context.Context, limit int, lease time.Duration) ([]Hint, error)
}
