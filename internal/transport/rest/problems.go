package rest

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	"service-courier/internal/courier"
	"service-courier/internal/usecase/deadletters"
	"service-courier/internal/usecase/records"
	"service-courier/internal/usecase/statistics"
)

// problemsPath is the prefix of the pages that explain the problems.
const problemsPath = "/problems/"

// retrySoon is the Retry-After of a 503, in seconds: outages that end by themselves
// (a restart, a failover) take longer than one second.
const retrySoon = "2"

// The codes of problems that this package raises itself.
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
	codeInvalidPhone     = "invalid_phone"
	codeRateLimited      = "rate_limited"
	codeShareUsed        = "too_many_open_requests"
	codeOverloaded       = "overloaded"
	codeInternal         = "internal"
)

// kind is one kind of problem. Its code is stable once released.
type kind struct {
	code   string
	status int
	title  string
	detail string // default of the detail
	remedy string // what the caller can do
	err    error  // of a use case; nil: raised by this package
	retry  string // Retry-After in seconds

	command string // remedy of the command line, which also shows Retry-After; "": remedy
}

// path is the page that explains the kind.
func (k kind) path() string { return problemsPath + strings.ReplaceAll(k.code, "_", "-") }

const anotherVersion = "Check --server and COURIER_URL: the server may be of another version."

// kinds maps errors to problems; the first err that matches counts. An error that is
// not listed is a 500. docs/errors.md is generated from it.
var kinds = []kind{
	{code: codeMalformed, status: http.StatusBadRequest, title: "Malformed request", detail: "the request cannot be read", remedy: "Send a complete body of valid JSON."},
	{code: codeUnauthorized, status: http.StatusUnauthorized, title: "Valid token required", detail: "a valid token is required", remedy: "Send Authorization: Bearer TOKEN with a token of API_TOKENS.", command: "Set COURIER_TOKEN to a token of the server's API_TOKENS."},
	{code: codeForbidden, status: http.StatusForbidden, title: "Insufficient role", detail: "the role of the token does not allow this", remedy: "Use a token with the role operate.", command: "Set COURIER_TOKEN to a token with the role operate."},
	{code: codeCrossOrigin, status: http.StatusForbidden, title: "Cross-origin write", detail: "pages of another origin cannot change anything", remedy: "Call the API from a program, or from a page of the same origin."},
	{code: codeNoRoute, status: http.StatusNotFound, title: "Path not found", detail: "path not found; /openapi.json lists all paths", remedy: "Check the path in /docs.", command: anotherVersion},
	{code: codeMethodNotAllowed, status: http.StatusMethodNotAllowed, title: "Method not allowed", detail: "this path does not allow the method", remedy: "Use a method listed in the Allow header.", command: anotherVersion},
	{code: codeBodyTimeout, status: http.StatusRequestTimeout, title: "Request timeout", detail: "the body did not arrive in time", remedy: "Send the request again."},
	{code: codeChanged, status: http.StatusPreconditionFailed, title: "Resource changed", detail: "the resource has changed: its ETag does not match If-Match", remedy: "Read the resource again, then repeat the change with its new ETag.", err: courier.ErrChanged},
	{code: codeBodyTooLarge, status: http.StatusRequestEntityTooLarge, title: "Body too large", detail: fmt.Sprintf("the body is longer than %d bytes", maxBodyBytes), remedy: "Send a shorter body."},
	{code: codeMediaType, status: http.StatusUnsupportedMediaType, title: "Unsupported media type", detail: "the body must be JSON", remedy: "Send JSON with Content-Type: application/json."},
	{code: codeMisdirected, status: http.StatusMisdirectedRequest, title: "Host not allowed", detail: "the API is not available under this host name", remedy: "Use localhost, an IP address or a name listed in HTTP_ALLOWED_HOSTS, or add the name there."},
	{code: codeInvalid, status: http.StatusUnprocessableEntity, title: "Validation failed", detail: "validation failed", remedy: "Fix every place listed in errors.", err: courier.ErrInvalidCourier, command: "Correct these values; --help describes them."},
	{code: codeRateLimited, status: http.StatusTooManyRequests, title: "Too many requests", detail: "too many requests from this address", remedy: "Wait for the seconds given in Retry-After.", retry: "1", command: "The server limits the requests of each address."},
	{code: codeShareUsed, status: http.StatusTooManyRequests, title: "Too many open requests", detail: "this caller has too many requests or streams open", remedy: "End some of them first: the limit is per token, or per address without tokens.", retry: "1"},
	{code: codeOverloaded, status: http.StatusServiceUnavailable, title: "Overloaded", detail: "the server has too many requests or streams open", remedy: "Nothing was changed. Try again after the seconds given in Retry-After.", retry: retrySoon, command: "Nothing was changed."},
	{code: codeInternal, status: http.StatusInternalServerError, title: "Internal error", detail: "internal error; the log has the details under the request_id", remedy: "Report the request_id to the operator."},

	{code: "bad_period", status: http.StatusUnprocessableEntity, title: "Bad period", detail: "the period ends before it begins, or is too long", remedy: fmt.Sprintf("Use a from that is not after to, and at most %d days.", statistics.MaxDays), err: statistics.ErrBadPeriod, command: fmt.Sprintf("Use a --from that is not after --to, and at most %d days.", statistics.MaxDays)},
	ofError(courier.ErrNotFound, "courier_not_found", http.StatusNotFound, "Courier not found", "Check the id in /api/v1/couriers.").onCommandLine("service-courier couriers list shows the ids."),
	ofError(courier.ErrInvalidPhone, codeInvalidPhone, http.StatusBadRequest, "Invalid phone number", "Send the digits of one number, best with its country code.").onCommandLine("Give --phone the digits of one number, best with its country code."),
	ofError(courier.ErrPhoneRegistered, "phone_registered", http.StatusConflict, "Phone already registered", "Use the existing courier, or another phone.").onCommandLine("Use the existing courier (service-courier couriers list), or another --phone."),
	ofError(courier.ErrBusyNotSettable, "busy_not_settable", http.StatusConflict, "Status busy cannot be set", "Assign an order to the courier instead.").onCommandLine("Assign an order to the courier instead: service-courier orders assign ORDER --courier ID."),
	ofError(courier.ErrBusy, "courier_busy", http.StatusConflict, "Courier is busy", "Pause the courier after the delivery (after_delivery), or unassign the order first.").onCommandLine("Pause the courier after the delivery (service-courier couriers pause ID --after-delivery), or unassign the order first (service-courier orders unassign ORDER)."),
	ofError(courier.ErrCourierNotAvailable, "courier_not_available", http.StatusConflict, "Courier not available", "Choose another courier, or omit courier_id.").onCommandLine("Choose another courier (service-courier couriers list --status available), or omit --courier."),
	ofError(courier.ErrNoCourierAvailable, "no_courier_available", http.StatusConflict, "No courier available", "Try again when a courier is available; a waiting order is assigned without another request."),
	ofError(courier.ErrOrderUnknown, "order_unknown", http.StatusNotFound, "Order not known here", "If service-order has the order, recheck it: POST /api/v1/orders/{order_id}/recheck.").onCommandLine("If service-order has the order: service-courier orders recheck ORDER."),
	ofError(courier.ErrNoSuchOrder, "order_not_found", http.StatusNotFound, "Order not found", "Check the id in service-order. If the order is active here and is over, cancel it.").onCommandLine("Check the id in service-order. If the order is active here and is over: service-courier orders cancel ORDER."),
	ofError(courier.ErrStatusUnknown, "order_status_unknown", http.StatusConflict, "Unknown order status", "Ask the operator to add the status (runbook: unknown order status)."),
	ofError(courier.ErrAlreadyAssigned, "order_already_assigned", http.StatusConflict, "Order already assigned", "Unassign the order first to give it to another courier.").onCommandLine("To give it to another courier, unassign it first: service-courier orders unassign ORDER."),
	ofError(courier.ErrNotAssigned, "order_not_assigned", http.StatusConflict, "Order not assigned", "No action needed: the order has no courier."),
	ofError(courier.ErrNotHeld, "order_not_held", http.StatusConflict, "Order not on hold", "No action needed: only an order on hold can be released."),
	ofError(courier.ErrNotMissing, "order_not_missing", http.StatusConflict, "Order not missing", "Cancel the order in service-order: its event, or the resync, cancels it here."),
	ofError(courier.ErrOrderEnded, "order_ended", http.StatusConflict, "Order has ended", "No action needed: the order is completed or cancelled."),
	ofError(deadletters.ErrNotFound, "dead_letter_not_found", http.StatusNotFound, "Dead letter not found", "Check the id in /api/v1/dead-letters; handled dead letters are deleted after 30 days."),
	ofError(deadletters.ErrHandled, "dead_letter_handled", http.StatusConflict, "Dead letter already handled", "No action needed: it was redriven or discarded."),
	ofError(deadletters.ErrChanged, "dead_letter_changed", http.StatusConflict, "Dead letter changed", "Read the dead letter again, then repeat the command if it still applies."),
	ofError(deadletters.ErrRedriveLimit, "dead_letter_redrive_limit", http.StatusConflict, "Redriven too often", "Edit the payload (service-courier deadletters edit), or discard the dead letter."),
	ofError(deadletters.ErrNoRecord, "dead_letter_no_record", http.StatusConflict, "Batch without payload", "Discard the dead letter; resync finds the orders of its records."),
	ofError(deadletters.ErrForbidden, "kafka_forbidden", http.StatusForbidden, "Not allowed by Kafka", "Redrive on the command line (service-courier deadletters redrive), or allow the Kafka user of the service to WRITE the topic. Another token does not help."), // before ErrNotPublished, which it also matches
	dependencyUnavailable(deadletters.ErrNotPublished, "kafka_unavailable", "Kafka unavailable"),
	ofError(records.ErrForbidden, "records_forbidden", http.StatusForbidden, "Not readable for the service", "Allow the Kafka user of the service to READ the topic: kafka-acls.sh --add --allow-principal User:NAME --operation Read --topic TOPIC (docs/security.md, Rights). Another token does not help."),
	{code: "records_unavailable", status: http.StatusServiceUnavailable, title: "Records unavailable", detail: records.ErrNotRead.Error(), remedy: "Try again after the seconds given in Retry-After." + causeOf, err: records.ErrNotRead, retry: retrySoon, command: "The log of the server has the cause."},
	orderServiceUnavailable(),
	dependencyUnavailable(courier.ErrUnavailable, "storage_unavailable", "Database unavailable"),
	unavailable(context.DeadlineExceeded, "timed_out", "Timed out", "the request took too long"),
	unavailable(context.Canceled, "client_disconnected", "Client disconnected", "the client disconnected before the response"), // only the log shows it
}

// ofError is the kind of an error of a use case, whose text is the detail.
func ofError(err error, code string, status int, title, remedy string) kind {
	return kind{code: code, status: status, title: title, detail: err.Error(), remedy: remedy, err: err}
}

// onCommandLine sets the remedy that names commands and flags.
func (k kind) onCommandLine(remedy string) kind {
	k.command = remedy
	return k
}

// unavailable is a kind that may succeed later.
func unavailable(err error, code, title, detail string) kind {
	return kind{
		code: code, status: http.StatusServiceUnavailable, title: title, detail: detail, err: err, retry: retrySoon,
		remedy:  "Try again after the seconds given in Retry-After; a command may or may not have been carried out.",
		command: "The change may or may not have been made: check before you repeat it.",
	}
}

// causeOf says where the caller finds why a dependency is unavailable.
const causeOf = " GET /readyz and the log show the cause."

// dependencyUnavailable is a kind that succeeds when a dependency is available again.
func dependencyUnavailable(err error, code, title string) kind {
	k := unavailable(err, code, title, err.Error())
	k.remedy += causeOf
	return k
}

// orderServiceUnavailable is a kind that may succeed later: the fetch failed before
// anything was changed.
func orderServiceUnavailable() kind {
	k := unavailable(courier.ErrOrdersUnavailable, "order_service_unavailable", "service-order unavailable", courier.ErrOrdersUnavailable.Error())
	k.command = "Nothing was changed."
	k.remedy = "Nothing was changed. Try again after the seconds given in Retry-After." + causeOf
	return k
}

// kindOf returns the kind with the code.
func kindOf(code string) kind {
	for _, k := range kinds {
		if k.code == code {
			return k
		}
	}
	return kindOf(codeInternal) // a mistake in this package
}
