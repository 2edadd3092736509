package client

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// UnreachableError means that the server did not answer.
type UnreachableError struct {
	Server string
	Err    error
}

func (e *UnreachableError) Error() string {
	return fmt.Sprintf("cannot reach %s: %v; start the server, or set --server or COURIER_URL", e.Server, e.Err)
}

func (e *UnreachableError) Unwrap() error { return e.Err }

// APIError is an error response. Code is "" unless it is a problem document (RFC
// 9457) of a service-courier: without one, a proxy may have answered.
type APIError struct {
	Status    int    `json:"status"`
	Title     string `json:"title"`
	Detail    string `json:"detail"`
	Remedy    string `json:"remedy"`
	Code      string `json:"code"`
	Command   string `json:"cli_remedy"` // instead of Remedy; or ""
	RequestID string `json:"request_id"`
	Errors    []struct {
		Location string `json:"location"`
		Message  string `json:"message"`
	} `json:"errors"`

	read       bool          // the request changes nothing
	retryAfter time.Duration // 0: none
}

func (e *APIError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d %s", e.Status, http.StatusText(e.Status))
	if e.Detail != "" {
		b.WriteString(": " + printable(e.Detail))
	}
	for _, at := range e.Errors {
		b.WriteString("\n  " + printable(strings.TrimSpace(argument(at.Location)+" "+at.Message)))
	}
	if remedy := e.remedy(); remedy != "" {
		b.WriteString("\n  " + printable(remedy))
	}
	if e.Status >= http.StatusInternalServerError && e.RequestID != "" {
		b.WriteString(" (request " + printable(e.RequestID) + ")")
	}
	return b.String()
}

// remedy says what to do on the command line.
func (e *APIError) remedy() string {
	remedy := cmp.Or(e.Command, e.Remedy)
	if e.read && e.Status == http.StatusServiceUnavailable { // it is about changes
		remedy = ""
	}
	if e.retryAfter > 0 {
		remedy += fmt.Sprintf(" Try again in %v.", e.retryAfter)
	}
	return strings.TrimSpace(remedy)
}

// argument is the flag or the argument that sets a place of a request: --transport for
// body.transport_type, ID for path.id.
func argument(location string) string {
	in, name, _ := strings.Cut(location, ".")
	switch {
	case name == "":
		return location
	case in == "path":
		return strings.ToUpper(strings.TrimSuffix(name, "_id"))
	}
	name = map[string]string{"transport_type": "transport", "courier_id": "courier"}[name]
	return "--" + cmp.Or(name, strings.TrimPrefix(location, in+"."))
}

// printable keeps a server's text on its line and from controlling the terminal.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return unicode.ReplacementChar
	}, s)
}

// maxProblem bounds the body of an error response.
const maxProblem = 64 << 10

// refusal reads the problem document of res; without one, only the status is kept.
func refusal(res *http.Response) error {
	var e APIError
	media, _, _ := mime.ParseMediaType(res.Header.Get("Content-Type")) // "" if malformed
	body, err := io.ReadAll(io.LimitReader(res.Body, maxProblem))
	if err != nil || media != "application/problem+json" || json.Unmarshal(body, &e) != nil || e.Code == "" {
		e = APIError{Detail: "not a problem document; is this a service-courier?"}
	}
	e.Status = res.StatusCode
	e.read = res.Request.Method == http.MethodGet
	if seconds, err := strconv.ParseUint(res.Header.Get("Retry-After"), 10, 16); err == nil {
		e.retryAfter = time.Duration(seconds) * time.Second
	}
	return &e
}
