package courier

import (
	"errors"
	"slices"
)

// The errors that a caller may want to tell apart.
var (
	ErrBadOrderID     = errors.New("bad order id")
	ErrInvalidCourier = errors.New("invalid courier")
	ErrNotFound       = errors.New("no such courier")
	ErrPhoneTaken     = errors.New("another courier has this phone")
	// ErrBusyByHand refuses to make a courier busy otherwise than by giving him
	// an order.
	ErrBusyByHand = errors.New("a courier becomes busy only with an order")
	ErrNotFree    = errors.New("the courier is not free")
	ErrNobodyFree = errors.New("no courier is free; the order waits in line")
	// ErrNoSuchOrder says that service-order has no such order.
	ErrNoSuchOrder     = errors.New("service-order has no such order")
	ErrStatusUnknown   = errors.New("the order has a status that is not known here")
	ErrAlreadyAssigned = errors.New("the order has a courier already")
	ErrNotAssigned     = errors.New("the order has no courier")
	ErrNotHeld         = errors.New("the order is not held")
	ErrOrderEnded      = errors.New("the order is completed or cancelled already")
	// ErrOrdersUnavailable says that service-order cannot be asked now. The same
	// request may succeed later; nothing was changed.
	ErrOrdersUnavailable = errors.New("service-order cannot be asked now")
	// ErrUnavailable says that the storage cannot be asked now. The same request
	// may succeed later; whether a change was made is not known.
	ErrUnavailable = errors.New("the storage is unavailable")
)

// refusals are the errors that say no to a command about a delivery.
var refusals = []error{
	ErrNotFound, ErrNotFree, ErrNobodyFree, ErrNoSuchOrder, ErrStatusUnknown,
	ErrAlreadyAssigned, ErrNotAssigned, ErrNotHeld, ErrOrderEnded,
}

// Refused reports an error that is the answer to a command, not a failure of it.
func Refused(err error) bool {
	return slices.ContainsFunc(refusals, func(refusal error) bool { return errors.Is(err, refusal) })
}
