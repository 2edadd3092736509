package api

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"service-courier/internal/config"
)

// TestNothingPersonalIsTold drives everything that takes a name or a phone, well
// and badly, and looks for them in the log (of everything, at debug), the journal,
// the metrics and the answers that refuse. Tokens are looked for, too, and where an
// order goes and to whom, which service-order answers every time it is asked.
func TestNothingPersonalIsTold(t *testing.T) {
	const (
		name, phone = "Zebra-Name", "+7-ZEBRA-PHONE"
		token       = "zebra-zebra-zebra-zebra-zebra"
		auth        = "Authorization: Bearer " + token
	)
	s := newStack(t, 1, func(c *config.Config) { c.APITokens = "dispatcher:operate:" + token })
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
	id := s.orderTo("Zebra-Person", "Zebra-Street")
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
		if strings.Contains(answer, "Zebra") || strings.Contains(answer, "ZEBRA") {
			t.Errorf("%s %s: the refusal tells %s", r[0], r[1], answer)
		}
	}
	if done < 5 || refused < 10 {
		t.Errorf("%d requests were served and %d refused: not what the test is about", done, refused)
	}
	s.call("GET /couriers", "", "Authorization: Bearer "+strings.ToUpper(token))
	_, metrics := s.call("GET /metrics", "", auth)
	for where, text := range map[string]string{
		"log": s.logs.String(), "metrics": metrics,
		"journal":      s.one("SELECT string_agg(j::text, ' ') FROM journal j"),
		"dead letters": s.one("SELECT string_agg(d::text, ' ') FROM dead_letters d"),
	} {
		if at := strings.Index(strings.ToLower(text), "zebra"); at >= 0 {
			t.Errorf("the %s has it: …%s", where, text[max(0, at-200):min(len(text), at+100)])
		}
	}
	order, _ := s.sim.Order(id)
	for what, want := range map[string]string{
		s.logs.String(): `"caller":"dispatcher"`,
		s.one("SELECT string_agg(j::text, ' ') FROM journal j"):  "person:dispatcher",
		s.one("SELECT string_agg(c::text, ' ') FROM couriers c"): phone, // it was really there to be told
		metrics:           "courier_",
		fmt.Sprint(order): "Zebra-Street",
	} {
		if !strings.Contains(what, want) {
			t.Errorf("%s is nowhere", want)
		}
	}
}

// orderTo makes an order of a person's who lives in a street.
func (s *stack) orderTo(person, street string) (id string) {
	s.Helper()
	body := `{"restaurant_id":"r","items":[{"food_id":"f","quantity":1}],"total_price":1,"fio":"` + person + `","address":{"street":"` + street + `"}}`
	r := httptest.NewRequestWithContext(s.Context(), http.MethodPost, "/public/api/v1/order", strings.NewReader(body))
	r.Header.Set("X-Bypass-Auth", "true")
	w := httptest.NewRecorder()
	s.sim.Handler().ServeHTTP(w, r)
	var made struct{ ID string }
	s.must(json.Unmarshal(w.Body.Bytes(), &made))
	return made.ID
}
