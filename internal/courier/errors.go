package courier

import (
	"errors"
	"fmt"
)

// Errors that callers distinguish.
var (
	ErrBadOrderID      = errors.New("invalid order id")
	ErrInvalidCourier  = errors.New("invalid courier")
	ErrInvalidPhone    = errors.New("invalid phone number")
	ErrPhoneRegistered = errors.New("phone already registered")
	// ErrBusyNotSettable refuses to set the status busy: only an assignment does.
	ErrBusyNotSettable = errors.New("a courier becomes busy only by an assignment")
	// ErrChanged means that the resource is no longer as the caller expected it.
	ErrChanged = errors.New("the resource has changed")
	// ErrOrdersUnavailable means that service-order is unavailable. Nothing was
	// changed; the same request may succeed later.
	ErrOrdersUnavailable = errors.New("service-order is unavailable")
	// ErrUnavailable means that the database is unavailable. The same request may
	// succeed later; whether a change was made is unknown.
	ErrUnavailable = errors.New("the database is unavailable")
)

// Refusals: the results of a command that is not allowed.
var (
	ErrNotFound            error = refusal("no such courier")
	ErrBusy                error = refusal("the courier has an open delivery")
	ErrCourierNotAvailable error = refusal("the courier is not available")
	ErrNoCourierAvailable  error = refusal("no courier is available; the order is unchanged")
	ErrOrderUnknown        error = refusal("the order is not known here")
	ErrNoSuchOrder         error = refusal("service-order has no such order")
	ErrStatusUnknown       error = refusal("the order has an unknown status")
	ErrAlreadyAssigned     error = refusal("the order already has a courier")
	ErrNotAssigned         error = refusal("the order has no courier")
	ErrNotHeld             error = refusal("the order is not on hold")
	ErrNotMissing          error = refusal("service-order still has the order")
	ErrOrderEnded          error = refusal("the order is completed or cancelled")
)

// refusal is the result of a command that is not allowed.
type refusal string

func (r refusal) Error() string { return string(r) }

// Explained is an error with what the caller needs besides: ids and states, no personal data.
type Explained struct {
	Err    error
	Detail string
}

// Error implements error.
func (e Explained) Error() string { return e.Err.Error() + ": " + e.Detail }

// Unwrap returns the error without the detail.
func (e Explained) Unwrap() error { return e.Err }

// Explain returns err with a detail of ids and states, without personal data.
func Explain(err error, format string, args ...any) error {
	return Explained{err, fmt.Sprintf(format, args...)}
}

// Refused reports whether err means that a command is not allowed, not that it failed.
func Refused(err error) bool {
	_, refused := errors.AsType[refusal](err)
	return refused
}
