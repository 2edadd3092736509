package ordersim

import (
	"math"
	"time"
)

// Order is the JSON of an order. Times are RFC 3339 in UTC, prices whole currency
// units.
type Order struct {
	ID                string    `json:"id"`
	UserID            string    `json:"user_id"`
	OrderNumber       string    `json:"order_number,omitempty"`
	FIO               string    `json:"fio,omitempty"`
	RestaurantID      string    `json:"restaurant_id"`
	Items             []Item    `json:"items"`
	TotalPrice        int64     `json:"total_price"`
	Address           Address   `json:"address"`
	Status            string    `json:"status"`
	CreatedAt         time.Time `json:"created_at"`
	UpdatedAt         time.Time `json:"updated_at"`
	EstimatedDelivery time.Time `json:"estimated_delivery"`
}

// Item is one line of an order.
type Item struct {
	FoodID   string `json:"food_id"`
	Name     string `json:"name"`
	Quantity int64  `json:"quantity"`
	Price    int64  `json:"price"`
}

// Address of a delivery.
type Address struct {
	Street    string `json:"street"`
	House     string `json:"house,omitempty"`
	Apartment string `json:"apartment,omitempty"`
	Floor     string `json:"floor,omitempty"`
	Comment   string `json:"comment,omitempty"`
}

// record is an order with its timers, and a line of the state file. Records are
// replaced, never modified: readers need no lock, and a timer compares the pointer to
// see whether the order has changed.
type record struct {
	Order
	// Pace scales the steps of this order (Config.Jitter).
	Pace float64 `json:"pace"`
	// NextAt is the time of the next step; zero: none.
	NextAt time.Time `json:"next_at,omitzero"`
	// CancelAt is when the generator deletes the order; zero: never.
	CancelAt time.Time `json:"cancel_at,omitzero"`
}

// The statuses of service-order. StatusDeleted is stored but not shown: the API answers
// 404.
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

// allStatuses: POST /debug/seed creates an order of each.
func allStatuses() []string {
	return []string{
		StatusCreated, StatusPending, StatusConfirmed, StatusCooking, StatusDelivering,
		StatusCompleted, StatusUpdated, StatusDelivered, StatusCanceled, StatusDeleted,
	}
}

// ended reports a final status. updated is not final: the order has no timer, but can
// be deleted.
func ended(status string) bool {
	switch status {
	case StatusCompleted, StatusDelivered, StatusCanceled, StatusDeleted:
		return true
	}
	return false
}

// Never is the duration of a step that does not happen.
const Never = time.Duration(math.MaxInt64)

// Steps are the durations of the statuses created → pending → confirmed → cooking →
// delivering → completed; zero is left at once, Never not at all.
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

// FrozenSteps returns steps that never happen: the status changes by request only.
func FrozenSteps() Steps {
	return Steps{Never, Never, Never, Never, Never}
}

// Faster divides the steps by factor: 60 turns five minutes into five seconds. A factor
// of zero or less changes nothing.
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

// next returns the next status and when it follows; ok is false if none does.
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

// life is the time from created to completed, or Never.
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

// stretch multiplies a duration; Never stays Never, and overflow becomes Never.
func stretch(d time.Duration, by float64) time.Duration {
	if d == Never || float64(d)*by >= float64(Never) {
		return Never
	}
	return time.Duration(float64(d) * by)
}
