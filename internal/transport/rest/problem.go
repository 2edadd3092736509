package rest

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"service-courier/internal/courier"
)

// retryAfter is what a 503 asks for, in seconds: outages that heal by
// themselves (a restart, a failover) take longer than one, callers wait less
// than ten.
const retryAfter = "2"

// outcomes is the one table from the errors of the use cases to HTTP; the first
// match counts. What is not in it is a fault of this service: 500. The caller is
// shown the detail, or the sentinel's text, never that of the errors around it.
var outcomes = []struct {
	err    error
	status int
	detail string
}{
	{err: courier.ErrInvalidCourier, status: http.StatusUnprocessableEntity, detail: "validation failed"}, // as huma says it
	{err: courier.ErrNotFound, status: http.StatusNotFound},
	{err: courier.ErrPhoneTaken, status: http.StatusConflict},
	{err: courier.ErrBusyByHand, status: http.StatusConflict},
	{err: courier.ErrNoSuchOrder, status: http.StatusNotFound},
	{err: courier.ErrNotFree, status: http.StatusConflict},
	{err: courier.ErrNobodyFree, status: http.StatusConflict},
	{err: courier.ErrStatusUnknown, status: http.StatusConflict},
	{err: courier.ErrAlreadyAssigned, status: http.StatusConflict},
	{err: courier.ErrNotAssigned, status: http.StatusConflict},
	{err: courier.ErrNotHeld, status: http.StatusConflict},
	{err: courier.ErrOrderEnded, status: http.StatusConflict},
	{err: courier.ErrOrdersUnavailable, status: http.StatusServiceUnavailable},
	{err: courier.ErrUnavailable, status: http.StatusServiceUnavailable},
	{err: context.DeadlineExceeded, status: http.StatusServiceUnavailable, detail: "the request took too long"},
	{err: context.Canceled, status: http.StatusServiceUnavailable, detail: "the request was given up"}, // the caller left
}

// problemOf returns the problem that err is to the caller.
func problemOf(err error) *huma.ErrorModel {
	for _, o := range outcomes {
		if errors.Is(err, o.err) {
			p := problem(o.status, cmp.Or(o.detail, o.err.Error()))
			if o.status == http.StatusUnprocessableEntity {
				p.Errors = reasons(err, o.err)
			}
			return p
		}
	}
	return internalError()
}

// internalError tells the caller nothing but where the operator finds it.
func internalError() *huma.ErrorModel {
	return problem(http.StatusInternalServerError, "an internal error; the log has it under this answer's X-Request-ID")
}

func problem(status int, detail string) *huma.ErrorModel {
	return &huma.ErrorModel{Status: status, Title: http.StatusText(status), Detail: detail}
}

// reasons lists the single errors that are joined in err, without sentinel.
func reasons(err, sentinel error) []*huma.ErrorDetail {
	switch joined := err.(type) { //nolint:errorlint // walks the tree itself
	case interface{ Unwrap() []error }:
		var all []*huma.ErrorDetail
		for _, e := range joined.Unwrap() {
			all = append(all, reasons(e, sentinel)...)
		}
		return all
	case interface{ Unwrap() error }:
		return reasons(joined.Unwrap(), sentinel)
	}
	if errors.Is(err, sentinel) {
		return nil
	}
	return []*huma.ErrorDetail{{Message: err.Error()}}
}

// refuse logs what the operator has to know of err and returns what the caller
// gets to know.
func (a *api) refuse(ctx context.Context, operation string, err error) error {
	p := problemOf(err)
	attrs := []slog.Attr{
		slog.String("request_id", requestID(ctx)), slog.String("operation", operation), slog.Any("error", err),
	}
	switch p.Status {
	case http.StatusInternalServerError:
		a.log.LogAttrs(ctx, slog.LevelError, "request failed", attrs...)
	case http.StatusServiceUnavailable:
		if !errors.Is(err, context.Canceled) { // nothing is wrong when the caller leaves
			a.log.LogAttrs(ctx, slog.LevelWarn, "request cannot be served now", attrs...)
		}
		return huma.ErrorWithHeaders(p, http.Header{"Retry-After": {retryAfter}})
	}
	return p
}

// discreet is the last look at what huma is about to send: a problem does not
// repeat the caller's values, which may be personal, and one of huma's own
// making does not tell what went wrong inside.
func discreet(_ huma.Context, _ string, body any) (any, error) {
	p, ok := body.(*huma.ErrorModel)
	if !ok {
		return body, nil
	}
	if p.Status >= http.StatusInternalServerError {
		p.Errors = nil
	}
	for _, e := range p.Errors {
		e.Value = nil
	}
	return p, nil
}

// writeProblem answers outside huma exactly as huma would.
func writeProblem(w http.ResponseWriter, p *huma.ErrorModel) {
	h := w.Header()
	h.Del("Content-Length")
	h.Set("Content-Type", "application/problem+json")
	w.WriteHeader(p.Status)
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(p) // the client has gone: nobody to tell
}
