package api

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"
)

const unknownOrder = "/api/v1/orders/unknown-order"

// listed returns the ids in a list of orders, read in pages of one.
func (s *stack) listed(state string) (ids []string) {
	s.Helper()
	requested := "GET /api/v1/orders?limit=1"
	if state != "" {
		requested += "&state=" + state
	}
	for next := requested; ; {
		status, answer := s.call(next, "")
		var page struct {
			Items []struct {
				OrderID string `json:"order_id"`
			} `json:"items"`
			NextCursor string `json:"next_cursor"`
		}
		if err := json.Unmarshal([]byte(answer), &page); err != nil || status != 200 {
			s.Fatalf("list %s: %d %s, %v", state, status, answer, err)
		}
		for _, o := range page.Items {
			ids = append(ids, o.OrderID)
		}
		if page.NextCursor == "" {
			return ids
		}
		next = requested + "&cursor=" + page.NextCursor
	}
}

func (s *stack) wantListed(state string, ids ...string) {
	s.Helper()
	if got := s.listed(state); strings.Join(got, " ") != strings.Join(ids, " ") {
		s.Errorf("orders %s: %v, want %v", state, got, ids)
	}
}

// TestOrderCommands runs every command on one order, with every refusal, and reads its
// timeline at the end.
func TestOrderCommands(t *testing.T) {
	s := newStack(t, 1)
	id := s.order()
	s.becomes(id, "assigned")
	path := "/api/v1/orders/" + id
	s.want(200, `\{"order_id":"`+id+`","state":"assigned",.*"overdue":false,"delivery":\{"courier_id":1,"courier_name":"c1","waiting_since":"[^"]*Z","assigned_at":"[^"]*Z","deadline":"[^"]*Z"\},"timeline":.*`, "GET "+path, "")
	s.wantListed("assigned", id)
	s.wantListed("overdue")

	s.want(200, `.*"state":"assigned".*"courier_id":1,.*`, "POST "+path+"/assign", "") // safe to repeat
	s.want(200, `.*"state":"assigned".*"courier_id":1,.*`, "POST "+path+"/assign", `{"courier_id":1}`)
	s.exec("INSERT INTO couriers (name, phone, status) VALUES ('other', '1', 'paused')")
	s.want(409, "order_already_assigned", "POST "+path+"/assign", `{"courier_id":2}`)
	s.want(409, "order_not_held", "POST "+path+"/release", "")

	s.exec("UPDATE courier_orders SET assigned_at = now() - interval '1 h', deadline = now() - interval '30 min'")
	s.want(200, `.*"overdue":true,.*`, "GET "+path, "")
	s.wantListed("overdue", id)

	s.want(200, `.*"state":"held".*"held_reason":"flat tyre".*`, "POST "+path+"/unassign", `{"reason":"flat tyre"}`)
	s.wantListed("held", id)
	s.want(409, "order_not_assigned", "POST "+path+"/unassign", "")
	s.want(409, "courier_not_available", "POST "+path+"/assign", `{"courier_id":2}`)
	s.want(404, "courier_not_found", "POST "+path+"/assign", `{"courier_id":99}`)
	s.exec("UPDATE couriers SET status = 'paused'")
	s.want(409, "no_courier_available", "POST "+path+"/assign", "")
	s.want(200, `.*"state":"waiting".*`, "POST "+path+"/release", "")
	s.wantListed("waiting", id)
	s.exec("UPDATE couriers SET status = 'available' WHERE id = 1")
	s.becomes(id, "assigned")

	s.must(s.sim.SetStatus(id, "completed"))
	s.becomes(id, "completed")
	s.want(200, `.*"state":"completed".*`, "POST "+path+"/recheck", "")
	s.want(409, "order_ended", "POST "+path+"/assign", "")
	s.wantListed("completed", id)
	s.must(s.sim.Delete(id))
	s.becomes(id, "cancelled")
	s.wantListed("cancelled", id)
	s.wantListed("completed")
	s.wantListed("", id)
	s.timeline(path, "waiting assigned held waiting assigned completed cancelled")
	s.sound()
}

// timeline checks the states of a timeline, their sources, and their order in time.
func (s *stack) timeline(path, states string) {
	s.Helper()
	var order struct {
		Timeline []struct {
			At                              time.Time
			State, Source, Reason, Deadline string
			CourierID                       int `json:"courier_id"`
		} `json:"timeline"`
	}
	_, answer := s.call("GET "+path, "")
	s.must(json.Unmarshal([]byte(answer), &order))
	var got []string
	for i, e := range order.Timeline {
		got = append(got, e.State)
		if i > 0 && e.At.Before(order.Timeline[i-1].At) {
			s.Errorf("%+v is earlier than %+v before it", e, order.Timeline[i-1])
		}
		if e.State == "assigned" && (e.CourierID != 1 || e.Deadline == "" || e.Source != "match") {
			s.Errorf("assigned: %+v", e)
		}
		if e.State == "held" && (e.Reason != "flat tyre" || e.Source != "dispatcher" || e.CourierID != 1) {
			s.Errorf("held: %+v", e)
		}
		if e.State == "completed" && !strings.Contains(e.Source, "@") {
			s.Errorf("completed, but not by an order event: %+v", e)
		}
	}
	if strings.Join(got, " ") != states {
		s.Errorf("timeline %v, want %s", got, states)
	}
}

func TestOrdersMissingInServiceOrder(t *testing.T) {
	s := newStack(t, 0)
	s.want(404, "order_unknown", "GET "+unknownOrder, "")
	for _, verb := range []string{"assign", "unassign", "release", "recheck", "cancel"} {
		s.want(404, "order_not_found", "POST "+unknownOrder+"/"+verb, "")
	}
	s.want(422, "validation_failed", "POST /api/v1/orders/a.b/recheck", "")
	s.want(422, "validation_failed", "GET /api/v1/orders?state=lost", "")
	s.want(422, "validation_failed", "GET /api/v1/orders?state=held&cursor=eyJsaXN0IjoiaGVsZCIsImtleSI6IngifQ", "") // an invalid time as key
	s.exec(`INSERT INTO orders (order_id, state, recheck_at, recheck_reason, recheck_count, recheck_token)
		VALUES ('unknown-order', 'seen', now() + interval '1 h', 'missing', 2, 1)`)
	s.wantListed("pending_recheck", "unknown-order")
	s.want(200, `.*"state":"seen".*"recheck":\{"at":"[^"]*Z","reason":"missing","attempts":2.*`, "GET "+unknownOrder, "")
	for _, verb := range []string{"unassign", "release", "recheck", "cancel"} { // seen, but never active
		s.want(404, "order_not_found", "POST "+unknownOrder+"/"+verb, "")
	}

	id := s.order()
	s.becomes(id, "waiting")
	s.sim.Mute(true) // its deletion is never published
	s.must(s.sim.Delete(id))
	s.want(200, `.*"state":"waiting".*"missing_since":.*"service_order":"not_found"\}`, "POST /api/v1/orders/"+id+"/recheck", "")
	s.wantListed("missing", id)
	s.wantListed("waiting", id)
	s.wantListed("waiting&missing=true", id)
	s.wantListed("held&missing=true")
	s.want(422, "validation_failed", "GET /api/v1/orders?state=completed&missing=true", "")
	s.must(s.sim.Stop(t.Context()))
	for _, verb := range []string{"assign", "unassign", "release", "recheck", "cancel"} {
		s.want(503, "order_service_unavailable", "POST /api/v1/orders/"+id+"/"+verb, "")
	}
	s.sound()
}

// TestCancelAMissingOrder: an order that service-order has lost is closed by a dispatcher,
// who frees its courier; while service-order has it, only service-order cancels it.
func TestCancelAMissingOrder(t *testing.T) {
	s := newStack(t, 1)
	id := s.order()
	s.becomes(id, "assigned")
	waiting := s.order()
	s.becomes(waiting, "waiting")
	path := "/api/v1/orders/" + id
	s.want(409, "order_not_missing", "POST "+path+"/cancel", "")
	s.want(409, "order_not_missing", "POST /api/v1/orders/"+waiting+"/cancel", "")
	s.want(200, `.*"no_courier":\{"cause":"no_free_courier",.*"position":1,"orders_before":0,"missing_before":0,"free_couriers":0\},.*`, "GET /api/v1/orders/"+waiting, "")

	s.sim.Mute(true) // the deletion is never published
	s.must(s.sim.Delete(id))
	s.want(200, `.*"state":"cancelled".*`, "POST "+path+"/cancel", `{"reason":"cancelled by phone"}`)
	s.want(200, `.*"state":"cancelled".*`, "POST "+path+"/cancel", "") // safe to repeat
	s.sim.Mute(false)
	s.becomes(waiting, "assigned") // to the courier of the other
	s.want(200, `.*"timeline":\[.*"state":"cancelled","source":"dispatcher","reason":"cancelled by phone","courier_id":1,"courier_name":"c1"\}\]\}`, "GET "+path, "")
	s.must(s.sim.SetStatus(waiting, "completed"))
	s.becomes(waiting, "completed")
	s.want(409, "order_not_missing", "POST /api/v1/orders/"+waiting+"/cancel", "")
	s.sound()
}

// TestConcurrentCommandsOnOneOrder: of four assignments to four couriers one succeeds,
// and of four unassignments one.
func TestConcurrentCommandsOnOneOrder(t *testing.T) {
	s := newStack(t, 4)
	id := s.order()
	s.becomes(id, "assigned")
	path := "POST /api/v1/orders/" + id
	s.want(200, `.*`, path+"/unassign", "")
	for range 5 {
		got := s.race(4, func(i int) (string, string, []string) {
			return path + "/assign", fmt.Sprintf(`{"courier_id":%d}`, i+1), nil
		})
		if got[200] != 1 || got[409] != 3 {
			t.Errorf("one order, four couriers: %v, want one 200 and the rest 409", got)
		}
		got = s.race(4, func(int) (string, string, []string) { return path + "/unassign", "", nil })
		if got[200] != 1 || got[409] != 3 {
			t.Errorf("unassign: %v, want one 200 and the rest 409", got)
		}
	}
	got := s.race(4, func(int) (string, string, []string) { return path + "/assign", "", nil })
	if got[200] != 4 {
		t.Errorf("any courier, four times: %v, want 200 for all", got)
	}
	s.sound()
}
