package ordersim

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const (
	base     = "/public/api/v1"
	validNew = `{"restaurant_id":"r1","items":[{"food_id":"f1","name":"Pizza","quantity":1,"price":500}],"total_price":500,"address":{"street":"Main"}}`
)

var uuid = regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)

// call sends one request as a user; "bypass" is X-Bypass-Auth.
func call(s *Sim, method, path, as, body string) *httptest.ResponseRecorder {
	req := httptest.NewRequestWithContext(context.Background(), method, base+path, strings.NewReader(body))
	req.Host = "localhost"
	switch as {
	case "":
	case "bypass":
		req.Header.Set("X-Bypass-Auth", "true")
	default:
		req.Header.Set("X-User-ID", as)
	}
	w := httptest.NewRecorder()
	s.Handler().ServeHTTP(w, req)
	return w
}

func decode[T any](t *testing.T, w *httptest.ResponseRecorder, status int) T {
	t.Helper()
	var v T
	if w.Code != status {
		t.Fatalf("status = %d, want %d: %s", w.Code, status, w.Body)
	}
	if got := w.Header().Get("Content-Type"); got != "application/json" {
		t.Errorf("Content-Type = %q", got)
	}
	if err := json.Unmarshal(w.Body.Bytes(), &v); err != nil {
		t.Fatalf("%v: %s", err, w.Body)
	}
	return v
}

// post creates an order of a user by HTTP.
func post(t *testing.T, s *Sim, as string) Order {
	t.Helper()
	return decode[Order](t, call(s, "POST", "/order", as, validNew), http.StatusCreated)
}

// TestHTTPErrors: every error of every route. MINE is an order of user u1, GONE a
// deleted one.
func TestHTTPErrors(t *testing.T) {
	s := newSim(t, Config{})
	mine, gone := post(t, s, "u1").ID, post(t, s, "u1").ID
	decode[any](t, call(s, "DELETE", "/order/"+gone, "u1", ""), http.StatusOK)
	const unknown = "00000000-0000-4000-8000-000000000000"
	without := func(field string) string {
		var m map[string]any
		_ = json.Unmarshal([]byte(validNew), &m)
		delete(m, field)
		data, _ := json.Marshal(m)
		return string(data)
	}
	tests := []struct {
		method, path, as, body string
		status                 int
		code                   string
	}{
		{"GET", "/order/" + unknown, "", "", 404, "not_found"},
		{"GET", "/order/GONE", "", "", 404, "not_found"},
		{"GET", "/order/GONE", "u2", "", 404, "not_found"},
		{"GET", "/order/MINE", "u2", "", 400, "bad_request"},
		{"GET", "/order/MINE", "bypass", "", 400, "bad_request"},
		{"GET", "/order/" + unknown + "/status", "", "", 404, "not_found"},
		{"GET", "/order/GONE/status", "", "", 404, "not_found"},
		{"GET", "/order/MINE/status", "u2", "", 400, "bad_request"},
		{"GET", "/orders?from=yesterday", "", "", 400, "bad_request"},
		{"POST", "/order", "", validNew, 401, "unauthorized"},
		{"POST", "/order", "", "no JSON", 401, "unauthorized"},
		{"POST", "/order", "u1", "no JSON", 400, "bad_request"},
		{"POST", "/order", "u1", "", 400, "bad_request"},
		{"POST", "/order", "u1", "{}", 400, "bad_request"},
		{"POST", "/order", "u1", without("restaurant_id"), 400, "bad_request"},
		{"POST", "/order", "u1", without("items"), 400, "bad_request"},
		{"POST", "/order", "u1", without("total_price"), 400, "bad_request"},
		{"POST", "/order", "u1", without("address"), 400, "bad_request"},
		{"POST", "/order", "u1", strings.Replace(validNew, `{"street":"Main"}`, `{}`, 1), 400, "bad_request"},
		{"POST", "/order", "u1", `{"restaurant_id":"` + strings.Repeat("r", maxBody) + `"}`, 400, "bad_request"},
		{"PUT", "/order/MINE", "", `{}`, 401, "unauthorized"},
		{"PUT", "/order/MINE", "u1", `{`, 400, "bad_request"},
		{"PUT", "/order/MINE", "u2", `{}`, 400, "bad_request"},
		{"PUT", "/order/" + unknown, "u1", `{}`, 404, "not_found"},
		{"PUT", "/order/GONE", "u1", `{}`, 404, "not_found"},
		{"DELETE", "/order/MINE", "", "", 401, "unauthorized"},
		{"DELETE", "/order/MINE", "u2", "", 400, "bad_request"},
		{"DELETE", "/order/" + unknown, "u1", "", 404, "not_found"},
		{"DELETE", "/order/GONE", "u1", "", 404, "not_found"},
		{"POST", "/debug/seed", "", "", 401, "unauthorized"},
	}
	for _, tt := range tests {
		t.Run(fmt.Sprintf("%s %s as %q", tt.method, tt.path, tt.as), func(t *testing.T) {
			path := strings.NewReplacer("MINE", mine, "GONE", gone).Replace(tt.path)
			p := decode[problem](t, call(s, tt.method, path, tt.as, tt.body), tt.status)
			if p.Code != tt.code || p.Message == "" {
				t.Errorf("got %+v, want code %q and a message", p, tt.code)
			}
		})
	}
	if got := s.Truth()[mine]; got != StatusCreated {
		t.Errorf("a refused request changed the order to %q", got)
	}
}

func TestPostAndGet(t *testing.T) {
	events := &recorder{}
	s := newSim(t, Config{Publisher: events})
	got := post(t, s, "u1")
	if !uuid.MatchString(got.ID) {
		t.Errorf("id %q is not a UUID", got.ID)
	}
	want := Order{
		ID: got.ID, UserID: "u1", RestaurantID: "r1", TotalPrice: 500, Status: "created",
		Items:     []Item{{FoodID: "f1", Name: "Pizza", Quantity: 1, Price: 500}},
		Address:   Address{Street: "Main"},
		CreatedAt: got.CreatedAt, UpdatedAt: got.UpdatedAt, EstimatedDelivery: got.EstimatedDelivery,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	for _, as := range []string{"", "u1"} {
		read := decode[Order](t, call(s, "GET", "/order/"+got.ID, as, ""), http.StatusOK)
		if diff := cmp.Diff(got, read); diff != "" {
			t.Errorf("as %q: %s", as, diff)
		}
	}
	status := decode[map[string]string](t, call(s, "GET", "/order/"+got.ID+"/status", "", ""), http.StatusOK)
	if diff := cmp.Diff(map[string]string{"order_id": got.ID, "status": "created"}, status); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"created"}, events.statuses(got.ID)); diff != "" {
		t.Error(diff)
	}
}

// TestOrderFields: the JSON of an order, with and without its two optional fields.
func TestOrderFields(t *testing.T) {
	s := newSim(t, Config{})
	fields := func(body string) map[string]any {
		return decode[map[string]any](t, call(s, "POST", "/order", "bypass", body), http.StatusCreated)
	}
	plain := fields(validNew)
	for _, name := range []string{"id", "user_id", "restaurant_id", "items", "total_price", "address", "status", "created_at", "updated_at", "estimated_delivery"} {
		if plain[name] == nil {
			t.Errorf("field %s is missing", name)
		}
	}
	if len(plain) != 10 || plain["user_id"] != "default-user" {
		t.Errorf("got %v", plain)
	}
	full := fields(`{"fio":"Ivanov I.I.","order_number":"7",` + validNew[1:])
	if full["fio"] != "Ivanov I.I." || full["order_number"] != "7" {
		t.Errorf("got %v", full)
	}
}

func TestPut(t *testing.T) {
	events := &recorder{}
	s := newSim(t, Config{Publisher: events})
	before := post(t, s, "u1")
	got := decode[Order](t, call(s, "PUT", "/order/"+before.ID, "u1", `{"fio":"Ivanov I.I.","restaurant_id":"other","address":{"street":"Arbat"}}`), http.StatusOK)
	want := before
	want.FIO, want.Address, want.Status, want.UpdatedAt = "Ivanov I.I.", Address{Street: "Arbat"}, "updated", got.UpdatedAt
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"created", "updated"}, events.statuses(before.ID)); diff != "" {
		t.Error(diff)
	}
}

func TestDelete(t *testing.T) {
	events := &recorder{}
	s := newSim(t, Config{Publisher: events})
	id := post(t, s, "bypass").ID
	got := decode[map[string]string](t, call(s, "DELETE", "/order/"+id, "bypass", ""), http.StatusOK)
	if diff := cmp.Diff(map[string]string{"id": id, "status": "deleted"}, got); diff != "" {
		t.Error(diff)
	}
	decode[problem](t, call(s, "GET", "/order/"+id, "", ""), http.StatusNotFound)
	if diff := cmp.Diff([]string{"created", "deleted"}, events.statuses(id)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(map[string]string{id: "deleted"}, s.Truth()); diff != "" {
		t.Error(diff)
	}
}

func TestSeedAndList(t *testing.T) {
	events := &recorder{}
	s := newSim(t, Config{Publisher: events})
	if body := call(s, "GET", "/orders", "", "").Body.String(); body != "[]\n" {
		t.Errorf("an empty list is %q", body)
	}
	made := decode[[]Order](t, call(s, "POST", "/debug/seed", "u1", ""), http.StatusCreated)
	var statuses []string
	for _, o := range made {
		statuses = append(statuses, o.Status)
	}
	if diff := cmp.Diff(allStatuses(), statuses); diff != "" {
		t.Error(diff)
	}
	if len(events.all()) != 0 {
		t.Error("seeding published events")
	}
	listed := decode[[]Order](t, call(s, "GET", "/orders?from=1970-01-01T00:00:00Z", "u2", ""), http.StatusOK)
	if diff := cmp.Diff(made[:9], listed); diff != "" { // the tenth is the deleted one
		t.Error(diff)
	}
	late := made[5].CreatedAt.Format(time.RFC3339Nano)
	listed = decode[[]Order](t, call(s, "GET", "/orders?from="+late, "", ""), http.StatusOK)
	if diff := cmp.Diff(made[5:9], listed); diff != "" {
		t.Error(diff)
	}
}

// TestUnknownRoute: other paths get the plain answers of the mux.
func TestUnknownRoute(t *testing.T) {
	s := newSim(t, Config{})
	for path, want := range map[string]int{"/nothing": 404, "/order": 405, "/order/x/status/y": 404} {
		if w := call(s, "GET", path, "", ""); w.Code != want || json.Valid(w.Body.Bytes()) {
			t.Errorf("GET %s = %d %s, want a plain %d", path, w.Code, w.Body, want)
		}
	}
}

func TestInternalErrorHasNoDetails(t *testing.T) {
	s := newSim(t, Config{StateFile: t.TempDir() + "/state"})
	if err := s.store.close(); err != nil {
		t.Fatal(err)
	}
	p := decode[problem](t, call(s, "POST", "/order", "u1", validNew), http.StatusInternalServerError)
	if diff := cmp.Diff(problem{Code: "internal", Message: "internal error"}, p); diff != "" {
		t.Error(diff)
	}
	s.store.file = nil // so that Stop does not close it twice
}

// TestPublishErrorsAreDropped: the order exists although its event is lost.
func TestPublishErrorsAreDropped(t *testing.T) {
	s := newSim(t, Config{Publisher: &recorder{err: errors.New("no Kafka")}})
	id := post(t, s, "u1").ID
	if got := s.Truth()[id]; got != StatusCreated {
		t.Errorf("status = %q", got)
	}
}

// TestForeignPagesAreRefused: a page whose name resolves to this machine (DNS
// rebinding), or of another origin, cannot use X-Bypass-Auth.
func TestForeignPagesAreRefused(t *testing.T) {
	s := newSim(t, Config{Addr: "orders.example:80", AllowedHosts: []string{"service-order"}})
	for _, tt := range []struct {
		method, host, site string
		status             int
	}{
		{http.MethodGet, "evil.example", "", http.StatusMisdirectedRequest},
		{http.MethodGet, "", "", http.StatusMisdirectedRequest},
		{http.MethodPost, "evil.example:8080", "same-origin", http.StatusMisdirectedRequest},
		{http.MethodPost, "localhost", "cross-site", http.StatusForbidden},
		{http.MethodPost, "localhost", "", http.StatusCreated},
		{http.MethodPost, "service-order:8080", "", http.StatusCreated},
		{http.MethodPost, "orders.example", "", http.StatusCreated},
		{http.MethodPost, "127.0.0.1:8080", "", http.StatusCreated},
	} {
		r := httptest.NewRequestWithContext(t.Context(), tt.method, base+"/order", strings.NewReader(validNew))
		r.Host = tt.host
		r.Header.Set("X-Bypass-Auth", "true")
		if tt.site != "" {
			r.Header.Set("Sec-Fetch-Site", tt.site)
		}
		w := httptest.NewRecorder()
		s.Handler().ServeHTTP(w, r)
		if w.Code != tt.status {
			t.Errorf("%+v: %d %s", tt, w.Code, w.Body)
		}
	}
}
