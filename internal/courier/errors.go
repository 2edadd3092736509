package courier

import "errors"

// The errors that a caller may want to tell apart.
var (
	ErrBadOrderID     = errors.New("bad order id")
	ErrInvalidCourier = errors.New("invalid courier")
	ErrPhoneTaken     = errors.New("another courier has this phone")
	// ErrBusyByHand refuses to make a courier busy otherwise than by giving him
	// an order.
	ErrBusyByHand = errors.New("a courier becomes busy only with an order")
	// ErrChanged says that something is not any more what the caller's change was
	// meant for.
	ErrChanged = errors.New("it was changed meanwhile")
	// ErrOrdersUnavailable says that service-order cannot be asked now. The same
	// request may succeed later; nothing was changed.
	ErrOrdersUnavailable = errors.New("service-order cannot be asked now")
	// ErrUnavailable says that the storage cannot be asked now. The same request
	// may succeed later; whether a change was made is not known.
	ErrUnavailable = errors.New("the storage is unavailable")
)

// The refusals: what a command about a delivery may be answered.
var (
	ErrNotFound        error = refusal("no such courier")
	ErrBusy            error = refusal("the courier has an open delivery")
	ErrNotFree         error = refusal("the courier is not free")
	ErrNobodyFree      error = refusal("no courier is free; the order waits in line")
	ErrOrderUnknown    error = refusal("nothing is known of the order here")
	ErrNoSuchOrder     error = refusal("service-order has no such order")
	ErrStatusUnknown   error = refusal("the order has a status that is not known here")
	ErrAlreadyAssigned error = refusal("the order has a courier already")
	ErrNotAssigned     error = refusal("the order has no courier")
	ErrNotHeld         error = refusal("the order is not held")
	ErrOrderEnded      error = refusal("the order is completed or cancelled already")
)

// refusal is an error that answers a command with no. A new one needs no list.
type refusal string

func (r refusal) Error() string { return string(r) }

// Refused reports an error that is the answer to a command, not a failure of it.
func Refused(err error) bool {
	_, refused := errors.AsType[refusal](err)
	return refused
}
