package api

import (
	"net/http"
	"strings"
	"testing"
)

// TestCourseRoutes calls every route of section 4 of the specification, with every
// refusal that it lists.
func TestCourseRoutes(t *testing.T) {
	s := newStack(t, 0)
	const (
		anna  = `{"name":"Anna","phone":"8 (900) 000-00-01","status":"available","transport_type":"scooter"}`
		boris = `{"name":"Boris","phone":"+79000000002","status":"paused","transport_type":"car"}`
	)
	s.want(200, `\{"message":"pong"\}`, "GET /ping", "")
	s.want(204, ``, "HEAD /healthcheck", "")
	s.want(200, `\[\]`, "GET /couriers", "")
	s.want(201, `\{"id":1\}`, "POST /courier", anna)
	s.want(201, `\{"id":2\}`, "POST /courier", boris)
	s.want(409, "phone_registered", "POST /courier", anna)
	for _, spelling := range []string{"89000000001", "+7 900 000-00-01", "９０００００００01", "\u202a+79000000001\u202c"} {
		s.want(409, "phone_registered", "POST /courier", `{"name":"Other","phone":"`+spelling+`","transport_type":"car"}`)
	}
	for _, phone := range []string{"not a phone", "+7900", "+79000000001 доб. 5"} {
		s.want(400, "invalid_phone", "POST /courier", `{"name":"Other","phone":"`+phone+`","transport_type":"car"}`)
		s.want(400, "invalid_phone", "PUT /courier", `{"id":2,"phone":"`+phone+`"}`)
		s.want(400, "invalid_phone", "POST /api/v1/couriers", `{"name":"Other","phone":"`+phone+`","transport_type":"car"}`)
		s.want(400, "invalid_phone", "PATCH /api/v1/couriers/2", `{"phone":"`+phone+`"}`)
	}
	s.want(409, "busy_not_settable", "POST /courier", `{"name":"C","phone":"+79000000003","status":"busy","transport_type":"car"}`)
	s.want(200, `\{"id":1,"name":"Anna","phone":"\+79000000001","status":"available","transport_type":"scooter"\}`, "GET /courier/1", "")
	s.want(404, "courier_not_found", "GET /courier/99", "")
	s.want(200, `\[\{"id":1,.*\},\{"id":2,"name":"Boris","phone":"\+79000000002","status":"paused","transport_type":"car"\}\]`, "GET /couriers", "")

	s.want(200, `\{"id":2,"name":"Boris","phone":"\+79000000002","status":"available","transport_type":"on_foot"\}`,
		"PUT /courier", `{"id":2,"status":"available","transport_type":"on_foot"}`)
	s.want(200, `\{"id":2,.*"status":"paused".*\}`, "PUT /courier", `{"id":2,"status":"paused"}`)
	s.want(404, "courier_not_found", "PUT /courier", `{"id":99,"name":"X"}`)
	s.want(409, "phone_registered", "PUT /courier", `{"id":2,"phone":"+7 900 000 00 01"}`)
	for line, body := range map[string]string{"POST /courier": anna, "PUT /courier": `{"id":2,"phone":"+79000000001"}`} {
		if _, answer := s.call(line, body); !strings.Contains(answer, "phone already registered: courier 1 has it") {
			s.Errorf("%s: %s", line, answer)
		}
	}
	s.want(409, "busy_not_settable", "PUT /courier", `{"id":1,"status":"busy"}`)

	id := s.order()
	s.becomes(id, "assigned")
	s.want(409, "courier_busy", "PUT /courier", `{"id":1,"status":"available"}`)
	s.want(409, "courier_busy", "PUT /courier", `{"id":1,"status":"paused"}`)
	s.want(200, `\{"id":1,"name":"Ann",.*"status":"busy",.*\}`, "PUT /courier", `{"id":1,"name":"Ann"}`)
	s.want(409, "order_already_assigned", "POST /delivery/assign", `{"order_id":"`+id+`"}`)
	s.want(200, `\{"order_id":"`+id+`","status":"unassigned","courier_id":1\}`, "POST /delivery/unassign", `{"order_id":"`+id+`"}`)
	s.want(409, "order_not_assigned", "POST /delivery/unassign", `{"order_id":"`+id+`"}`)
	s.want(200, `\{"courier_id":1,"order_id":"`+id+`","transport_type":"scooter","delivery_deadline":"[0-9]{4}-[0-9-]+T[0-9:.]+Z"\}`,
		"POST /delivery/assign", `{"order_id":"`+id+`"}`)
	waits := s.order()
	s.becomes(waits, "waiting")
	s.want(409, "no_courier_available", "POST /delivery/assign", `{"order_id":"`+waits+`"}`)
	s.want(409, "order_not_assigned", "POST /delivery/unassign", `{"order_id":"`+waits+`"}`)
	s.must(s.sim.SetStatus(id, "completed"))
	s.becomes(id, "completed")
	s.want(409, "order_ended", "POST /delivery/assign", `{"order_id":"`+id+`"}`)
	s.want(404, "order_not_found", "POST /delivery/assign", `{"order_id":"unknown-order"}`)
	s.want(404, "order_not_found", "POST /delivery/unassign", `{"order_id":"unknown-order"}`)
	s.want(422, "validation_failed", "POST /delivery/assign", `{"order_id":"../x"}`)
	if status, metrics := s.call("GET /metrics", ""); status != http.StatusOK || len(metrics) == 0 {
		t.Errorf("GET /metrics: %d", status)
	}
	s.must(s.sim.Stop(t.Context())) // service-order becomes unavailable
	s.want(503, "order_service_unavailable", "POST /delivery/assign", `{"order_id":"`+waits+`"}`)
	s.sound()
}

// TestPauseAfterDelivery: a busy courier who is paused after the delivery gets no
// other order when it is completed, until resumed.
func TestPauseAfterDelivery(t *testing.T) {
	s := newStack(t, 1)
	first := s.order()
	s.becomes(first, "assigned")
	s.want(409, "courier_busy", "POST /api/v1/couriers/1/pause", "")
	s.want(409, "courier_busy", "DELETE /api/v1/couriers/1", "")
	s.want(200, `.*"status":"busy".*"pause_after_delivery":true,"order_id":"`+first+`".*`, "POST /api/v1/couriers/1/pause", `{"after_delivery":true}`)
	second := s.order()
	s.becomes(second, "waiting")
	s.must(s.sim.SetStatus(first, "completed"))
	s.becomes(first, "completed")
	s.want(200, `.*"status":"paused".*"pause_after_delivery":false,"deliveries":1\}`, "GET /api/v1/couriers/1", "")
	s.want(409, "no_courier_available", "POST /delivery/assign", `{"order_id":"`+second+`"}`)
	s.want(200, `.*"status":"available".*`, "POST /api/v1/couriers/1/resume", "")
	s.becomes(second, "assigned")
	s.must(s.sim.Delete(second))
	s.becomes(second, "cancelled")
	s.want(204, "", "DELETE /api/v1/couriers/1", "")
	s.want(404, "courier_not_found", "DELETE /api/v1/couriers/1", "")
	s.want(200, `\{"items":\[\]\}`, "GET /api/v1/couriers", "")
	s.want(201, `\{"id":2,.*`, "POST /api/v1/couriers", `{"name":"c1","phone":"+70000000000","transport_type":"car"}`) // the phone of the deleted courier
	s.want(200, `\{"id":2,.*`, "POST /api/v1/couriers", `{"name":"c1","phone":"+70000000000","transport_type":"car"}`) // repeated
	s.sound()
}
