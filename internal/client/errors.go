package client

import (
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"
)

// UnreachableError says that the server gave no answer.
type UnreachableError struct {
	Server string
	Err    error
}

func (e *UnreachableError) Error() string {
	return fmt.Sprintf("%s does not answer: %v; start it, or name another one (--server, COURIER_URL)", e.Server, e.Err)
}

func (e *UnreachableError) Unwrap() error { return e.Err }

// APIError is a refusal. Code is "" where it is no problem (RFC 9457) of a
// service-courier: somebody else answered, such as a proxy.
type APIError struct {
	Status    int    `json:"status"`
	Title     string `json:"title"`
	Detail    string `json:"detail"`
	Code      string `json:"code"`
	RequestID string `json:"request_id"`
	Errors    []struct {
		Location string `json:"location"`
		Message  string `json:"message"`
	} `json:"errors"`
}

func (e *APIError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d %s", e.Status, http.StatusText(e.Status))
	if e.Detail != "" {
		b.WriteString(": " + e.Detail)
	}
	for _, at := range e.Errors {
		b.WriteString("\n  " + strings.TrimSpace(at.Location+" "+at.Message))
	}
	switch {
	case e.Status == http.StatusUnauthorized:
		b.WriteString("; the token is read from COURIER_TOKEN")
	case e.Status >= http.StatusInternalServerError && e.RequestID != "":
		b.WriteString(" (request " + e.RequestID + ")")
	}
	return b.String()
}

// maxProblem bounds what is read of a refusal.
const maxProblem = 64 << 10

// refusal reads the problem in res; of an answer that is none, the status stays.
func refusal(res *http.Response) error {
	var e APIError
	media, _, _ := mime.ParseMediaType(res.Header.Get("Content-Type")) // "" where it is malformed
	body, err := io.ReadAll(io.LimitReader(res.Body, maxProblem))
	if err != nil || media != "application/problem+json" || json.Unmarshal(body, &e) != nil || e.Code == "" {
		e = APIError{Detail: "not a problem document; is this a service-courier?"}
	}
	e.Status = res.StatusCode
	return &e
}
