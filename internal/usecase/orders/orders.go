// Package orders is the use case of a dispatcher: list orders, read one with its
// timeline, assign, unassign, release, cancel and recheck it. It also expires overdue
// deliveries. Every command runs through orderevent: the order is fetched from
// service-order first, and the answer and the command are saved in one transaction.
package orders

import (
	"context"
	"errors"

	"service-courier/internal/courier"
	"service-courier/internal/usecase/orderevent"
)

// ErrBadPageKey refuses a key that is not one of the list.
var ErrBadPageKey = errors.New("not a page key of this list")

// Store reads orders. Its errors match courier.ErrUnavailable when the database is
// unavailable.
type Store interface {
	// Page returns at most limit orders of the list after a key, or ErrBadPageKey.
	Page(ctx context.Context, list List, after PageKey, limit int) ([]Listed, error)
	// Get returns one order, or courier.ErrOrderUnknown.
	Get(ctx context.Context, id courier.OrderID) (Order, error)
	// QueuePlace returns what is before an order in the waiting queue, and the free couriers.
	QueuePlace(ctx context.Context, id courier.OrderID) (QueuePlace, error)
	// Timeline returns the transitions of an order, oldest first; of very many only the
	// latest.
	Timeline(ctx context.Context, id courier.OrderID) ([]TimelineEntry, error)
}

// Executor runs a command on one order; *orderevent.Reconciler implements it.
type Executor interface {
	Execute(ctx context.Context, id courier.OrderID, source string, command orderevent.Command) error
}

// Orders reads orders from its Store and executes commands on them. Besides the
// errors listed at each command, they match courier.ErrOrdersUnavailable and
// courier.ErrUnavailable.
type Orders struct {
	Store

	executor Executor
}

// New returns the orders of store, changed through executor.
func New(store Store, executor Executor) *Orders { return &Orders{store, executor} }

// Reasons for the journal. A dispatcher may give another one to Unassign.
const (
	reasonUnassigned = "unassigned by a dispatcher"
	reasonReleased   = "released by a dispatcher"
	reasonCancelled  = "cancelled by a dispatcher"
	reasonOverdue    = "delivery overdue"
)

// SourceDeadline is the journal's source of an expired delivery.
const SourceDeadline = "deadline"

// Assign assigns a waiting or held order to a courier, ahead of the waiting queue. With
// courierID 0 it chooses the courier as matching does. The error matches
// courier.ErrNoSuchOrder, ErrStatusUnknown, ErrAlreadyAssigned, ErrOrderEnded,
// ErrNotFound (the courier), ErrCourierNotAvailable or ErrNoCourierAvailable; in the
// last two cases the order is unchanged.
func (o *Orders) Assign(ctx context.Context, id courier.OrderID, courierID int64) (orderevent.Assignment, error) {
	var assignment orderevent.Assignment
	err := o.command(ctx, id, courier.Dispatcher(ctx), func(ctx context.Context, tx orderevent.Tx, order orderevent.Order, missing bool) (orderevent.Effects, error) {
		var err error
		switch class := order.State.Class(); {
		case order.State == courier.StateAssigned:
			err = courier.ErrAlreadyAssigned
		case class > courier.ClassActive:
			err = courier.ErrOrderEnded
		case missing:
			err = courier.ErrNoSuchOrder
		case class == courier.ClassUnknown:
			err = courier.ErrStatusUnknown
		default:
			assignment, err = tx.Assign(ctx, id, courierID, courier.Dispatcher(ctx))
		}
		if err != nil {
			return orderevent.Effects{}, err
		}
		return orderevent.Effects{Assignments: []orderevent.Assignment{assignment}}, nil
	})
	return assignment, err
}

// EnsureAssigned is Assign made safe to repeat: an order that already has the
// courier, or any courier when courierID is 0, stays as it is.
func (o *Orders) EnsureAssigned(ctx context.Context, id courier.OrderID, courierID int64) (Order, error) {
	_, refusal := o.Assign(ctx, id, courierID)
	if refusal != nil && !errors.Is(refusal, courier.ErrAlreadyAssigned) {
		return Order{}, refusal
	}
	order, err := o.Get(ctx, id)
	if err != nil {
		return order, err
	}
	if refusal != nil && (order.State != courier.StateAssigned || courierID != 0 && order.Delivery.CourierID != courierID) {
		if order.State == courier.StateAssigned {
			refusal = courier.Explain(courier.ErrAlreadyAssigned, "courier %d", order.Delivery.CourierID)
		}
		return order, refusal
	}
	return order, nil
}

// Unassign takes an order from its courier, who becomes available, and puts it on
// hold: only a dispatcher assigns it again. It also works for an order that
// service-order no longer has. It returns the courier. The error matches
// courier.ErrNotAssigned or ErrNoSuchOrder.
func (o *Orders) Unassign(ctx context.Context, id courier.OrderID, reason string) (courierID int64, err error) {
	if reason == "" {
		reason = reasonUnassigned
	}
	err = o.command(ctx, id, courier.Dispatcher(ctx), func(ctx context.Context, tx orderevent.Tx, order orderevent.Order, missing bool) (orderevent.Effects, error) {
		switch {
		case isUnknownEverywhere(order, missing):
			return orderevent.Effects{}, courier.ErrNoSuchOrder
		case order.State != courier.StateAssigned:
			return orderevent.Effects{}, courier.ErrNotAssigned
		}
		effects, err := move(ctx, tx, order, courier.StateHeld, reason, courier.Dispatcher(ctx))
		if err == nil {
			courierID = effects.Transitions[0].CourierID
		}
		return effects, err
	})
	return courierID, err
}

// Release puts a held order back into the waiting queue, at its old position. The error
// matches courier.ErrNotHeld or ErrNoSuchOrder, also for a held order that
// service-order no longer has: no courier is sent for it.
func (o *Orders) Release(ctx context.Context, id courier.OrderID) error {
	return o.command(ctx, id, courier.Dispatcher(ctx), func(ctx context.Context, tx orderevent.Tx, order orderevent.Order, missing bool) (orderevent.Effects, error) {
		switch {
		case isUnknownEverywhere(order, missing), missing && order.State == courier.StateHeld:
			return orderevent.Effects{}, courier.ErrNoSuchOrder
		case order.State != courier.StateHeld:
			return orderevent.Effects{}, courier.ErrNotHeld
		}
		return move(ctx, tx, order, courier.StateWaiting, reasonReleased, courier.Dispatcher(ctx))
	})
}

// Cancel cancels an active order that service-order does not have any more, frees its
// courier and does not count the delivery. An order that is cancelled already stays as it
// is. The error matches courier.ErrNotMissing, ErrOrderEnded (completed) or ErrNoSuchOrder.
func (o *Orders) Cancel(ctx context.Context, id courier.OrderID, reason string) error {
	if reason == "" {
		reason = reasonCancelled
	}
	return o.command(ctx, id, courier.Dispatcher(ctx), func(ctx context.Context, tx orderevent.Tx, order orderevent.Order, missing bool) (orderevent.Effects, error) {
		switch {
		case order.State == courier.StateCancelled:
			return orderevent.Effects{}, nil
		case isUnknownEverywhere(order, missing):
			return orderevent.Effects{}, courier.Explain(courier.ErrNoSuchOrder, "it was never active here, so there is nothing to cancel")
		case !missing:
			return orderevent.Effects{}, courier.ErrNotMissing
		case order.State == courier.StateCompleted:
			return orderevent.Effects{}, courier.ErrOrderEnded
		}
		change := orderevent.Change{From: order.State, Next: orderevent.Tombstone(order), Reason: reason, Source: courier.Dispatcher(ctx)}
		return tx.Save(ctx, []orderevent.Change{change})
	})
}

// Recheck fetches an order from service-order now and saves the answer. It reports
// whether service-order has the order. The error matches courier.ErrNoSuchOrder.
func (o *Orders) Recheck(ctx context.Context, id courier.OrderID) (found bool, err error) {
	err = o.command(ctx, id, courier.Dispatcher(ctx), func(_ context.Context, _ orderevent.Tx, order orderevent.Order, missing bool) (orderevent.Effects, error) {
		found = !missing
		if isUnknownEverywhere(order, missing) {
			return orderevent.Effects{}, courier.ErrNoSuchOrder
		}
		return orderevent.Effects{}, nil
	})
	return found, err
}

// Expire puts an order on hold and frees its courier if the delivery is still open
// past its deadline, and reports whether it did. The answer of service-order is saved
// first: an order that is completed there is not put on hold.
func (o *Orders) Expire(ctx context.Context, id courier.OrderID) (expired bool, err error) {
	err = o.command(ctx, id, SourceDeadline, func(ctx context.Context, tx orderevent.Tx, order orderevent.Order, _ bool) (orderevent.Effects, error) {
		expired = false
		if order.State != courier.StateAssigned {
			return orderevent.Effects{}, nil
		}
		overdue, err := tx.Overdue(ctx, id)
		if err != nil || !overdue {
			return orderevent.Effects{}, err
		}
		expired = true
		return move(ctx, tx, order, courier.StateHeld, reasonOverdue, SourceDeadline)
	})
	return expired && err == nil, err
}

// isUnknownEverywhere reports an order that service-order does not have and that never became
// active here.
func isUnknownEverywhere(order orderevent.Order, missing bool) bool {
	return missing && order.State.Class() == courier.ClassUnknown
}

// command executes do. When do refuses, the transaction still commits, so that the
// answer of service-order is kept; any other error rolls it back.
func (o *Orders) command(ctx context.Context, id courier.OrderID, source string, do orderevent.Command) error {
	var refusal error
	err := o.executor.Execute(ctx, id, source,
		func(ctx context.Context, tx orderevent.Tx, order orderevent.Order, missing bool) (orderevent.Effects, error) {
			refusal = nil
			effects, err := do(ctx, tx, order, missing)
			if courier.Refused(err) {
				refusal, err = err, nil
			}
			return effects, err
		})
	if err != nil {
		return err
	}
	return refusal
}

func move(
	ctx context.Context, tx orderevent.Tx, order orderevent.Order, to courier.State, reason, source string,
) (orderevent.Effects, error) {
	from := order.State
	order.State = to
	return tx.Save(ctx, []orderevent.Change{{From: from, Next: order, Reason: reason, Source: source}})
}
