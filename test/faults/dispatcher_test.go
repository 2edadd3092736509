package faults

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"service-courier/internal/config"
	"service-courier/internal/courier"
)

// dispatcher is a client of the only replica's API.
type dispatcher struct {
	*world
	url string
}

func (w *world) dispatcher() dispatcher {
	w.Helper()
	return dispatcher{w, w.serviceURL()}
}

// send sends a command about an order and returns the answer. It may be called from any
// goroutine.
func (d dispatcher) send(command, orderID string) (status int, answer string, err error) {
	path, body := "/delivery/"+command, fmt.Sprintf(`{"order_id":%q}`, orderID)
	if command == "release" { // newer than the course's routes
		path, body = "/api/v1/orders/"+orderID+"/release", ""
	}
	req, err := http.NewRequestWithContext(d.Context(), http.MethodPost, d.url+path, strings.NewReader(body))
	if err != nil {
		return 0, "", err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return resp.StatusCode, strings.TrimSpace(string(text)), err
}

// expect sends a command and checks the status and the beginning of the answer.
func (d dispatcher) expect(status int, answer, command, orderID string) {
	d.Helper()
	got, body, err := d.send(command, orderID)
	if err != nil || got != status || !strings.HasPrefix(body, answer) {
		d.Errorf("%s %s: %d %s, %v; want %d %s…", command, orderID, got, body, err, status, answer)
	}
}

// TestDeletedIsNeverPublished: the order is listed as missing with its age. Only a
// dispatcher frees its courier, however often it is rechecked and resynced, and then the
// order gets no other courier.
func TestDeletedIsNeverPublished(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	w.serve(resyncEvery(time.Second))
	d := w.dispatcher()
	id := w.create(1)[0]
	w.eventually("it is assigned", func() bool { return w.inState(courier.StateAssigned) == 1 })
	w.sim.Mute(true)
	w.delete(id)
	w.eventually("it is missing", func() bool { return w.count("SELECT count(*) FROM orders WHERE missing_since < now()") == 1 })
	resynced := w.front.lists.Load()
	w.eventually("its rechecks are used up, and it is resynced twice", func() bool {
		w.makeRechecksDue()
		return w.count("SELECT count(*) FROM orders WHERE recheck_reason IS NULL") == 1 && w.front.lists.Load() >= resynced+2
	})
	if n := w.count("SELECT count(*) FROM couriers WHERE status = 'busy'"); n != 1 {
		t.Fatal("the courier of a missing order was freed without a dispatcher")
	}
	since := w.one("SELECT to_char(missing_since AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS') FROM orders")
	if missing := w.listed("missing"); !strings.Contains(missing, id) || !strings.Contains(missing, `"missing_since":"`+since) {
		t.Errorf("the API does not list the order as missing since %s: %s", since, missing)
	}
	d.expect(200, `{"order_id":"`+id+`","status":"unassigned","courier_id":1}`, "unassign", id)
	d.expect(404, "", "release", id)
	d.expect(404, "", "assign", id)
	w.sim.Mute(false)
	next := w.create(1)[0] // for the freed courier
	w.eventually("the next order is assigned", func() bool {
		return w.count("SELECT count(*) FROM courier_orders WHERE order_id = $1", next) == 1
	})
	w.invariantsHold()
}

// TestOverdueDeliveriesAreHeld: an overdue order that was deleted without an event is put
// on hold, one that was completed without an event is completed, and one in time keeps
// its courier.
func TestOverdueDeliveriesAreHeld(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 3)
	w.serve(func(c *config.Config) { c.DeliveryOverdue = config.OverdueHold })
	ids := w.create(3)
	w.eventually("all are assigned", func() bool { return w.inState(courier.StateAssigned) == 3 })
	w.sim.Mute(true)
	w.delete(ids[0])
	w.setStatus("completed", ids[1])
	w.exec("UPDATE courier_orders SET assigned_at = now() - interval '1 h', deadline = now() - interval '1 s' WHERE order_id IN ($1, $2)", ids[0], ids[1])
	w.eventually("no delivery is overdue", func() bool {
		return w.count("SELECT count(*) FROM courier_orders WHERE completed_at IS NULL") == 1
	})
	for i, want := range []courier.State{courier.StateHeld, courier.StateCompleted, courier.StateAssigned} {
		if n := w.count("SELECT count(*) FROM orders WHERE order_id = $1 AND state = $2", ids[i], want); n != 1 {
			t.Errorf("order %d is not %s", i, want)
		}
	}
	if reason := w.one("SELECT held_reason FROM orders WHERE state = 'held'"); reason != "delivery overdue" {
		t.Errorf("hold reason %q", reason)
	}
	w.invariantsHold()
}

// TestCommandWhileServiceOrderIsUnavailable: the command changes nothing and is answered
// with 503.
func TestCommandWhileServiceOrderIsUnavailable(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	w.serve()
	d := w.dispatcher()
	id := w.create(1)[0]
	w.eventually("it is assigned", func() bool { return w.inState(courier.StateAssigned) == 1 })
	w.front.refuse()
	d.expect(503, "", "unassign", id)
	w.front.heal()
	d.expect(200, "", "unassign", id)
	d.expect(200, `{"courier_id":1,"order_id":"`+id+`","transport_type":"car"`, "assign", id)
	d.expect(409, "", "assign", id)
	d.expect(404, "", "assign", "unknown-order")
	d.expect(200, "", "unassign", id)
	d.expect(200, "", "release", id)
	w.converges()
}

// TestDispatchersAmongEvents: dispatchers assign, unassign and release at random while
// orders are created, completed and deleted. No invariant is violated, no command fails,
// and after releasing the orders on hold the database is up to date with service-order.
func TestDispatchersAmongEvents(t *testing.T) {
	t.Parallel()
	const orders, dispatchers, commands = 40, 4, 60
	seed := seedOf(t)
	w := newWorld(t, orders/4)
	w.serve()
	d := w.dispatcher()
	ids := w.create(orders)
	var wg sync.WaitGroup
	for i := range dispatchers {
		chance := rand.New(rand.NewPCG(seed, uint64(i)))
		wg.Go(func() {
			for range commands {
				command := []string{"assign", "unassign", "release"}[chance.IntN(3)]
				status, answer, err := d.send(command, ids[chance.IntN(orders)])
				if err != nil || (status != http.StatusOK && status != http.StatusConflict && status != http.StatusNotFound) {
					w.Errorf("%s: %d %s, %v", command, status, answer, err)
				}
			}
		})
	}
	chance := rand.New(rand.NewPCG(seed, dispatchers))
	for _, id := range ids {
		switch chance.IntN(3) {
		case 0:
			w.setStatus("completed", id)
		case 1:
			w.delete(id)
		}
		w.invariantsHold()
	}
	wg.Wait()
	for _, id := range ids {
		if status, answer, err := d.send("release", id); err != nil || status >= http.StatusInternalServerError {
			t.Errorf("release %s: %d %s, %v", id, status, answer, err)
		}
	}
	w.converges()
}
