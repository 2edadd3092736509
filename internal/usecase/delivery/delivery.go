// Package delivery is the use case of a hand in a delivery, a person's or the
// clock's: give an order a courier, take it from him, put it back in line. Every command asks
// service-order first and goes the way of an event, in orderevent; it must not
// know SQL or HTTP.
package delivery

import (
	"context"

	"service-courier/internal/courier"
	"service-courier/internal/usecase/orderevent"
)

// deadline is the clock as the one who did it, for the journal.
const deadline = "deadline"

// person is a person as the one who did it, by name where he was asked for it.
func person(ctx context.Context) string {
	if name := courier.Actor(ctx); name != "" {
		return "person:" + name
	}
	return "person"
}

// Why an order is held: the person gave no reason, or it was not delivered in time.
const (
	unassigned = "taken from its courier by a person"
	overdue    = "not delivered by its deadline"
)

// Converger brings one order up to date and runs a command on it, in one
// transaction; *orderevent.Reconciler is it.
type Converger interface {
	Converge(ctx context.Context, id courier.OrderID, source string, command orderevent.Command) error
}

// Deliveries carries out commands. Beside the errors named with each, they
// match courier.ErrOrdersUnavailable and courier.ErrUnavailable.
type Deliveries struct{ orders Converger }

// New returns the deliveries of orders.
func New(orders Converger) *Deliveries { return &Deliveries{orders} }

// Assign gives an order that waits or is held to the courier named, or with
// courierID 0 to the free one whose turn it is, past the line. The error matches
// courier.ErrNoSuchOrder, ErrStatusUnknown, ErrAlreadyAssigned, ErrOrderEnded,
// ErrNotFound (the courier), ErrNotFree or ErrNobodyFree; an order that is under
// way then waits in line.
func (d *Deliveries) Assign(ctx context.Context, id courier.OrderID, courierID int64) (orderevent.Assignment, error) {
	var made orderevent.Assignment
	err := d.command(ctx, id, person(ctx), func(ctx context.Context, tx orderevent.Tx, rec orderevent.Record, missing bool) (orderevent.Saved, error) {
		switch {
		case rec.State == courier.StateAssigned:
			return orderevent.Saved{}, courier.ErrAlreadyAssigned
		case missing && rec.State.Class() <= courier.ClassActive:
			return orderevent.Saved{}, courier.ErrNoSuchOrder
		case rec.State.Class() == courier.ClassUnknown:
			return orderevent.Saved{}, courier.ErrStatusUnknown
		case rec.State.Class() > courier.ClassActive:
			return orderevent.Saved{}, courier.ErrOrderEnded
		}
		var err error
		made, err = tx.Assign(ctx, id, courierID, person(ctx))
		if err != nil {
			return orderevent.Saved{}, err
		}
		return orderevent.Saved{Assignments: []orderevent.Assignment{made}}, nil
	})
	return made, err
}

// Unassign takes an order from its courier, who is free then, and holds it:
// only a person gives it another. It works for an order that service-order no
// longer has, too. It returns the courier. The error matches
// courier.ErrNotAssigned, or courier.ErrNoSuchOrder when neither knows the order.
func (d *Deliveries) Unassign(ctx context.Context, id courier.OrderID, reason string) (courierID int64, err error) {
	if reason == "" {
		reason = unassigned
	}
	err = d.command(ctx, id, person(ctx), func(ctx context.Context, tx orderevent.Tx, rec orderevent.Record, missing bool) (orderevent.Saved, error) {
		switch {
		case nowhere(rec, missing):
			return orderevent.Saved{}, courier.ErrNoSuchOrder
		case rec.State != courier.StateAssigned:
			return orderevent.Saved{}, courier.ErrNotAssigned
		}
		saved, err := move(ctx, tx, rec, courier.StateHeld, reason, person(ctx))
		if err == nil {
			courierID = saved.Transitions[0].CourierID
		}
		return saved, err
	})
	return courierID, err
}

// Release puts a held order back in line, at the place it had. The error
// matches courier.ErrNotHeld, or courier.ErrNoSuchOrder when neither knows the
// order, or it is held and service-order no longer has it: nobody is sent out for
// such an order.
func (d *Deliveries) Release(ctx context.Context, id courier.OrderID) error {
	return d.command(ctx, id, person(ctx), func(ctx context.Context, tx orderevent.Tx, rec orderevent.Record, missing bool) (orderevent.Saved, error) {
		switch {
		case nowhere(rec, missing):
			return orderevent.Saved{}, courier.ErrNoSuchOrder
		case rec.State != courier.StateHeld:
			return orderevent.Saved{}, courier.ErrNotHeld
		case missing:
			return orderevent.Saved{}, courier.ErrNoSuchOrder
		}
		return move(ctx, tx, rec, courier.StateWaiting, "put back in line by a person", person(ctx))
	})
}

// Look asks service-order about an order now and saves what it says. The error
// matches courier.ErrNoSuchOrder when neither knows the order.
func (d *Deliveries) Look(ctx context.Context, id courier.OrderID) error {
	return d.command(ctx, id, person(ctx), func(_ context.Context, _ orderevent.Tx, rec orderevent.Record, missing bool) (orderevent.Saved, error) {
		if nowhere(rec, missing) {
			return orderevent.Saved{}, courier.ErrNoSuchOrder
		}
		return orderevent.Saved{}, nil
	})
}

// Expire takes an order from its courier, who is free then, and holds it, when
// the delivery is still open behind its deadline; it reports whether it was. No
// other delivery of his is touched. What service-order says comes first: an order
// that it calls completed is completed.
func (d *Deliveries) Expire(ctx context.Context, id courier.OrderID) (expired bool, err error) {
	err = d.command(ctx, id, deadline, func(ctx context.Context, tx orderevent.Tx, rec orderevent.Record, _ bool) (orderevent.Saved, error) {
		expired = false
		if rec.State != courier.StateAssigned {
			return orderevent.Saved{}, nil
		}
		late, err := tx.Overdue(ctx, id)
		if err != nil || !late {
			return orderevent.Saved{}, err
		}
		expired = true
		return move(ctx, tx, rec, courier.StateHeld, overdue, deadline)
	})
	return expired && err == nil, err
}

// nowhere reports an order that service-order does not have and that was never
// more than heard of here.
func nowhere(rec orderevent.Record, missing bool) bool {
	return missing && rec.State.Class() == courier.ClassUnknown
}

// command runs do, and keeps what service-order said when do refuses: an error
// of do's would undo it. What the database says goes the usual way.
func (d *Deliveries) command(ctx context.Context, id courier.OrderID, source string, do orderevent.Command) error {
	var refusal error
	err := d.orders.Converge(ctx, id, source,
		func(ctx context.Context, tx orderevent.Tx, rec orderevent.Record, missing bool) (orderevent.Saved, error) {
			refusal = nil
			saved, err := do(ctx, tx, rec, missing)
			if courier.Refused(err) {
				refusal, err = err, nil
			}
			return saved, err
		})
	if err != nil {
		return err
	}
	return refusal
}

func move(
	ctx context.Context, tx orderevent.Tx, rec orderevent.Record, to courier.State, reason, source string,
) (orderevent.Saved, error) {
	from := rec.State
	rec.State = to
	return tx.Save(ctx, []orderevent.Change{{From: from, Next: rec, Reason: reason, Source: source}}, nil)
}
