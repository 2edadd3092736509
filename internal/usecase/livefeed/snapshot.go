package livefeed

import (
	"context"
	"time"

	"service-courier/internal/courier"
)

// SnapshotRows bounds each list of a Snapshot; its counts are of all there are.
const SnapshotRows = 200

// Snapshot is how things stand, read in one transaction.
type Snapshot struct {
	Seen     Seen
	At       time.Time
	Couriers map[courier.Status]int
	Waiting  OpenOrders // in the order of the line
	Assigned OpenOrders // the earliest deadline first
	Held     OpenOrders // by id
}

// OpenOrders are the orders of one open state.
type OpenOrders struct {
	Count   int
	Missing int         // those that service-order answers 404 about
	Late    int         // those behind their deadline
	First   []OpenOrder // at most SnapshotRows
}

// OpenOrder is an order that has not ended.
type OpenOrder struct {
	OrderID   courier.OrderID
	CourierID int64         // 0 when it has none
	Since     time.Time     // when it was given its courier, else when it was first heard of
	Deadline  time.Time     // zero without a courier
	Late      bool          // behind its deadline
	Missing   time.Duration // for how long service-order has answered 404; 0: it has not
	Reason    string        // why it is held
}

// Seen says of which transactions a Snapshot shows the changes.
type Seen struct {
	From    uint64              // everything below is seen
	To      uint64              // nothing from here on is
	Running map[uint64]struct{} // of those between, the ones that are not
}

// Has reports whether the changes of a transaction are in the snapshot.
func (s Seen) Has(tx uint64) bool {
	_, running := s.Running[tx]
	return tx < s.To && !running
}

// Source is what a Hub reads.
type Source interface {
	Journal
	// Snapshot returns how things stand.
	Snapshot(ctx context.Context) (Snapshot, error)
}
