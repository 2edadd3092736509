package rest

import (
	"cmp"
	"encoding/json"
	"errors"
	"maps"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"service-courier/internal/courier"
	"service-courier/internal/outage"
)

// Problem is the body of every error (RFC 9457). Code is the stable name of its kind,
// Type the page that explains it.
type Problem struct {
	Type      string       `json:"type" format:"uri-reference" doc:"the page that explains this code" example:"/problems/phone-registered"`
	Title     string       `json:"title" doc:"the same for every problem with this code" example:"Phone already registered"`
	Status    int          `json:"status" minimum:"400" maximum:"599" example:"409"`
	Code      string       `json:"code" doc:"stable name, listed in docs/errors.md" example:"phone_registered"`
	Detail    string       `json:"detail" doc:"what happened" example:"phone already registered"`
	Remedy    string       `json:"remedy" doc:"what to do" example:"Use the existing courier, or another phone."`
	Command   string       `json:"cli_remedy,omitempty" doc:"what to do on the command line, if that differs" example:"Use the existing courier (service-courier couriers list), or another --phone."`
	Errors    []fieldError `json:"errors,omitempty" doc:"every invalid place of the request"`
	RequestID string       `json:"request_id" doc:"as in the log and in X-Request-ID"`

	headers http.Header // of the response
}

// fieldError is one invalid place of a request. It does not repeat the value, which
// may be personal data.
type fieldError struct {
	Location string `json:"location,omitempty" example:"body.phone"`
	Message  string `json:"message" example:"expected string"`
}

// Error returns the detail.
func (p *Problem) Error() string { return p.Detail }

// GetStatus implements huma.StatusError.
func (p *Problem) GetStatus() int { return p.Status }

// GetHeaders implements huma.HeadersError.
func (p *Problem) GetHeaders() http.Header { return p.headers }

// ContentType implements huma.ContentTypeFilter.
func (p *Problem) ContentType(string) string { return "application/problem+json" }

// problem returns a problem of the kind with the code; an empty detail is the kind's own.
func problem(code, detail string) *Problem {
	k := kindOf(code)
	p := &Problem{
		Type: k.path(), Title: k.title, Status: k.status, Code: k.code,
		Detail: cmp.Or(detail, k.detail), Remedy: k.remedy, Command: k.command, headers: make(http.Header),
	}
	if k.retry != "" {
		p.headers.Set("Retry-After", k.retry)
	}
	return p
}

// problemOf returns the problem of err. Its detail is the text of the kind or of a
// courier.Explained, with the public cause of an outage, never the text of another error
// around it, which may contain secrets.
func problemOf(err error) *Problem {
	if p, ok := errors.AsType[*Problem](err); ok {
		return p
	}
	for _, k := range kinds {
		if k.err != nil && errors.Is(err, k.err) {
			detail := ""
			if explained, ok := errors.AsType[courier.Explained](err); ok && explained.Err == k.err { //nolint:errorlint // nothing is wrapped in it
				detail = explained.Error()
			}
			p := problem(k.code, detail)
			if cause := outage.Public(err, ""); cause != "" && k.status == http.StatusServiceUnavailable {
				p.Detail += ": " + cause
			}
			if k.status == http.StatusUnprocessableEntity || k.code == codeInvalidPhone {
				p.Errors = leaves(err, k.err)
			}
			return p
		}
	}
	return problem(codeInternal, "")
}

// invalid is the problem of one place of the request, such as "query.cursor".
func invalid(location, message string) *Problem {
	p := problem(codeInvalid, "")
	p.Errors = []fieldError{{location, message}}
	return p
}

// leaves lists the innermost errors of the tree of err, without the sentinel.
func leaves(err, sentinel error) []fieldError {
	switch joined := err.(type) { //nolint:errorlint // walks the tree itself
	case interface{ Unwrap() []error }:
		var all []fieldError
		for _, e := range joined.Unwrap() {
			all = append(all, leaves(e, sentinel)...)
		}
		return all
	case interface{ Unwrap() error }:
		return leaves(joined.Unwrap(), sentinel)
	}
	if errors.Is(err, sentinel) {
		return nil
	}
	return []fieldError{{Message: err.Error()}}
}

// huma creates its own errors, and their schema, with these two functions; replacing
// them is its way to set another type. Its ValidateStrictCasing is off by default: the
// schema would check one of two spellings of a field, and encoding/json keep the other.
func init() {
	huma.ValidateStrictCasing = true
	huma.NewError = func(status int, detail string, errs ...error) huma.StatusError {
		return humaProblem("", status, detail, errs)
	}
	huma.NewErrorWithContext = func(ctx huma.Context, status int, detail string, errs ...error) huma.StatusError {
		return humaProblem(requestID(ctx.Context()), status, detail, errs)
	}
}

// humaInvalid is the detail that huma gives to a list of errors, also for a body that is not JSON.
const humaInvalid = "validation failed"

// humaProblem is the problem of an error raised by huma: a request that does not match
// its schema. Internal errors are not shown.
func humaProblem(id string, status int, detail string, errs []error) *Problem {
	var p *Problem
	switch status {
	case http.StatusBadRequest:
		if detail == humaInvalid {
			detail = "" // the body was not validated but unreadable
		}
		p = problem(codeMalformed, detail)
	case http.StatusUnprocessableEntity:
		p = problem(codeInvalid, "")
	default:
		p = problem(codeInternal, "")
		errs = nil
	}
	p.RequestID = id
	for _, err := range errs {
		field := fieldError{Message: err.Error()}
		if d, ok := err.(huma.ErrorDetailer); ok {
			field = fieldError{d.ErrorDetail().Location, d.ErrorDetail().Message}
		}
		p.Errors = append(p.Errors, field)
	}
	return p
}

// writeProblem responds with a problem, exactly as huma does.
func writeProblem(w http.ResponseWriter, r *http.Request, p *Problem) {
	p.RequestID = requestID(r.Context())
	h := w.Header()
	h.Del("Content-Length")
	maps.Copy(h, p.headers)
	h.Set("Content-Type", p.ContentType(""))
	w.WriteHeader(p.Status)
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(p) // fails only when the client has disconnected
}
