package api

import (
	"fmt"
	"net/http"
	"sync"
	"testing"
)

// race sends n requests at once and counts the statuses.
func (s *stack) race(n int, request func(i int) (line, body string, headers []string)) map[int]int {
	s.Helper()
	statuses, errs := make([]int, n), make([]error, n)
	var wg sync.WaitGroup
	begin := make(chan struct{})
	for i := range n {
		wg.Go(func() {
			line, body, headers := request(i)
			<-begin
			statuses[i], _, errs[i] = s.try(line, body, headers...)
		})
	}
	close(begin)
	wg.Wait()
	counts := map[int]int{}
	for i, status := range statuses {
		s.check(errs[i])
		counts[status]++
	}
	return counts
}

// TestConcurrentChangesOfOneCourier: of concurrent changes with the same ETag one
// succeeds, and the others get 412; likewise for one phone, and for deleting a courier.
func TestConcurrentChangesOfOneCourier(t *testing.T) {
	s := newStack(t, 20)
	for id := 1; id <= 5; id++ {
		path := fmt.Sprintf("/api/v1/couriers/%d", id)
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.url+path, http.NoBody)
		s.must(err)
		resp, err := s.http.Do(r)
		s.must(err)
		s.must(resp.Body.Close())
		read := []string{"If-Match: " + resp.Header.Get("ETag")}
		got := s.race(4, func(i int) (string, string, []string) {
			return "PATCH " + path, fmt.Sprintf(`{"name":"writer %d"}`, i), read
		})
		if got[200] != 1 || got[412] != 3 {
			t.Errorf("courier %d: %v, want one 200 and the rest 412", id, got)
		}
	}
	got := s.race(4, func(i int) (string, string, []string) {
		return fmt.Sprintf("PATCH /api/v1/couriers/%d", 6+i), `{"phone":"+79000000009"}`, nil
	})
	if got[200] != 1 || got[409] != 3 {
		t.Errorf("one phone: %v, want one 200 and the rest 409", got)
	}
	got = s.race(4, func(int) (string, string, []string) { return "DELETE /api/v1/couriers/10", "", nil })
	if got[204] != 1 || got[404] != 3 {
		t.Errorf("delete: %v, want one 204 and the rest 404", got)
	}
	got = s.race(4, func(int) (string, string, []string) {
		return "POST /api/v1/couriers", `{"name":"N","phone":"+79000000077","transport_type":"car"}`, nil
	})
	if got[201] != 1 || got[200] != 3 {
		t.Errorf("create: %v, want one 201, and 200 for the rest", got)
	}
	s.sound()
}

// TestConcurrentDeliveries: one order is assigned to several couriers at once, then
// unassigned several times; one courier is assigned several orders, or one while being
// paused. One request succeeds each time, the others get 409.
func TestConcurrentDeliveries(t *testing.T) {
	s := newStack(t, 8)
	ids := make([]string, 4)
	for i := range ids {
		ids[i] = s.order()
		s.becomes(ids[i], "assigned")
		s.want(200, `.*`, "POST /delivery/unassign", `{"order_id":"`+ids[i]+`"}`) // on hold: matching ignores it
	}
	got := s.race(4, func(i int) (string, string, []string) {
		return "POST /delivery/assign", fmt.Sprintf(`{"order_id":%q,"courier_id":%d}`, ids[0], i+1), nil
	})
	if got[200] != 1 || got[409] != 3 {
		t.Errorf("one order, four couriers: %v, want one 200 and the rest 409", got)
	}
	got = s.race(4, func(int) (string, string, []string) {
		return "POST /delivery/unassign", fmt.Sprintf(`{"order_id":%q}`, ids[0]), nil
	})
	if got[200] != 1 || got[409] != 3 {
		t.Errorf("unassign: %v, want one 200 and the rest 409", got)
	}
	got = s.race(4, func(i int) (string, string, []string) {
		return "POST /delivery/assign", fmt.Sprintf(`{"order_id":%q,"courier_id":8}`, ids[i]), nil
	})
	if got[200] != 1 || got[409] != 3 {
		t.Errorf("four orders, one courier: %v, want one 200 and the rest 409", got)
	}
	held := s.one("SELECT order_id FROM orders WHERE state = 'held' LIMIT 1")
	got = s.race(2, func(i int) (string, string, []string) {
		if i == 0 {
			return "POST /api/v1/couriers/7/pause", "", nil
		}
		return "POST /delivery/assign", fmt.Sprintf(`{"order_id":%q,"courier_id":7}`, held), nil
	})
	if got[200] != 1 || got[409] != 1 {
		t.Errorf("paused and assigned an order: %v, want one 200 and one 409", got)
	}
	s.sound()
}
