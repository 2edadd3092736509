package rest

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	"service-courier/internal/courier"
	"service-courier/internal/usecase/deadletters"
	"service-courier/internal/usecase/statistics"
)

// problemsPath is where problems are explained, each at its code.
const problemsPath = "/problems/"

// retrySoon is what a 503 asks for, in seconds: outages that heal by themselves
// (a restart, a failover) take longer than one, callers wait less than ten.
const retrySoon = "2"

// The codes of what this package refuses itself.
const (
	codeMalformed        = "malformed_request"
	codeUnauthorized     = "unauthorized"
	codeForbidden        = "forbidden"
	codeCrossOrigin      = "cross_origin"
	codeNoRoute          = "route_not_found"
	codeMethodNotAllowed = "method_not_allowed"
	codeBodyTimeout      = "request_timeout"
	codeChanged          = "precondition_failed"
	codeBodyTooLarge     = "body_too_large"
	codeMediaType        = "unsupported_media_type"
	codeMisdirected      = "misdirected_request"
	codeInvalid          = "validation_failed"
	codeRateLimited      = "rate_limited"
	codeInternal         = "internal"
)

// kind is one kind of problem. A code, once told, keeps its meaning.
type kind struct {
	code   string
	status int
	title  string
	detail string // where an occurrence has none of its own
	remedy string // what the caller can do, for those who look the code up
	err    error  // the use case's; nil: this package refuses so itself
	retry  string // seconds after which the same request may succeed
}

// path is where the kind is explained.
func (k kind) path() string { return problemsPath + strings.ReplaceAll(k.code, "_", "-") }

// kinds is the one table of what can go wrong; the first err that matches counts.
// What is not in it is a fault of this service: 500. docs/errors.md shows the
// whole of it, and a test holds that.
var kinds = []kind{
	{code: codeMalformed, status: http.StatusBadRequest, title: "Malformed request", detail: "the request cannot be read", remedy: "Send a whole body of valid JSON."},
	{code: codeUnauthorized, status: http.StatusUnauthorized, title: "No valid token", detail: "a valid token is needed", remedy: "Send Authorization: Bearer TOKEN with a token of API_TOKENS."},
	{code: codeForbidden, status: http.StatusForbidden, title: "Role too low", detail: "the token's role does not allow this", remedy: "Use a token with the role operate."},
	{code: codeCrossOrigin, status: http.StatusForbidden, title: "Write from another site", detail: "a page of another origin may not change anything here", remedy: "Call from a program, or from a page of the same origin."},
	{code: codeNoRoute, status: http.StatusNotFound, title: "No such path", detail: "there is nothing at this path; /openapi.json lists what there is", remedy: "Look the path up in /docs."},
	{code: codeMethodNotAllowed, status: http.StatusMethodNotAllowed, title: "Method not allowed", detail: "this path does not allow the method", remedy: "Use a method that the header Allow names."},
	{code: codeBodyTimeout, status: http.StatusRequestTimeout, title: "Body took too long", detail: "the body took too long to arrive", remedy: "Send it again, in one go."},
	{code: codeChanged, status: http.StatusPreconditionFailed, title: "Changed meanwhile", detail: "it is not as If-Match says any more", remedy: "Read it again, and decide on what it is now.", err: courier.ErrChanged},
	{code: codeBodyTooLarge, status: http.StatusRequestEntityTooLarge, title: "Body too large", detail: fmt.Sprintf("the body is longer than %d bytes", maxBodyBytes), remedy: "Send less."},
	{code: codeMediaType, status: http.StatusUnsupportedMediaType, title: "Not JSON", detail: "the body must be JSON: send it with Content-Type: application/json", remedy: "Send JSON, and say so in Content-Type."},
	{code: codeMisdirected, status: http.StatusMisdirectedRequest, title: "Not this host", detail: "without tokens this API answers only to localhost, 127.0.0.1 and [::1]", remedy: "Call it by one of these names, or let it ask for tokens (API_TOKENS)."},
	{code: codeInvalid, status: http.StatusUnprocessableEntity, title: "Validation failed", detail: "validation failed", remedy: "Mend every place that errors names.", err: courier.ErrInvalidCourier},
	{code: codeRateLimited, status: http.StatusTooManyRequests, title: "Too many requests", detail: "this address asks too often", remedy: "Wait as long as Retry-After says.", retry: "1"},
	{code: codeInternal, status: http.StatusInternalServerError, title: "Internal error", detail: "an internal error; the log has it under this answer's request_id", remedy: "Tell the operator the request_id."},

	{code: "bad_period", status: http.StatusUnprocessableEntity, title: "Bad period", detail: "the period ends before it begins, or is too long", remedy: fmt.Sprintf("Ask for at most %d days, the first day first.", statistics.MaxDays), err: statistics.ErrBadPeriod},
	ofError(courier.ErrNotFound, "courier_not_found", http.StatusNotFound, "No such courier", "Look the id up in /api/v1/couriers."),
	ofError(courier.ErrPhoneTaken, "phone_taken", http.StatusConflict, "Phone taken", "A courier is known by his phone: use the one there is, or another phone."),
	ofError(courier.ErrBusyByHand, "busy_by_hand", http.StatusConflict, "Busy is not set by hand", "Assign him an order."),
	ofError(courier.ErrBusy, "courier_busy", http.StatusConflict, "Courier busy", "Let him pause after this delivery, or unassign it first."),
	ofError(courier.ErrNotFree, "courier_not_free", http.StatusConflict, "Courier not free", "Choose another, or leave the choice to the service."),
	ofError(courier.ErrNobodyFree, "no_courier_free", http.StatusConflict, "Nobody is free", "Nothing: the order gets the next who is."),
	ofError(courier.ErrOrderUnknown, "order_unknown", http.StatusNotFound, "Order unknown here", "If service-order has it, look at it: POST /api/v1/orders/{order_id}/look."),
	ofError(courier.ErrNoSuchOrder, "order_not_found", http.StatusNotFound, "No such order", "See whether service-order has it."),
	ofError(courier.ErrStatusUnknown, "order_status_unknown", http.StatusConflict, "Order status unknown", "It is looked at again; try later."),
	ofError(courier.ErrAlreadyAssigned, "order_already_assigned", http.StatusConflict, "Order already assigned", "Unassign it first, if another courier is meant."),
	ofError(courier.ErrNotAssigned, "order_not_assigned", http.StatusConflict, "Order not assigned", "Nothing: no courier has it."),
	ofError(courier.ErrNotHeld, "order_not_held", http.StatusConflict, "Order not held", "Nothing: only a held order is put back in line."),
	ofError(courier.ErrOrderEnded, "order_ended", http.StatusConflict, "Order ended", "Nothing: it is completed or cancelled."),
	ofError(deadletters.ErrNotFound, "dead_letter_not_found", http.StatusNotFound, "No such dead letter", "Look the id up in /api/v1/dead-letters; handled ones are removed after 30 days."),
	ofError(deadletters.ErrHandled, "dead_letter_handled", http.StatusConflict, "Dead letter handled already", "Nothing: it was redriven or dropped."),
	ofError(deadletters.ErrChanged, "dead_letter_changed", http.StatusConflict, "Dead letter changed meanwhile", "Look at it again, and decide on what it is now."),
	ofError(deadletters.ErrRoundsUsedUp, "dead_letter_rounds_used_up", http.StatusConflict, "Redriven too often", "Edit its payload (service-courier deadletters edit), or drop it."),
	ofError(deadletters.ErrForbidden, "kafka_forbidden", http.StatusForbidden, "Not allowed by Kafka", "Let the operator redrive it (service-courier deadletters redrive), or allow the user of serve to WRITE the topic. Another token changes nothing."), // before the next, which it is, too
	notNow(deadletters.ErrNotPublished, "kafka_unavailable", "Kafka unavailable", ""),
	notNow(courier.ErrOrdersUnavailable, "order_service_unavailable", "service-order unavailable", ""),
	notNow(courier.ErrUnavailable, "storage_unavailable", "Storage unavailable", ""),
	notNow(context.DeadlineExceeded, "timed_out", "Took too long", "the request took too long"),
	notNow(context.Canceled, "given_up", "Given up", "the request was given up"), // the caller left, and does not read this
}

// ofError is the kind of a use case's refusal; its own text is the detail.
func ofError(err error, code string, status int, title, remedy string) kind {
	return kind{code: code, status: status, title: title, detail: err.Error(), remedy: remedy, err: err}
}

// notNow is the kind of what may succeed later.
func notNow(err error, code, title, detail string) kind {
	k := ofError(err, code, http.StatusServiceUnavailable, title, "Ask again, as late as Retry-After says; whether a change was made is not known.")
	if detail != "" {
		k.detail = detail
	}
	k.retry = retrySoon
	return k
}

// kindOf returns the kind named; asking for one that is not there is a mistake
// in this package, and is answered as one.
func kindOf(code string) kind {
	for _, k := range kinds {
		if k.code == code {
			return k
		}
	}
	return kindOf(codeInternal)
}
