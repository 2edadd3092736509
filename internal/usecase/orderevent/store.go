package orderevent

import (
	"context"
	"time"

	"service-courier/internal/courier"
)

// Store keeps the orders.
type Store interface {
	// InTx calls fn in a transaction and commits it. After a deadlock, a serialization
	// failure or a lost race for a new order it calls fn again, so fn must be
	// repeatable. After an error nothing is known to be saved. The error matches
	// ErrRefused when the same data would fail again.
	InTx(ctx context.Context, fn func(Tx) error) error
}

// Tx is the transaction of a batch. Its methods are called in this order.
type Tx interface {
	// LockOrders locks the rows in the order of their ids and returns the orders that
	// have one.
	LockOrders(ctx context.Context, ids []courier.OrderID) (map[courier.OrderID]Order, error)
	// Save writes the changes with all that follows from them (deliveries, couriers,
	// journal). It returns what the database really did.
	Save(ctx context.Context, changes []Change) (Effects, error)
	// SaveAndCommit is Save for a batch: it writes the dead letters too and commits. With
	// match > 0 a batch that queues an order first matches at most so many; one that frees
	// couriers only asks whether an order waits. Nothing may follow it.
	SaveAndCommit(ctx context.Context, changes []Change, deadLetters []DeadLetter, match int) (Effects, error)
	// Assign assigns a locked waiting or held order to the courier named, or with
	// courierID 0 to the next free one. The error matches courier.ErrNotFound,
	// courier.ErrCourierNotAvailable or courier.ErrNoCourierAvailable.
	Assign(ctx context.Context, id courier.OrderID, courierID int64, source string) (Assignment, error)
	// Overdue reports whether a locked order's delivery is past its deadline, by the
	// store's clock.
	Overdue(ctx context.Context, id courier.OrderID) (bool, error)
}

// Change is an order that has to be written.
type Change struct {
	From   courier.State // as locked
	Next   Order         // in StateNone: delete the row
	Reason string        // for the journal
	Source string        // for the journal
}

// moves reports whether the change may queue an order or free a courier.
func (c Change) moves() bool { return c.From != c.Next.State }

// Effects are what a transaction did.
type Effects struct {
	Transitions []Transition
	DeadLetters int          // those not known before
	Assignments []Assignment // those made by a command or by the match after Save
	// Matched means that the match after Save left nothing: no other replica matched at the
	// same time, whose rows it would have skipped, and no order waits that it did not look for.
	Matched bool
}

// Transition is an order that changed its state.
type Transition struct {
	OrderID  courier.OrderID
	From, To courier.State
	// CourierID is the courier whose delivery was completed or rolled back; 0 if there
	// was none.
	CourierID int64
}

// Assignment is an order that was assigned to a courier.
type Assignment struct {
	OrderID   courier.OrderID
	CourierID int64
	Transport courier.Transport
	Deadline  time.Time
}

// MatchStore assigns waiting orders to free couriers.
type MatchStore interface {
	// Match assigns at most limit waiting orders, the first in the waiting queue first, to the
	// couriers with the fewest deliveries, in one transaction. Locked rows are skipped;
	// a later match finds them.
	Match(ctx context.Context, limit int) ([]Assignment, error)
}

// Rechecks finds the orders that are due for a recheck.
type Rechecks interface {
	// ClaimDue leases at most limit due orders for the given time: each becomes due
	// again when its lease ends, unless its result is saved before. The hints carry the
	// tokens of the claims.
	ClaimDue(ctx context.Context, limit int, lease time.Duration) ([]Hint, error)
}
