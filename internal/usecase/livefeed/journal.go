// Package livefeed streams the changes of orders and couriers: first a snapshot of the current
// state, then every later change exactly once.
//
// The journal numbers its rows as they are written, which is not the order in which
// they become visible. A Reader stops before a number whose row may still become
// visible; only transactions that write the journal make it wait. One Hub reads for all
// subscribers:
//
//	Reader        follows the journal from a cursor               reader.go
//	Hub           reads while there are subscribers, into a ring  hub.go
//	Subscription  a subscriber's position in the ring             subscription.go
//
// A subscriber has a position, never a buffer of its own: one that falls behind the
// ring gets a snapshot again. The package knows no SQL and no HTTP.
package livefeed

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"service-courier/internal/courier"
)

// Cursor is a position in the journal.
type Cursor struct {
	// Epoch identifies the history of the journal. It differs after a restore, a failover
	// or a TRUNCATE, which may use the same ids for other changes.
	Epoch uint64
	ID    int64 // of the last change before the position; 0 before the first
}

// String encodes the cursor for clients.
func (c Cursor) String() string {
	return strconv.FormatUint(c.Epoch, 36) + "." + strconv.FormatInt(c.ID, 36)
}

// ParseCursor decodes a cursor.
func ParseCursor(s string) (Cursor, error) {
	epoch, id, _ := strings.Cut(s, ".")
	var c Cursor
	var err error
	if c.Epoch, err = strconv.ParseUint(epoch, 36, 64); err == nil {
		c.ID, err = strconv.ParseInt(id, 36, 64)
	}
	if err != nil {
		return Cursor{}, fmt.Errorf("%.40q is not a cursor of the journal", s)
	}
	return c, nil
}

// Change is one transition of an order, or a change of a courier, with the courier as they
// are now.
type Change struct {
	ID            int64 // in the journal
	At            time.Time
	OrderID       courier.OrderID
	From          courier.State // the state before; none for a new order
	State         courier.State // the new state
	Source        string        // partition@offset of an order event, a periodic task, or dispatcher:NAME
	Reason        string
	CourierID     int64 // 0 when no courier is involved
	CourierName   string
	Transport     courier.Transport
	FirstSeenAt   time.Time     // when this service first saw the order; zero once it is removed
	QueuePosition *int64        // in the waiting queue by now; nil when it never was there
	Deadline      time.Time     // of the delivery that began, unless it has ended by now
	CurrentState  courier.State // of the order by now
	FirstDeadline time.Time     // of the delivery that began, also when it has ended

	// Of a change of the courier, which has no order and no state; else "".
	CourierChange CourierChange
	CourierPhone  string
	CourierStatus courier.Status
	CourierOrder  courier.OrderID
	PauseAfter    bool
	Deliveries    int64
}

// CourierChange is what changed of a courier through the API. That an order makes the
// courier busy or available is a change of the order.
type CourierChange string

// The changes of a courier.
const (
	CourierRegistered CourierChange = "registered"
	CourierEdited     CourierChange = "edited"  // name, phone or transport
	CourierPaused     CourierChange = "paused"  // now, or after the delivery
	CourierResumed    CourierChange = "resumed" // or not to be paused after the delivery any more
	CourierDeleted    CourierChange = "deleted"
)

// CourierChangeOf names the change of a courier.
func CourierChangeOf(was, is courier.Courier) CourierChange {
	inactive := func(c courier.Courier) bool { return c.Status == courier.StatusPaused || c.PauseAfter }
	switch {
	case inactive(is) && !inactive(was):
		return CourierPaused
	case inactive(was) && !inactive(is):
		return CourierResumed
	default:
		return CourierEdited
	}
}

// Journal contains all changes. A transaction is one of its writers from before it takes
// its first id until its changes are visible, or until it is certain that they never will be.
type Journal interface {
	// End returns the epoch and the highest id that was taken.
	End(ctx context.Context) (Cursor, error)
	// After returns at most limit visible changes after an id, by id.
	After(ctx context.Context, id int64, limit int) ([]Change, error)
	// Writers returns the transactions that write the journal now.
	Writers(ctx context.Context) ([]Writer, error)
	// Before returns the id that precedes the given number of changes up to id, or that
	// of the first change if there are fewer; without changes it returns id.
	Before(ctx context.Context, id int64, changes int) (int64, error)
}

// Writer is a transaction that writes the journal.
type Writer struct {
	Transaction string // unique among the transactions of the server
	PID         int    // of its server process; 0 when it is prepared
}

// SnapshotRows is the maximum length of each list of a Snapshot; its counts include
// all orders.
const SnapshotRows = 200

// Snapshot is the current state, read in one transaction.
type Snapshot struct {
	Included []int64 // the changes after the given id that it includes, by id
	At       time.Time
	Couriers map[courier.Status]int
	Waiting  ActiveOrders // by queue position
	Assigned ActiveOrders // earliest deadline first
	Held     ActiveOrders // longest on hold first
}

// ActiveOrders are the orders in one active state.
type ActiveOrders struct {
	Count   int
	Missing int           // orders that service-order answers 404 for
	Overdue int           // orders past their deadline
	First   []ActiveOrder // at most SnapshotRows
}

// ActiveOrder is an active order.
type ActiveOrder struct {
	OrderID       courier.OrderID
	CourierID     int64         // 0 without a courier
	QueuePosition *int64        // of a waiting order
	Since         time.Time     // when it was assigned, else when this service first saw it
	Deadline      time.Time     // zero without a courier
	Overdue       bool          // past its deadline
	Missing       time.Duration // how long service-order has answered 404; 0 if it has the order
	Reason        string        // why it is on hold
}

// Source is what a Hub reads.
type Source interface {
	Journal
	// Snapshot returns the current state, and which changes after an id it includes.
	Snapshot(ctx context.Context, id int64) (Snapshot, error)
}
