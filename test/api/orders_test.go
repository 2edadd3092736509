package api

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

const unknownOrder = "/api/v1/orders/nobody-knows-it"

// listed returns the ids in a list of orders, read in pages of one.
func (s *stack) listed(state string) (ids []string) {
	s.Helper()
	asked := "GET /api/v1/orders?limit=1"
	if state != "" {
		asked += "&state=" + state
	}
	for next := asked; ; {
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
		next = asked + "&cursor=" + page.NextCursor
	}
}

func (s *stack) wantListed(state string, ids ...string) {
	s.Helper()
	if got := s.listed(state); strings.Join(got, " ") != strings.Join(ids, " ") {
		s.Errorf("orders %s: %v, want %v", state, got, ids)
	}
}

// TestAnOrdersLife takes one order through everything a person can do with it,
// and every refusal, and reads its timeline at the end.
func TestAnOrdersLife(t *testing.T) {
	s := newStack(t, 1)
	id := s.order()
	s.becomes(id, "assigned")
	path := "/api/v1/orders/" + id
	s.want(200, `\{"order_id":"`+id+`","state":"assigned",.*"late":false,"delivery":\{"courier_id":1,"waiting_since":"[^"]*Z","assigned_at":"[^"]*Z","deadline":"[^"]*Z"\},"timeline":.*`, "GET "+path, "")
	s.wantListed("assigned", id)
	s.wantListed("late")

	s.want(200, `.*"state":"assigned".*"courier_id":1,.*`, "POST "+path+"/assign", "") // safe to repeat
	s.want(200, `.*"state":"assigned".*"courier_id":1,.*`, "POST "+path+"/assign", `{"courier_id":1}`)
	s.exec("INSERT INTO couriers (name, phone, status) VALUES ('other', '1', 'paused')")
	s.want(409, "order_already_assigned", "POST "+path+"/assign", `{"courier_id":2}`)
	s.want(409, "order_not_held", "POST "+path+"/release", "")

	s.exec("UPDATE courier_orders SET assigned_at = now() - interval '1 h', deadline = now() - interval '30 min'")
	s.want(200, `.*"late":true,.*`, "GET "+path, "")
	s.wantListed("late", id)

	s.want(200, `.*"state":"held".*"held_reason":"flat tyre".*`, "POST "+path+"/unassign", `{"reason":"flat tyre"}`)
	s.wantListed("held", id)
	s.want(409, "order_not_assigned", "POST "+path+"/unassign", "")
	s.want(409, "courier_not_free", "POST "+path+"/assign", `{"courier_id":2}`)
	s.want(404, "courier_not_found", "POST "+path+"/assign", `{"courier_id":99}`)
	s.exec("UPDATE couriers SET status = 'paused'")
	s.want(409, "no_courier_free", "POST "+path+"/assign", "")
	s.want(200, `.*"state":"waiting".*`, "POST "+path+"/release", "")
	s.wantListed("waiting", id)
	s.exec("UPDATE couriers SET status = 'available' WHERE id = 1")
	s.becomes(id, "assigned")

	s.must(s.sim.SetStatus(id, "completed"))
	s.becomes(id, "completed")
	s.want(200, `.*"state":"completed".*`, "POST "+path+"/look", "")
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

// timeline holds that of an order against the states named, what led to them, and
// its order in time.
func (s *stack) timeline(path, states string) {
	s.Helper()
	var order struct {
		Timeline []struct {
			At, State, Source, Reason, Deadline string
			CourierID                           int `json:"courier_id"`
		} `json:"timeline"`
	}
	_, answer := s.call("GET "+path, "")
	s.must(json.Unmarshal([]byte(answer), &order))
	var got []string
	for i, e := range order.Timeline {
		got = append(got, e.State)
		if i > 0 && e.At < order.Timeline[i-1].At {
			s.Errorf("%s happened before what it followed", e.State)
		}
		if e.State == "assigned" && (e.CourierID != 1 || e.Deadline == "" || e.Source != "match") {
			s.Errorf("assigned: %+v", e)
		}
		if e.State == "held" && (e.Reason != "flat tyre" || e.Source != "person" || e.CourierID != 1) {
			s.Errorf("held: %+v", e)
		}
		if e.State == "completed" && !strings.Contains(e.Source, "@") {
			s.Errorf("completed, and not by an event at its offset: %+v", e)
		}
	}
	if strings.Join(got, " ") != states {
		s.Errorf("timeline %v, want %s", got, states)
	}
}

func TestOrdersThatServiceOrderDoesNotHave(t *testing.T) {
	s := newStack(t, 0)
	s.want(404, "order_unknown", "GET "+unknownOrder, "")
	for _, verb := range []string{"assign", "unassign", "release", "look"} {
		s.want(404, "order_not_found", "POST "+unknownOrder+"/"+verb, "")
	}
	s.want(422, "validation_failed", "POST /api/v1/orders/a.b/look", "")
	s.want(422, "validation_failed", "GET /api/v1/orders?state=lost", "")
	s.want(422, "validation_failed", "GET /api/v1/orders?state=held&cursor=eyJsaXN0IjoiaGVsZCIsImtleSI6IngifQ", "") // a key that is no time
	s.exec(`INSERT INTO orders (order_id, state, look_due_at, look_reason, look_count, look_token)
		VALUES ('nobody-knows-it', 'seen', now() + interval '1 h', 'missing', 2, 1)`)
	s.wantListed("looking", "nobody-knows-it")
	s.want(200, `.*"state":"seen".*"look":\{"due_at":"[^"]*Z","reason":"missing","attempts":2.*`, "GET "+unknownOrder, "")
	for _, verb := range []string{"unassign", "release", "look"} { // heard of is not known
		s.want(404, "order_not_found", "POST "+unknownOrder+"/"+verb, "")
	}

	id := s.order()
	s.becomes(id, "waiting")
	s.sim.Mute(true) // its deletion is never published
	s.must(s.sim.Delete(id))
	s.want(200, `.*"state":"waiting".*"missing_since":.*`, "POST /api/v1/orders/"+id+"/look", "")
	s.wantListed("missing", id)
	s.wantListed("waiting")
	s.must(s.sim.Stop(t.Context()))
	for _, verb := range []string{"assign", "unassign", "release", "look"} {
		s.want(503, "order_service_unavailable", "POST /api/v1/orders/"+id+"/"+verb, "")
	}
	s.sound()
}

// TestTwoWritersOneOrderByItsPath: of four who want four couriers for one order one
// gets his, and of those who take it away again one does.
func TestTwoWritersOneOrderByItsPath(t *testing.T) {
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
		t.Errorf("whoever is free, four times: %v, want the same answer to all", got)
	}
	s.sound()
}
