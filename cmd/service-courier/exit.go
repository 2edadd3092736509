package main

import (
	"errors"
	"net/http"

	"service-courier/internal/client"
	"service-courier/internal/usecase/deadletters"
)

// The exit codes, for scripts.
const (
	exitOK           = 0
	exitFailed       = 1
	exitUsage        = 2 // the command line is wrong; nothing was done
	exitPrecondition = 3 // something has to be there first: the server and nobody else, an access token, service-order
	exitNotFound     = 4
	exitConflict     = 5 // what was asked would break a promise, or is done already
)

// usageError says that the command line is wrong.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// preconditionError says what has to be there first.
type preconditionError struct{ error }

func (e preconditionError) Unwrap() error { return e.error }

func exitCode(err error) int {
	var usage usageError
	var precondition preconditionError
	var api *client.APIError
	var unreachable *client.UnreachableError
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &usage):
		return exitUsage
	case errors.As(err, &precondition), errors.As(err, &unreachable):
		return exitPrecondition
	case errors.As(err, &api):
		return exitCodeOf(api)
	case errors.Is(err, deadletters.ErrNotFound):
		return exitNotFound
	case errors.Is(err, deadletters.ErrHandled), errors.Is(err, deadletters.ErrChanged):
		return exitConflict
	}
	return exitFailed
}

// exitCodeOf is what a refusal means to a script. One that is not the server's
// own says nothing about what was asked for: a 404 of a proxy is no missing courier.
func exitCodeOf(refused *client.APIError) int {
	if refused.Code == "" {
		return exitPrecondition
	}
	switch refused.Status {
	case http.StatusBadRequest, http.StatusUnprocessableEntity:
		return exitUsage
	case http.StatusNotFound:
		return exitNotFound
	case http.StatusConflict:
		return exitConflict
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusMisdirectedRequest,
		http.StatusTooManyRequests, http.StatusServiceUnavailable:
		return exitPrecondition
	}
	return exitFailed
}
