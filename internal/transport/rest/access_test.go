package rest_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"service-courier/internal/access"
	"service-courier/internal/transport/rest"
)

const (
	readToken    = "read-read-read-read-read"
	operateToken = "operate-operate-operate-operate"
)

// guarded is the API with tokens.
func guarded(t *testing.T, f *fake, log io.Writer) http.Handler {
	t.Helper()
	tokens, err := access.Parse("monitor:read:" + readToken + ",dispatcher:operate:" + operateToken)
	if err != nil {
		t.Fatal(err)
	}
	deps := dependencies(f, log)
	deps.Callers = tokens
	return rest.New(rest.Config{}, deps).Handler()
}

// open are the routes that require no token.
var open = []string{
	"GET /ping", "HEAD /healthcheck", "GET /livez", "GET /readyz",
	"GET /api/v1/session", "POST /api/v1/session", "DELETE /api/v1/session",
}

// TestRoutesRequireTheirRole walks the OpenAPI document: without a valid token
// 401, with an insufficient role 403, otherwise neither.
func TestRoutesRequireTheirRole(t *testing.T) {
	var doc struct {
		Paths map[string]map[string]struct {
			Security []map[string][]string `json:"security"`
		} `json:"paths"`
	}
	f := new(fake)
	h := guarded(t, f, io.Discard)
	if err := json.Unmarshal(do(h, request(t, "GET /openapi.json", "")).Body.Bytes(), &doc); err != nil {
		t.Fatal(err)
	}
	guardedRoutes := 0
	for path, operations := range doc.Paths {
		for method, operation := range operations {
			line := strings.ToUpper(method) + " " + regexp.MustCompile(`\{[^}]*\}`).ReplaceAllString(path, "1")
			isOpen := strings.Contains(strings.Join(open, "\n"), line)
			if isOpen != (len(operation.Security) == 0) {
				t.Errorf("%s: documented security %v", line, operation.Security)
			}
			if isOpen {
				expectRefusal(t, h, line, "", 0)
				continue
			}
			guardedRoutes++
			role := operation.Security[0]["bearer"][0]
			if (role == "read") != (method == "get" || method == "head") {
				t.Errorf("%s needs the role %s", line, role)
			}
			expectRefusal(t, h, line, "", http.StatusUnauthorized)
			expectRefusal(t, h, line, "Basic "+operateToken, http.StatusUnauthorized)
			expectRefusal(t, h, line, "Bearer "+operateToken+"x", http.StatusUnauthorized)
			expectRefusal(t, h, line, "bearer "+operateToken, 0)
			if role == "read" {
				expectRefusal(t, h, line, "Bearer "+readToken, 0)
			} else {
				expectRefusal(t, h, line, "Bearer "+readToken, http.StatusForbidden)
			}
		}
	}
	if guardedRoutes < 10 {
		t.Errorf("only %d routes require a token", guardedRoutes)
	}
}

// expectRefusal expects the status, or with 0 neither 401 nor 403.
func expectRefusal(t *testing.T, h http.Handler, line, authorization string, want int) {
	t.Helper()
	ctx, cancel := contextGone(t.Context()) // or the stream would wait for its first event
	defer cancel()
	r := request(t, line, "").WithContext(ctx)
	if authorization != "" {
		r.Header.Set("Authorization", authorization)
	}
	w := do(h, r)
	refused := w.Code == http.StatusUnauthorized || w.Code == http.StatusForbidden
	if refused != (want != 0) || (refused && w.Code != want) {
		t.Errorf("%s with %q: %d, want %d", line, authorization, w.Code, want)
	}
	if refused && (!strings.HasPrefix(w.Header().Get("WWW-Authenticate"), "Bearer realm=") || w.Header().Get("Content-Type") != problemType) {
		t.Errorf("%s: %v", line, w.Header())
	}
}

// TestCommandLogNamesCaller: the log and the use case get the name of the caller, and
// neither gets the token.
func TestCommandLogNamesCaller(t *testing.T) {
	var log bytes.Buffer
	f := new(fake)
	h := guarded(t, f, &log)
	for _, line := range []string{"POST /courier", "GET /courier/3"} {
		do(h, request(t, line, anna, "Authorization: Bearer "+operateToken, "X-Request-ID: r1"))
		if f.actor != "dispatcher" {
			t.Errorf("%s: the actor is %q", line, f.actor)
		}
	}
	if want := `level=INFO msg="api command handled" request_id=r1 route="POST /courier" caller=dispatcher status=201`; strings.Count(log.String(), "level=INFO") != 1 || !strings.Contains(log.String(), want) {
		t.Errorf("log:\n%s\nwant once %s", &log, want)
	}
	if strings.Contains(log.String(), operateToken) {
		t.Errorf("the log shows the token:\n%s", &log)
	}
}

// TestUnauthorizedRequestIsNotRead fails when the body is read or the use case is
// called before the token is checked.
func TestUnauthorizedRequestIsNotRead(t *testing.T) {
	f := new(fake)
	r := request(t, "POST /courier", anna)
	body := &untouched{}
	r.Body = body
	do(guarded(t, f, io.Discard), r)
	if len(f.registered) != 0 || body.touched {
		t.Errorf("registered %v; body read: %t", f.registered, body.touched)
	}
}

type untouched struct{ touched bool }

func (u *untouched) Read([]byte) (int, error) { u.touched = true; return 0, io.EOF }
func (u *untouched) Close() error             { return nil }

// TestCrossOrigin: writes from pages of another origin are refused; programs and pages
// of the same origin pass.
func TestCrossOrigin(t *testing.T) {
	for _, tt := range []struct {
		line    string
		headers []string
		refused bool
	}{
		{"POST /courier", nil, false},
		{"POST /courier", []string{"Sec-Fetch-Site: same-origin"}, false},
		{"POST /courier", []string{"Sec-Fetch-Site: cross-site"}, true},
		{"POST /courier", []string{"Sec-Fetch-Site: same-site"}, true},
		{"POST /courier", []string{"Origin: https://evil.example"}, true},
		{"POST /courier", []string{"Origin: http://localhost"}, false}, // the host of the requests
		{"DELETE /api/v1/couriers/3", []string{"Sec-Fetch-Site: cross-site"}, true},
		{"PATCH /api/v1/couriers/3", []string{"Sec-Fetch-Site: cross-site"}, true},
		{"GET /couriers", []string{"Sec-Fetch-Site: cross-site"}, false},
	} {
		w := do(handler(new(fake), io.Discard), request(t, tt.line, anna, tt.headers...))
		if refused := w.Code == http.StatusForbidden; refused != tt.refused {
			t.Errorf("%s %v: %d", tt.line, tt.headers, w.Code)
		} else if refused && !strings.Contains(w.Body.String(), `"code":"cross_origin"`) {
			t.Errorf("%s", w.Body)
		}
	}
}

// TestOwnName: every host name that another site could resolve to this address is
// refused, with and without tokens; probes and scrapers use any name.
func TestOwnName(t *testing.T) {
	deps := dependencies(new(fake), io.Discard)
	named := rest.New(rest.Config{Addr: "api.example:8082", AllowedHosts: []string{"Courier", "courier.example"}}, deps).Handler()
	for host, refused := range map[string]bool{
		"127.0.0.1:8082": false, "localhost": false, "LOCALHOST:80": false, "localhost.": false, "[::1]:8082": false, "[::1]": false,
		"127.8.0.1": false, "192.168.0.7:8082": false, "[2001:db8::1]:80": false,
		"courier:8082": false, "COURIER.example": false, "api.example": false,
		"evil.example:8082": true, "localhost.evil.example": true, "": true, ":8082": true, "127.0.0.1.nip.io": true, "x.courier.example": true,
		"courier.example.evil": true, "courier,courier.example": true, "0x7f000001": true, "[evil]": true,
	} {
		r := request(t, "GET /couriers", "", "X-Forwarded-Host: localhost", "Authorization: Bearer "+readToken)
		r.Host = host
		for name, h := range map[string]http.Handler{"open": named, "with tokens": guarded(t, new(fake), io.Discard)} {
			if name == "with tokens" && strings.Contains(strings.ToLower(host), "courier") || host == "api.example" {
				continue // names of the other
			}
			w := do(h, r)
			if got := w.Code == http.StatusMisdirectedRequest; got != refused {
				t.Errorf("%s: Host %q: %d, want refused %t", name, host, w.Code, refused)
			} else if got && !strings.Contains(w.Body.String(), `"code":"misdirected_request"`) {
				t.Errorf("%s", w.Body)
			}
		}
		for _, line := range []string{"GET /livez", "GET /readyz", "HEAD /healthcheck", "GET /metrics"} {
			r := request(t, line, "")
			r.Host = host
			if w := do(named, r); w.Code >= http.StatusBadRequest {
				t.Errorf("%s with Host %q: %d", line, host, w.Code)
			}
		}
	}
}
