package courier

import "errors"

// The errors that a caller may want to tell apart.
var (
	ErrBadOrderID     = errors.New("bad order id")
	ErrInvalidCourier = errors.New("invalid courier")
	ErrNotFound       = errors.New("no such courier")
	ErrPhoneTaken     = errors.New("another courier has this phone")
)
