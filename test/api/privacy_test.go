package api

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"service-courier/internal/config"
)

// TestPersonalDataStaysPrivate sends names and phones in valid and invalid requests, and
// searches for them in the log (at debug level), the journal, the metrics and the error
// responses; also for tokens, and for the address and the customer of an order, which
// are in every answer of service-order.
func TestPersonalDataStaysPrivate(t *testing.T) {
	const (
		name, phone = "Zebra-Name", "+79007613249"
		token       = "zebra-zebra-zebra-zebra-zebra"
		auth        = "Authorization: Bearer " + token
	)
	s := newStack(t, 1, func(c *config.Config) { c.APITokens = "dispatcher:operate:" + token })
	private := regexp.MustCompile("(?i)zebra|7613249")
	courier := `"name":"` + name + `","phone":"` + phone + `","transport_type":"car"`
	address := "/courier/" + phone
	requests := [][2]string{
		{"POST /courier", `{` + courier + `}`},
		{"POST /courier", `{` + courier + `}`},
		{"POST /courier", `{` + courier + `,"status":"` + phone + `"}`},
		{"POST /courier", name},
		{"POST /courier", `["` + phone + `"]`},
		{"GET " + address, ""},
		{"GET /" + phone, ""},
		{"GET /couriers?phone=" + phone, ""},
		{"DELETE /courier", `{"phone":"` + phone + `"}`},
		{"PUT /courier", `{"id":1,"phone":"` + phone + `"}`},
		{"PUT /courier", `{"id":2,"name":"` + name + `","status":"` + phone + `"}`},
		{"POST /api/v1/couriers", `{` + courier + `}`},
		{"POST /api/v1/couriers", `{"name":"` + name + `","phone":"` + phone + `","transport_type":"on_foot"}`},
		{"PATCH /api/v1/couriers/2", `{"name":"` + name + `x","phone":"` + phone + `"}`},
		{"PATCH /api/v1/couriers/1", `{"phone":"` + phone + `"}`},
		{"PATCH /api/v1/couriers/" + phone, `{}`},
		{"GET /api/v1/couriers?cursor=" + phone, ""},
		{"GET /api/v1/couriers?status=" + name, ""},
		{"POST /delivery/assign", `{"order_id":"` + phone + `"}`},
	}
	id := s.orderFor("Zebra-Customer", "Zebra-Street")
	s.becomes(id, "assigned")
	requests = append(requests, [2]string{"POST /delivery/unassign", `{"order_id":"` + id + `"}`}, [2]string{"POST /delivery/assign", `{"order_id":"` + id + `","courier_id":2}`})
	refused, done := 0, 0
	for _, r := range requests {
		status, answer := s.call(r[0], r[1], auth, "X-Request-ID: "+phone)
		if status < 400 {
			done++
			continue
		}
		refused++
		if private.MatchString(answer) {
			t.Errorf("%s %s: the error contains %s", r[0], r[1], answer)
		}
	}
	if done < 5 || refused < 10 {
		t.Errorf("%d requests were served and %d refused, want at least 5 and 10", done, refused)
	}
	s.call("GET /couriers", "", "Authorization: Bearer "+strings.ToUpper(token))
	_, metrics := s.call("GET /metrics", "", auth)
	for where, text := range map[string]string{
		"log": s.logs.String(), "metrics": metrics,
		"journal":      s.one("SELECT string_agg(j::text, ' ') FROM journal j"),
		"dead letters": s.one("SELECT string_agg(d::text, ' ') FROM dead_letters d"),
	} {
		if at := private.FindStringIndex(text); at != nil {
			t.Errorf("the %s contains it: …%s", where, text[max(0, at[0]-200):min(len(text), at[0]+100)])
		}
	}
	order, _ := s.sim.Order(id)
	for what, want := range map[string]string{
		s.logs.String(): `"caller":"dispatcher"`,
		s.one("SELECT string_agg(j::text, ' ') FROM journal j"):  "dispatcher:dispatcher",
		s.one("SELECT string_agg(c::text, ' ') FROM couriers c"): phone, // the data was stored at all
		metrics:           "courier_",
		fmt.Sprint(order): "Zebra-Street",
	} {
		if !strings.Contains(what, want) {
			t.Errorf("%s is missing", want)
		}
	}
}

// orderFor creates an order of a customer.
func (s *stack) orderFor(customer, street string) (id string) {
	s.Helper()
	body := `{"restaurant_id":"r","items":[{"food_id":"f","quantity":1}],"total_price":1,"fio":"` + customer + `","address":{"street":"` + street + `"}}`
	r := httptest.NewRequestWithContext(s.Context(), http.MethodPost, "/public/api/v1/order", strings.NewReader(body))
	r.Host = "localhost"
	r.Header.Set("X-Bypass-Auth", "true")
	w := httptest.NewRecorder()
	s.sim.Handler().ServeHTTP(w, r)
	var made struct{ ID string }
	s.must(json.Unmarshal(w.Body.Bytes(), &made))
	return made.ID
}
