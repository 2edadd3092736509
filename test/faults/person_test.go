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

// person is a client of the only replica's API.
type person struct {
	*world
	url string
}

func (w *world) person() person {
	w.Helper()
	return person{w, w.serviceURL()}
}

// tells sends a command about an order and returns how it is answered. It may
// be called from any goroutine.
func (p person) tells(command, orderID string) (status int, answer string, err error) {
	path, body := "/delivery/"+command, fmt.Sprintf(`{"order_id":%q}`, orderID)
	if command == "release" { // no route of the course's
		path, body = "/api/v1/orders/"+orderID+"/release", ""
	}
	req, err := http.NewRequestWithContext(p.Context(), http.MethodPost, p.url+path, strings.NewReader(body))
	if err != nil {
		return 0, "", err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	told, err := io.ReadAll(resp.Body)
	return resp.StatusCode, strings.TrimSpace(string(told)), err
}

// wants tells a command and expects its answer to begin so.
func (p person) wants(status int, answer, command, orderID string) {
	p.Helper()
	got, body, err := p.tells(command, orderID)
	if err != nil || got != status || !strings.HasPrefix(body, answer) {
		p.Errorf("%s %s: %d %s, %v; want %d %s…", command, orderID, got, body, err, status, answer)
	}
}

// TestDeletedIsNeverPublished: the order is listed as missing with its age. Its
// courier is freed by nobody but a person, however often it was looked at and
// swept, and nothing comes after the order by itself.
func TestDeletedIsNeverPublished(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	w.serve(sweepEvery(time.Second))
	p := w.person()
	id := w.create(1)[0]
	w.eventually("it is assigned", func() bool { return w.inState(courier.StateAssigned) == 1 })
	w.sim.Mute(true)
	w.delete(id)
	w.eventually("it is missing", func() bool { return w.count("SELECT count(*) FROM orders WHERE missing_since < now()") == 1 })
	swept := w.front.lists.Load()
	w.eventually("its looks are used up, and it is swept twice", func() bool {
		w.hurry()
		return w.count("SELECT count(*) FROM orders WHERE look_reason IS NULL") == 1 && w.front.lists.Load() >= swept+2
	})
	if n := w.count("SELECT count(*) FROM couriers WHERE status = 'busy'"); n != 1 {
		t.Fatal("the courier of a missing order was freed without a person")
	}
	since := w.one("SELECT to_char(missing_since AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS') FROM orders")
	if missing := w.listed("missing"); !strings.Contains(missing, id) || !strings.Contains(missing, `"missing_since":"`+since) {
		t.Errorf("the API does not list the order as missing since %s: %s", since, missing)
	}
	p.wants(200, `{"order_id":"`+id+`","status":"unassigned","courier_id":1}`, "unassign", id)
	p.wants(404, "", "release", id)
	p.wants(404, "", "assign", id)
	w.sim.Mute(false)
	next := w.create(1)[0] // he is there for others
	w.eventually("the next order is assigned", func() bool {
		return w.count("SELECT count(*) FROM courier_orders WHERE order_id = $1", next) == 1
	})
	w.sound()
}

// TestLateDeliveriesAreReleased: behind its deadline a delivery whose order is
// over without a word is taken off its courier, one that was completed without a
// word is completed, and one in time stays. Another order's delivery of the
// courier is not touched.
func TestLateDeliveriesAreReleased(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 3)
	w.serve(func(c *config.Config) { c.DeliveryOverdue = config.OverdueRelease })
	ids := w.create(3)
	w.eventually("all are assigned", func() bool { return w.inState(courier.StateAssigned) == 3 })
	w.sim.Mute(true)
	w.delete(ids[0])
	w.setStatus("completed", ids[1])
	w.exec("UPDATE courier_orders SET assigned_at = now() - interval '1 h', deadline = now() - interval '1 s' WHERE order_id IN ($1, $2)", ids[0], ids[1])
	w.eventually("nobody is late any more", func() bool {
		return w.count("SELECT count(*) FROM courier_orders WHERE completed_at IS NULL") == 1
	})
	for i, want := range []courier.State{courier.StateHeld, courier.StateCompleted, courier.StateAssigned} {
		if n := w.count("SELECT count(*) FROM orders WHERE order_id = $1 AND state = $2", ids[i], want); n != 1 {
			t.Errorf("order %d is not %s", i, want)
		}
	}
	if reason := w.one("SELECT held_reason FROM orders WHERE state = 'held'"); reason != "not delivered by its deadline" {
		t.Errorf("held because %q", reason)
	}
	w.sound()
}

// TestPersonCannotActUnasked: while service-order is away a command changes
// nothing and says when to try again.
func TestPersonCannotActUnasked(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	w.serve()
	p := w.person()
	id := w.create(1)[0]
	w.eventually("it is assigned", func() bool { return w.inState(courier.StateAssigned) == 1 })
	w.front.refuse()
	p.wants(503, "", "unassign", id)
	w.front.heal()
	p.wants(200, "", "unassign", id)
	p.wants(200, `{"courier_id":1,"order_id":"`+id+`","transport_type":"car"`, "assign", id)
	p.wants(409, "", "assign", id)
	p.wants(404, "", "assign", "nobody-ever-ordered-this")
	p.wants(200, "", "unassign", id)
	p.wants(200, "", "release", id)
	w.agrees()
}

// TestPersonsAmongEvents: people give, take and put back at random while orders
// come, end and are deleted. No promise is broken meanwhile, no command fails,
// and when the held ones are put back everything is as service-order says.
func TestPersonsAmongEvents(t *testing.T) {
	t.Parallel()
	const orders, persons, commands = 40, 4, 60
	seed := seedOf(t)
	w := newWorld(t, orders/4)
	w.serve()
	p := w.person()
	ids := w.create(orders)
	var wg sync.WaitGroup
	for i := range persons {
		chance := rand.New(rand.NewPCG(seed, uint64(i))) //nolint:gosec // a test's
		wg.Go(func() {
			for range commands {
				command := []string{"assign", "unassign", "release"}[chance.IntN(3)]
				status, answer, err := p.tells(command, ids[chance.IntN(orders)])
				if err != nil || (status != http.StatusOK && status != http.StatusConflict && status != http.StatusNotFound) {
					w.Errorf("%s: %d %s, %v", command, status, answer, err)
				}
			}
		})
	}
	chance := rand.New(rand.NewPCG(seed, persons)) //nolint:gosec // a test's
	for _, id := range ids {
		switch chance.IntN(3) {
		case 0:
			w.setStatus("completed", id)
		case 1:
			w.delete(id)
		}
		w.sound()
	}
	wg.Wait()
	for _, id := range ids {
		if status, answer, err := p.tells("release", id); err != nil || status >= http.StatusInternalServerError {
			t.Errorf("release %s: %d %s, %v", id, status, answer, err)
		}
	}
	w.agrees()
}
