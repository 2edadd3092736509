package rest

import (
	"cmp"
	"encoding/json"
	"errors"
	"maps"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
)

// Problem is the body of every error (RFC 9457). Code is the kind's stable name,
// for programs; Type is the same as a reference to the page that explains it.
type Problem struct {
	Type      string     `json:"type" format:"uri-reference" doc:"the page that explains this code" example:"/problems/phone-taken"`
	Title     string     `json:"title" doc:"the same for every problem of the code" example:"Phone taken"`
	Status    int        `json:"status" minimum:"400" maximum:"599" example:"409"`
	Code      string     `json:"code" doc:"stable name; docs/errors.md lists them all" example:"phone_taken"`
	Detail    string     `json:"detail" doc:"what happened this time" example:"another courier has this phone"`
	Errors    []badField `json:"errors,omitempty" doc:"every place of the request that is not as it must be"`
	RequestID string     `json:"request_id" doc:"under which the log tells of the request; X-Request-ID is the same"`

	headers http.Header // of the answer
}

// badField is one place of a request that is not as it must be. It does not
// repeat the value, which may be personal.
type badField struct {
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

// problem returns one of the kind that code names, in the table of problems.go;
// an empty detail stands for the kind's own.
func problem(code, detail string) *Problem {
	k := kindOf(code)
	p := &Problem{
		Type: k.path(), Title: k.title, Status: k.status, Code: k.code,
		Detail: cmp.Or(detail, k.detail), headers: make(http.Header),
	}
	if k.retry != "" {
		p.headers.Set("Retry-After", k.retry)
	}
	return p
}

// problemOf returns the problem that err is to the caller, who is shown the
// kind's own words, never those of the errors around it.
func problemOf(err error) *Problem {
	if p, ok := errors.AsType[*Problem](err); ok {
		return p
	}
	for _, k := range kinds {
		if k.err != nil && errors.Is(err, k.err) {
			p := problem(k.code, "")
			if k.status == http.StatusUnprocessableEntity {
				p.Errors = reasons(err, k.err)
			}
			return p
		}
	}
	return problem(codeInternal, "")
}

// invalid refuses one place of the request, such as "query.cursor", that the
// schema could not.
func invalid(location, message string) *Problem {
	p := problem(codeInvalid, "")
	p.Errors = []badField{{location, message}}
	return p
}

// reasons lists the single errors that are joined in err, without sentinel.
func reasons(err, sentinel error) []badField {
	switch joined := err.(type) { //nolint:errorlint // walks the tree itself
	case interface{ Unwrap() []error }:
		var all []badField
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
	return []badField{{Message: err.Error()}}
}

// huma makes its own refusals, and the description of errors, with these two;
// replacing them is how it is told of another type.
func init() {
	huma.NewError = func(status int, detail string, errs ...error) huma.StatusError {
		return humaProblem("", status, detail, errs)
	}
	huma.NewErrorWithContext = func(ctx huma.Context, status int, detail string, errs ...error) huma.StatusError {
		return humaProblem(requestID(ctx.Context()), status, detail, errs)
	}
}

// humaInvalid is huma's detail beside a list of errors, also of a body that is no JSON.
const humaInvalid = "validation failed"

// humaProblem is what huma refuses: a request that does not fit its schema. Of
// what goes wrong inside it tells nothing.
func humaProblem(id string, status int, detail string, errs []error) *Problem {
	var p *Problem
	switch status {
	case http.StatusBadRequest:
		if detail == humaInvalid {
			detail = "" // nothing was validated: it could not be read
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
		field := badField{Message: err.Error()}
		if d, ok := err.(huma.ErrorDetailer); ok {
			field = badField{d.ErrorDetail().Location, d.ErrorDetail().Message}
		}
		p.Errors = append(p.Errors, field)
	}
	return p
}

// writeProblem answers outside huma exactly as huma would.
func writeProblem(w http.ResponseWriter, r *http.Request, p *Problem) {
	p.RequestID = requestID(r.Context())
	h := w.Header()
	h.Del("Content-Length")
	maps.Copy(h, p.headers)
	h.Set("Content-Type", p.ContentType(""))
	w.WriteHeader(p.Status)
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(p) // the client has gone: nobody to tell
}
