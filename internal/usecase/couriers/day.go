package couriers

import (
	"context"
	"time"

	"service-courier/internal/courier"
)

// Day is what a courier delivered on a day.
type Day struct {
	Deliveries []Delivery // in order of their beginning
	Until      time.Time  // the journal was read up to here; zero: to the end of the day
}

// Delivery is the part of a delivery that lies in the day.
type Delivery struct {
	OrderID  courier.OrderID
	State    courier.State // assigned while it is open, else how it ended
	From     time.Time     // zero: it began before the day
	To       time.Time     // zero: it is open, or ended after the day
	Deadline time.Time     // zero: it began before the day and has ended
}

// History is what the storage has of a courier's day.
type History struct {
	Open  Delivery // of now, without an order when there is none
	Steps []Step   // in order
	Until time.Time
}

// Step is a transition of an order that began or ended a delivery of the courier.
type Step struct {
	At       time.Time
	OrderID  courier.OrderID
	Was      courier.State
	State    courier.State
	Deadline time.Time // of an assignment
}

// Day returns the deliveries of a courier on the day that begins at start. The error may be
// courier.ErrNotFound. A delivery that began before the day and ended after it is missing.
func (u *Couriers) Day(ctx context.Context, id int64, start time.Time) (Day, error) {
	if _, err := u.Get(ctx, id); err != nil {
		return Day{}, err
	}
	end := start.AddDate(0, 0, 1)
	h, err := u.store.History(ctx, id, start, end)
	if err != nil {
		return Day{}, err
	}
	day := Day{Until: h.Until}
	latest := map[courier.OrderID]int{} // an order may come to the courier again
	add := func(d Delivery) {
		latest[d.OrderID] = len(day.Deliveries)
		day.Deliveries = append(day.Deliveries, d)
	}
	if h.Open.OrderID != "" && h.Open.From.Before(start) {
		add(Delivery{OrderID: h.Open.OrderID, State: courier.StateAssigned, Deadline: h.Open.Deadline})
	}
	for _, s := range h.Steps {
		i, begun := latest[s.OrderID]
		switch {
		case s.State == courier.StateAssigned:
			add(Delivery{s.OrderID, s.State, s.At, time.Time{}, s.Deadline})
		case begun:
			day.Deliveries[i].State = s.State
			if s.Was == courier.StateAssigned {
				day.Deliveries[i].To = s.At
			}
		case s.Was == courier.StateAssigned:
			add(Delivery{OrderID: s.OrderID, State: s.State, To: s.At})
		}
	}
	return day, nil
}
