package courier

import "errors"

// The errors that a caller may want to tell apart.
var (
	ErrBadOrderID     = errors.New("bad order id")
	ErrInvalidCourier = errors.New("invalid courier")
	ErrNotFound       = errors.New("no such courier")
	ErrPhoneTaken     = errors.New("another courier has this phone")
	// ErrBusyByHand refuses to make a courier busy otherwise than by giving him
	// an order.
	ErrBusyByHand = errors.New("a courier becomes busy only with an order")
	// ErrUnavailable says that the storage cannot be asked now. The same request
	// may succeed later; whether a change was made is not known.
	ErrUnavailable = errors.New("the storage is unavailable")
)
