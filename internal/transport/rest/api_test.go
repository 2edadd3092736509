package rest_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"service-courier/internal/courier"
	"service-courier/internal/outage"
	"service-courier/internal/transport/rest"
)

const (
	jsonType    = "application/json"
	problemType = "application/problem+json"

	anna    = `{"name":"Anna","phone":"+79000000001","status":"paused","transport_type":"scooter"}`
	annaGot = `{"id":3,"name":"Anna <&>","phone":"+79000000001","status":"busy","transport_type":"on_foot"}`
)

// exchange is a request and the whole of its answer.
type exchange struct {
	name    string
	fake    fake
	line    string // METHOD /path
	body    string
	headers []string
	status  int
	is      string // Content-Type
	want    string // the body without its newline
	allow   string
	retry   string
}

// problemBody is the problem with a code, with its own or another detail.
func problemBody(code string, details ...string) string {
	for _, k := range rest.Kinds() {
		if k.Code == code {
			command := ""
			if k.Command != "" {
				command = fmt.Sprintf(`"cli_remedy":%q,`, k.Command)
			}
			return fmt.Sprintf(`{"type":"/problems/%s","title":%q,"status":%d,"code":%q,"detail":%q,"remedy":%q,%s"request_id":"r1"}`,
				strings.ReplaceAll(code, "_", "-"), k.Title, k.Status, code, append(details, k.Detail)[0], k.Remedy, command)
		}
	}
	return "no such code: " + code
}

// problemWithErrors is the problem with a code and errors.
func problemWithErrors(code, detail, fields string) string {
	return strings.Replace(problemBody(code, detail), `,"request_id"`, `,"errors":[`+fields+`],"request_id"`, 1)
}

func invalid(fields string) string {
	return problemWithErrors("validation_failed", "validation failed", fields)
}

func allowed(methods string) string {
	return problemBody("method_not_allowed", "this path allows "+methods)
}

func exchanges() []exchange {
	invalidCourier := fmt.Errorf("%w: %w", courier.ErrInvalidCourier, errors.Join(errors.New("name is empty"), errors.New("phone is empty")))
	down := fmt.Errorf("insert courier: %w: %w", courier.ErrUnavailable, errors.New("dial 10.0.0.5: secret"))
	broken := errors.New("secret")
	one := courier.Courier{ID: 1, Name: "A", Phone: "1", Status: courier.StatusAvailable, Transport: courier.Car}
	post := func(name string, f fake, body string, status int, is, want string, headers ...string) exchange {
		return exchange{name: name, fake: f, line: "POST /courier", body: body, headers: headers, status: status, is: is, want: want}
	}
	return []exchange{
		{name: "ping", line: "GET /ping", status: 200, is: jsonType, want: `{"message":"pong"}`},
		{name: "healthcheck", line: "HEAD /healthcheck", status: 204},
		{name: "livez", line: "GET /livez", status: 200, is: jsonType, want: `{"status":"ok"}`},
		{name: "metrics", line: "GET /metrics", status: 200, is: "text/plain; charset=utf-8", want: "up 1"},

		post("registered", fake{}, anna, 201, jsonType, `{"id":7}`),
		post("registered, no Content-Type", fake{}, anna, 201, jsonType, `{"id":7}`, "Content-Type: "),
		post("registered, charset", fake{}, anna, 201, jsonType, `{"id":7}`, "Content-Type: Application/JSON ; charset=utf-8"),
		post("registered, whatever is accepted", fake{}, anna, 201, jsonType, `{"id":7}`, "Accept: text/html"),
		post("longest body", fake{}, anna+strings.Repeat(" ", 64<<10-len(anna)), 201, jsonType, `{"id":7}`),
		post("too long", fake{}, anna+strings.Repeat(" ", 64<<10+1-len(anna)), 413, problemType, problemBody("body_too_large")),
		post("form", fake{}, "name=Anna", 415, problemType, problemBody("unsupported_media_type"), "Content-Type: application/x-www-form-urlencoded"),
		post("nonsense type", fake{}, anna, 415, problemType, problemBody("unsupported_media_type"), "Content-Type: ;"),
		post("no body", fake{}, "", 400, problemType,
			problemBody("malformed_request", "request body is required")),
		post("not JSON", fake{}, "{", 400, problemType,
			problemWithErrors("malformed_request", "the request cannot be read", `{"location":"body","message":"unexpected end of JSON input"}`)),
		post("not an object", fake{}, `[]`, 422, problemType, invalid(`{"location":"body","message":"expected object"}`)),
		post("fields missing", fake{}, `{}`, 422, problemType, invalid(
			`{"location":"body","message":"expected required property name to be present"},`+
				`{"location":"body","message":"expected required property phone to be present"},`+
				`{"location":"body","message":"expected required property transport_type to be present"}`)),
		post("invalid fields, values not echoed", fake{}, `{"name":"","phone":1,"status":"gone","transport_type":"bike","age":5}`, 422, problemType, invalid(
			`{"location":"body.name","message":"expected length >= 1"},`+
				`{"location":"body.name","message":"expected string to be text without NUL, not only spaces"},`+
				`{"location":"body.phone","message":"expected string"},`+
				`{"location":"body.status","message":"expected value to be one of \"available, busy, paused\""},`+
				`{"location":"body.transport_type","message":"expected value to be one of \"on_foot, scooter, car\""},`+
				`{"location":"body.age","message":"unexpected property"}`)),
		post("spaces and NUL", fake{}, `{"name":" \t ","phone":"1\u0000","transport_type":"car"}`, 422, problemType, invalid(
			`{"location":"body.name","message":"expected string to be text without NUL, not only spaces"},`+
				`{"location":"body.phone","message":"expected string to be text without NUL, not only spaces"}`)),
		post("refused by the domain", fake{err: invalidCourier}, anna, 422, problemType,
			invalid(`{"message":"name is empty"},{"message":"phone is empty"}`)),
		post("not a phone, with the reason", fake{err: fmt.Errorf("%w: %w", courier.ErrInvalidPhone, errors.New("phone has letters"))}, anna, 400, problemType,
			strings.Replace(problemBody("invalid_phone"), `,"request_id"`, `,"errors":[{"message":"phone has letters"}],"request_id"`, 1)),
		post("phone already registered", fake{err: courier.ErrPhoneRegistered}, anna, 409, problemType, problemBody("phone_registered")),
		post("busy set", fake{err: courier.ErrBusyNotSettable}, strings.Replace(anna, "paused", "busy", 1), 409, problemType,
			problemBody("busy_not_settable")),
		post("broken", fake{err: broken}, anna, 500, problemType, problemBody("internal")),
		post("panic", fake{panics: "secret"}, anna, 500, problemType, problemBody("internal")),
		{
			name: "register, unavailable", line: "POST /courier", body: anna, fake: fake{err: down},
			status: 503, is: problemType, want: problemBody("storage_unavailable"), retry: "2",
		},

		{name: "courier", line: "GET /courier/3", status: 200, is: jsonType, want: annaGot},
		{
			name: "no such courier", line: "GET /courier/4", fake: fake{err: courier.ErrNotFound},
			status: 404, is: problemType, want: problemBody("courier_not_found"),
		},
		{
			name: "id is no number", line: "GET /courier/anna", status: 422, is: problemType,
			want: invalid(`{"location":"path.id","message":"invalid integer"}`),
		},
		{
			name: "id out of range", line: "GET /courier/0", status: 422, is: problemType,
			want: invalid(`{"location":"path.id","message":"expected number >= 1"}`),
		},
		{name: "get, broken", line: "GET /courier/3", fake: fake{err: broken}, status: 500, is: problemType, want: problemBody("internal")},
		{
			name: "get, unavailable, its cause without the host", line: "GET /courier/3", fake: fake{err: fmt.Errorf("%w: %w", courier.ErrUnavailable, outage.Fixable{
				Cause: "a part of the schema is missing", Err: errors.New("dial 10.0.0.5: secret"), Fix: "run 'service-courier doctor'",
			})}, status: 503, is: problemType, retry: "2",
			want: problemBody("storage_unavailable", "the database is unavailable: a part of the schema is missing; run 'service-courier doctor'"),
		},
		{name: "get, unavailable", line: "GET /courier/3", fake: fake{err: down}, status: 503, is: problemType, want: problemBody("storage_unavailable"), retry: "2"},
		{
			name: "get, out of time", line: "GET /courier/3", fake: fake{err: fmt.Errorf("get: %w", context.DeadlineExceeded)},
			status: 503, is: problemType, want: problemBody("timed_out"), retry: "2",
		},

		{name: "updated", line: "PUT /courier", body: `{"id":3}`, status: 200, is: jsonType, want: annaGot},
		{name: "updated, a float that is an integer", line: "PUT /courier", body: `{"id":3.0}`, status: 200, is: jsonType, want: annaGot},
		{
			name: "update, a float that is none", line: "PUT /courier", body: `{"id":3.5}`, status: 422, is: problemType,
			want: invalid(`{"location":"body.id","message":"expected integer"}`),
		},
		{name: "update without id", line: "PUT /courier", body: `{}`, status: 422, is: problemType, want: invalid(`{"location":"body","message":"expected required property id to be present"}`)},
		{name: "update: not found", line: "PUT /courier", body: `{"id":3}`, fake: fake{err: courier.ErrNotFound}, status: 404, is: problemType, want: problemBody("courier_not_found")},
		{name: "update: phone", line: "PUT /courier", body: `{"id":3}`, fake: fake{err: courier.ErrPhoneRegistered}, status: 409, is: problemType, want: problemBody("phone_registered")},
		{name: "update: busy", line: "PUT /courier", body: `{"id":3,"status":"paused"}`, fake: fake{err: courier.ErrBusy}, status: 409, is: problemType, want: problemBody("courier_busy")},
		{name: "update: busy set", line: "PUT /courier", body: `{"id":3,"status":"busy"}`, fake: fake{err: courier.ErrBusyNotSettable}, status: 409, is: problemType, want: problemBody("busy_not_settable")},

		{name: "no couriers", line: "GET /couriers", status: 200, is: jsonType, want: `[]`},
		{
			name: "couriers", line: "GET /couriers", fake: fake{all: []courier.Courier{one}}, status: 200, is: jsonType,
			want: `[{"id":1,"name":"A","phone":"1","status":"available","transport_type":"car"}]`,
		},
		{name: "list, broken", line: "GET /couriers", fake: fake{err: broken}, status: 500, is: problemType, want: problemBody("internal")},
		{name: "list, unavailable", line: "GET /couriers", fake: fake{err: down}, status: 503, is: problemType, want: problemBody("storage_unavailable"), retry: "2"},
		{name: "list, panic", line: "GET /couriers", fake: fake{panics: broken}, status: 500, is: problemType, want: problemBody("internal")},

		{
			name: "assigned", line: "POST /delivery/assign", body: `{"order_id":"a-1"}`, status: 200, is: jsonType,
			want: `{"courier_id":7,"order_id":"a-1","transport_type":"car","delivery_deadline":"2026-01-02T03:04:05Z"}`,
		},
		{
			name: "assigned to a given courier", line: "POST /delivery/assign", body: `{"order_id":"a-1","courier_id":9}`, status: 200, is: jsonType,
			want: `{"courier_id":9,"order_id":"a-1","transport_type":"car","delivery_deadline":"2026-01-02T03:04:05Z"}`,
		},
		{
			name: "assign, bad id", line: "POST /delivery/assign", body: `{"order_id":"../a"}`, status: 422, is: problemType,
			want: invalid(`{"location":"body.order_id","message":"expected string to match pattern ^[A-Za-z0-9_-]{1,64}$"}`),
		},
		{
			name: "unassigned", line: "POST /delivery/unassign", body: `{"order_id":"a-1"}`, status: 200, is: jsonType,
			want: `{"order_id":"a-1","status":"unassigned","courier_id":7}`,
		},
		refused("no such order", courier.ErrNoSuchOrder, 404, problemBody("order_not_found")),
		refused("no courier available", courier.ErrNoCourierAvailable, 409, problemBody("no_courier_available")),
		refused("courier not available", fmt.Errorf("%w: busy", courier.ErrCourierNotAvailable), 409, problemBody("courier_not_available")),
		refused("courier busy", fmt.Errorf("secret: %w", courier.Explain(courier.ErrCourierNotAvailable, "courier 7 is paused")), 409,
			problemBody("courier_not_available", "the courier is not available: courier 7 is paused")),
		refused("assigned already", courier.ErrAlreadyAssigned, 409, problemBody("order_already_assigned")),
		refused("ended", courier.ErrOrderEnded, 409, problemBody("order_ended")),
		refused("unknown status", courier.ErrStatusUnknown, 409, problemBody("order_status_unknown")),
		refused("not assigned", courier.ErrNotAssigned, 409, problemBody("order_not_assigned")),
		refused("not held", courier.ErrNotHeld, 409, problemBody("order_not_held")),
		{
			name: "service-order unavailable", line: "POST /delivery/assign", body: `{"order_id":"a"}`,
			fake:   fake{err: fmt.Errorf("%w: dial 10.0.0.5: secret", courier.ErrOrdersUnavailable)},
			status: 503, is: problemType, want: problemBody("order_service_unavailable"), retry: "2",
		},

		{name: "no path", line: "GET /nowhere", status: 404, is: problemType, want: problemBody("route_not_found")},
		{name: "no path, unclean", line: "GET //nowhere/../else", status: 404, is: problemType, want: problemBody("route_not_found")},
		{name: "root", line: "GET /", status: 404, is: problemType, want: problemBody("route_not_found")},
		{name: "no id", line: "GET /courier/", status: 404, is: problemType, want: problemBody("route_not_found")},
		{name: "no path, with a body", line: "POST /nowhere", body: "x", headers: []string{"Content-Type: text/plain"}, status: 404, is: problemType, want: problemBody("route_not_found")},
		{name: "wrong method", line: "DELETE /ping", status: 405, is: problemType, want: allowed("GET, HEAD"), allow: "GET, HEAD"},
		{name: "wrong method, with a body", line: "POST /couriers", body: "x", status: 405, is: problemType, want: allowed("GET, HEAD"), allow: "GET, HEAD"},
		{name: "wrong method of healthcheck", line: "GET /healthcheck", status: 405, is: problemType, want: allowed("HEAD"), allow: "HEAD"},
		{name: "wrong method of courier", line: "GET /courier", status: 405, is: problemType, want: allowed("POST, PUT"), allow: "POST, PUT"},
	}
}

// refused is a command about a delivery that ends in err.
func refused(name string, err error, status int, want string) exchange {
	return exchange{
		name: "refused: " + name, line: "POST /delivery/assign", body: `{"order_id":"a"}`, fake: fake{err: err},
		status: status, is: problemType, want: want,
	}
}

// allExchanges are those of every part of the API.
func allExchanges() []exchange {
	return slices.Concat(exchanges(), courierExchanges(), statisticsExchanges(), orderExchanges(), consumerExchanges(), deadLetterExchanges(), historyExchanges())
}

func TestExchanges(t *testing.T) {
	for _, e := range allExchanges() {
		t.Run(e.name, func(t *testing.T) {
			w := do(handler(&e.fake, io.Discard), request(t, e.line, e.body, append(e.headers, "X-Request-ID: r1")...))
			if w.Code != e.status || w.Header().Get("Content-Type") != e.is {
				t.Errorf("status %d %q, want %d %q", w.Code, w.Header().Get("Content-Type"), e.status, e.is)
			}
			if diff := cmp.Diff(e.want, strings.TrimSuffix(w.Body.String(), "\n")); diff != "" {
				t.Errorf("body (-want +got):\n%s", diff)
			}
			expectHeader(t, w, "Allow", e.allow)
			expectHeader(t, w, "Retry-After", e.retry)
			expectHeader(t, w, "Cache-Control", "no-store")
			expectHeader(t, w, "X-Content-Type-Options", "nosniff")
			expectHeader(t, w, "Link", "") // where huma would put its schema
		})
	}
}

func expectHeader(t *testing.T, w *httptest.ResponseRecorder, name, want string) {
	t.Helper()
	if got := w.Header().Get(name); got != want {
		t.Errorf("%s: %q, want %q", name, got, want)
	}
}

func TestRegisterArguments(t *testing.T) {
	f := new(fake)
	h := handler(f, io.Discard)
	do(h, request(t, "POST /courier", anna))
	do(h, request(t, "POST /courier", `{"name":"Б","phone":"2","transport_type":"car"}`))
	want := []courier.Courier{
		{Name: "Anna", Phone: "+79000000001", Status: courier.StatusPaused, Transport: courier.Scooter},
		{Name: "Б", Phone: "2", Status: courier.StatusAvailable, Transport: courier.Car},
	}
	if diff := cmp.Diff(want, f.registered); diff != "" {
		t.Errorf("registered (-want +got):\n%s", diff)
	}
	if !f.deadline {
		t.Error("the use case was called without a deadline")
	}
}

func TestReadyz(t *testing.T) {
	const template = `{"status":"%s","components":[` +
		`{"name":"postgresql","status":"%s","required":true,"detail":"d1"},` +
		`{"name":"order_service","status":"%s","required":false,"detail":"d2"}]}`
	tests := []struct {
		postgres, orders bool
		status           int
		want             string
	}{
		{true, true, http.StatusOK, fmt.Sprintf(template, "ready", "ok", "ok")},
		{true, false, http.StatusOK, fmt.Sprintf(template, "ready", "ok", "failing")},
		{false, true, http.StatusServiceUnavailable, fmt.Sprintf(template, "not_ready", "failing", "ok")},
		{false, false, http.StatusServiceUnavailable, fmt.Sprintf(template, "not_ready", "failing", "failing")},
	}
	for _, tt := range tests {
		f := &fake{components: []rest.Component{
			{Name: rest.ComponentPostgreSQL, OK: tt.postgres, Detail: "d1"},
			{Name: rest.ComponentOrderService, OK: tt.orders, Optional: true, Detail: "d2"},
		}}
		w := do(handler(f, io.Discard), request(t, "GET /readyz", ""))
		if got := strings.TrimSpace(w.Body.String()); w.Code != tt.status || got != tt.want {
			t.Errorf("postgresql %t, order_service %t: %d\n%s\nwant %d\n%s", tt.postgres, tt.orders, w.Code, got, tt.status, tt.want)
		}
		if !f.deadline {
			t.Error("the components were checked without a deadline")
		}
	}
}
