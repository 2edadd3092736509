package ordersim

import (
	"math"
	"time"
)

// The statuses that service-order knows. StatusDeleted is stored but never shown:
// a deleted order answers 404.
const (
	StatusCreated    = "created"
	StatusPending    = "pending"
	StatusConfirmed  = "confirmed"
	StatusCooking    = "cooking"
	StatusDelivering = "delivering"
	StatusCompleted  = "completed"
	StatusUpdated    = "updated"
	StatusDelivered  = "delivered"
	StatusCanceled   = "canceled"
	StatusDeleted    = "deleted"
)

// allStatuses is what POST /debug/seed makes one order of each of.
func allStatuses() []string {
	return []string{
		StatusCreated, StatusPending, StatusConfirmed, StatusCooking, StatusDelivering,
		StatusCompleted, StatusUpdated, StatusDelivered, StatusCanceled, StatusDeleted,
	}
}

// ended reports whether nothing happens to an order of this status any more.
// An updated order has not ended: it stays, but can still be deleted.
func ended(status string) bool {
	switch status {
	case StatusCompleted, StatusDelivered, StatusCanceled, StatusDeleted:
		return true
	}
	return false
}

// Never is the step that keeps orders in that status for good.
const Never = time.Duration(math.MaxInt64)

// Steps says how long an order stays in each status of its life:
// created → pending → confirmed → cooking → delivering → completed.
// A step of zero is left at once, one of Never not at all.
type Steps struct {
	Created, Pending, Confirmed, Cooking, Delivering time.Duration
}

// DefaultSteps returns the timers of the real service-order.
func DefaultSteps() Steps {
	return Steps{
		Created:    time.Second,
		Pending:    5 * time.Second,
		Confirmed:  5 * time.Second,
		Cooking:    5 * time.Minute,
		Delivering: 10 * time.Minute,
	}
}

// FrozenSteps returns timers that never move an order: its status changes only
// by hand.
func FrozenSteps() Steps {
	return Steps{Never, Never, Never, Never, Never}
}

// Faster returns the same steps passing that many times faster: 60 turns five
// minutes into five seconds. A factor of zero or less changes nothing.
func (s Steps) Faster(factor float64) Steps {
	if factor <= 0 {
		return s
	}
	return Steps{
		Created:    stretch(s.Created, 1/factor),
		Pending:    stretch(s.Pending, 1/factor),
		Confirmed:  stretch(s.Confirmed, 1/factor),
		Cooking:    stretch(s.Cooking, 1/factor),
		Delivering: stretch(s.Delivering, 1/factor),
	}
}

// next returns the status that follows and after how long; ok is false for a
// status that stays.
func (s Steps) next(status string) (to string, after time.Duration, ok bool) {
	switch status {
	case StatusCreated:
		to, after = StatusPending, s.Created
	case StatusPending:
		to, after = StatusConfirmed, s.Pending
	case StatusConfirmed:
		to, after = StatusCooking, s.Confirmed
	case StatusCooking:
		to, after = StatusDelivering, s.Cooking
	case StatusDelivering:
		to, after = StatusCompleted, s.Delivering
	default:
		return "", 0, false
	}
	return to, after, after != Never
}

// life is how long an order takes from created to completed; Never when it
// never gets there.
func (s Steps) life() time.Duration {
	var sum time.Duration
	for _, d := range []time.Duration{s.Created, s.Pending, s.Confirmed, s.Cooking, s.Delivering} {
		if d > Never-sum {
			return Never
		}
		sum += d
	}
	return sum
}

// stretch multiplies a duration; Never stays Never, and so does overflow.
func stretch(d time.Duration, by float64) time.Duration {
	if d == Never || float64(d)*by >= float64(Never) {
		return Never
	}
	return time.Duration(float64(d) * by)
}
