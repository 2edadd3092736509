// Package cli is what the commands do: those on the database and Kafka with the
// settings of serve, and those against a running server.
package cli

import (
	"errors"
	"fmt"
	"net/http"

	"service-courier/internal/cli/client"
	"service-courier/internal/usecase/deadletters"
	"service-courier/internal/usecase/outbox"
)

// The exit codes, for scripts.
const (
	ExitOK           = 0
	ExitFailed       = 1
	ExitUsage        = 2 // wrong command line; nothing was changed
	ExitPrecondition = 3 // something is missing: the server, a valid token, service-order
	ExitNotFound     = 4
	ExitConflict     = 5 // not possible now, or already done
)

// UsageError means that the command line or a setting of the command is wrong.
type UsageError struct{ Err error }

func (e UsageError) Error() string { return e.Err.Error() }
func (e UsageError) Unwrap() error { return e.Err }

// Usagef returns a UsageError.
func Usagef(format string, args ...any) error { return UsageError{fmt.Errorf(format, args...)} }

// preconditionError means that something the command needs is missing.
type preconditionError struct{ error }

func (e preconditionError) Unwrap() error { return e.error }

// ExitCode returns the exit code for the error of a command.
func ExitCode(err error) int {
	var usage UsageError
	var precondition preconditionError
	var api *client.APIError
	var unreachable *client.UnreachableError
	switch {
	case err == nil:
		return ExitOK
	case errors.As(err, &usage):
		return ExitUsage
	case errors.As(err, &precondition), errors.As(err, &unreachable):
		return ExitPrecondition
	case errors.As(err, &api):
		return exitCodeOf(api)
	case errors.Is(err, deadletters.ErrNotFound):
		return ExitNotFound
	case errors.Is(err, deadletters.ErrHandled), errors.Is(err, deadletters.ErrChanged), errors.Is(err, outbox.ErrSkips):
		return ExitConflict
	}
	return ExitFailed
}

// exitCodeOf maps the status of a service-courier. A proxy's 404 does not mean that
// the courier does not exist.
func exitCodeOf(err *client.APIError) int {
	if err.Code == "" {
		return ExitPrecondition
	}
	switch err.Status {
	case http.StatusBadRequest, http.StatusUnprocessableEntity:
		return ExitUsage
	case http.StatusNotFound:
		return ExitNotFound
	case http.StatusConflict:
		return ExitConflict
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusMisdirectedRequest,
		http.StatusTooManyRequests, http.StatusServiceUnavailable:
		return ExitPrecondition
	}
	return ExitFailed
}
