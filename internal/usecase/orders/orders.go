// Package orders is the use case of looking after orders: find them by what
// state they are in, see what has happened to one, and have a hand in it. The
// commands are those of package delivery, which go the way of an event and ask
// service-order first; here they answer the order as it is afterwards. The
// package must not know SQL or HTTP.
package orders

import (
	"context"
	"errors"

	"service-courier/internal/courier"
	"service-courier/internal/usecase/orderevent"
)

// ErrBadPosition refuses a position that no list has told.
var ErrBadPosition = errors.New("no position of this list")

// Store reads orders. Where the storage cannot be asked, its errors match
// courier.ErrUnavailable.
type Store interface {
	// Page returns at most limit orders of the list behind a position, in its order,
	// or ErrBadPosition.
	Page(ctx context.Context, list List, after Position, limit int) ([]Listed, error)
	// Get returns one order, or courier.ErrOrderUnknown.
	Get(ctx context.Context, id courier.OrderID) (Order, error)
	// Timeline returns what happened to an order, the earliest first, of very much the
	// latest part.
	Timeline(ctx context.Context, id courier.OrderID) ([]Event, error)
}

// Commands are the hand in a delivery; *delivery.Deliveries is it.
type Commands interface {
	Assign(ctx context.Context, id courier.OrderID, courierID int64) (orderevent.Assignment, error)
	Unassign(ctx context.Context, id courier.OrderID, reason string) (courierID int64, err error)
	Release(ctx context.Context, id courier.OrderID) error
	Look(ctx context.Context, id courier.OrderID) error
}

// Orders shows orders and carries out commands on them.
type Orders struct {
	store    Store
	commands Commands
}

// New returns the orders of store, changed by commands.
func New(store Store, commands Commands) *Orders { return &Orders{store, commands} }

// Page returns at most limit orders of a list, behind a position; ErrBadPosition
// when the list never told that.
func (o *Orders) Page(ctx context.Context, list List, after Position, limit int) ([]Listed, error) {
	return o.store.Page(ctx, list, after, limit)
}

// Get returns one order and what happened to it, or courier.ErrOrderUnknown.
func (o *Orders) Get(ctx context.Context, id courier.OrderID) (Order, []Event, error) {
	order, err := o.store.Get(ctx, id)
	if err != nil {
		return order, nil, err
	}
	events, err := o.store.Timeline(ctx, id)
	return order, events, err
}

// Assign gives an order to the courier named, or with courierID 0 to the free one
// whose turn it is. It is safe to repeat: an order that has that courier already,
// or any when none is named, stays as it is. Otherwise the errors are those of
// delivery.Assign.
func (o *Orders) Assign(ctx context.Context, id courier.OrderID, courierID int64) (Order, error) {
	_, refusal := o.commands.Assign(ctx, id, courierID)
	if refusal != nil && !errors.Is(refusal, courier.ErrAlreadyAssigned) {
		return Order{}, refusal
	}
	order, err := o.store.Get(ctx, id)
	if err != nil {
		return order, err
	}
	if refusal != nil && (order.State != courier.StateAssigned || courierID != 0 && order.Delivery.CourierID != courierID) {
		return order, refusal
	}
	return order, nil
}

// Unassign takes an order from its courier and holds it; see delivery.Unassign.
func (o *Orders) Unassign(ctx context.Context, id courier.OrderID, reason string) (Order, error) {
	if _, err := o.commands.Unassign(ctx, id, reason); err != nil {
		return Order{}, err
	}
	return o.store.Get(ctx, id)
}

// Release puts a held order back in line; see delivery.Release. It may have its
// courier by the time of the answer.
func (o *Orders) Release(ctx context.Context, id courier.OrderID) (Order, error) {
	if err := o.commands.Release(ctx, id); err != nil {
		return Order{}, err
	}
	return o.store.Get(ctx, id)
}

// Look asks service-order about an order now; see delivery.Look.
func (o *Orders) Look(ctx context.Context, id courier.OrderID) (Order, error) {
	if err := o.commands.Look(ctx, id); err != nil {
		return Order{}, err
	}
	return o.store.Get(ctx, id)
}
