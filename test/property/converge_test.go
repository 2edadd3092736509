package property

import (
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"service-courier/internal/courier"
	"service-courier/internal/devstack/pgtest"
	"service-courier/internal/usecase/orderevent"
)

func TestMain(m *testing.M) {
	code := pgtest.Main(m)
	if err := goleak.Find(); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// histories are the lives that an order can have: its truth never falls in
// class. "deleted" is what DELETE does: an event, and from then on 404.
var histories = [][]string{
	{"created"},
	{"created", "pending", "cooking"},
	{"created", "delivering", "completed"},
	{"created", "delivered"},
	{"created", "deleted"},
	{"created", "cooking", "canceled"},
	{"created", "cooking", "canceled", "deleted"},
	{"created", "delivering", "completed", "deleted"},
	{"created", "completed", "cancelled"},
	{"created", "updated"},
	{"created", "refunded", "delivering"},
	{"completed", "cancelled"},
}

// plan is one order's history and how far it has come.
type plan struct {
	history []string
	next    int
}

// TestAnyHistoryEndsInTheTruth: a random history of some orders, its events
// doubled and shuffled over six partitions, through replicas of the use case
// that run at the same time on one PostgreSQL, the truth moving meanwhile, some
// GETs answering late or not at all, looks claimed and overtaken. The end state
// equals the truth's, every time. A failure prints its seed.
func TestAnyHistoryEndsInTheTruth(t *testing.T) {
	pool := newPool(t)
	rapid.Check(t, func(rt *rapid.T) {
		w := newWorld(t.Context(), rt, pool, rapid.IntRange(1, 3).Draw(rt, "couriers"))
		plans := make([]plan, rapid.IntRange(1, 5).Draw(rt, "orders"))
		for i := range plans {
			plans[i].history = rapid.SampledFrom(histories).Draw(rt, "history")
		}
		for range rapid.IntRange(10, 80).Draw(rt, "steps") {
			w.step(plans)
			w.sound()
		}
		w.finish(plans)
		w.check(plans)
	})
}

// step does one of the things that can happen next.
func (w *world) step(plans []plan) {
	switch rapid.SampledFrom([]string{"advance", "advance", "deliver", "deliver", "deliver", "land", "land", "look", "sweep", "match", "match"}).Draw(w.T, "step") {
	case "advance":
		w.advance(rapid.IntRange(0, len(plans)-1).Draw(w.T, "order"), plans)
	case "deliver":
		w.launch(w.take(rapid.IntRange(1, 8).Draw(w.T, "events")), w.drawAway(plans))
	case "land":
		if n := len(w.flying); n > 0 {
			i := rapid.IntRange(0, n-1).Draw(w.T, "flight")
			f := w.flying[i]
			w.flying = append(w.flying[:i], w.flying[i+1:]...)
			w.land(f)
		}
	case "look":
		w.launch(w.claimDue(rapid.IntRange(1, 3).Draw(w.T, "looks")), w.drawAway(plans))
	case "sweep":
		w.launch(w.openOrders(plans), w.drawAway(plans))
	case "match":
		w.match()
	}
}

// openOrders are the sweep's hints: orders that have a record and have not
// ended, and some that are only listed.
func (w *world) openOrders(plans []plan) []orderevent.Hint {
	var hints []orderevent.Hint
	for i := range plans {
		if _, listed := w.truth.get(orderID(i)); listed || w.stateOf(orderID(i)) != "" {
			hints = append(hints, orderevent.Hint{OrderID: orderID(i), Sweep: true, Source: "sweep"})
		}
	}
	return hints
}

// advance moves an order's truth, then publishes the event up to three times.
func (w *world) advance(i int, plans []plan) {
	p := &plans[i]
	if p.next == len(p.history) {
		return
	}
	status := p.history[p.next]
	p.next++
	w.truth.set(orderID(i), status)
	for range rapid.IntRange(1, 3).Draw(w.T, "copies") {
		q := rapid.IntRange(0, len(w.queues)-1).Draw(w.T, "partition")
		hint := orderevent.Hint{OrderID: orderID(i), Said: courier.ClassOf(status), Source: fmt.Sprintf("%d@%d", q, p.next)}
		at := rapid.IntRange(0, len(w.queues[q])).Draw(w.T, "place")
		w.queues[q] = append(w.queues[q][:at], append([]orderevent.Hint{hint}, w.queues[q][at:]...)...)
	}
}

// take removes up to n events from one partition.
func (w *world) take(n int) []orderevent.Hint {
	q := rapid.IntRange(0, len(w.queues)-1).Draw(w.T, "from")
	n = min(n, len(w.queues[q]))
	taken := append([]orderevent.Hint(nil), w.queues[q][:n]...)
	w.queues[q] = w.queues[q][n:]
	return taken
}

func (w *world) drawAway(plans []plan) map[courier.OrderID]bool {
	away := make(map[courier.OrderID]bool)
	for i := range plans {
		away[orderID(i)] = rapid.IntRange(0, 5).Draw(w.T, "away") == 0
	}
	return away
}

// finish lets every order's history run out, every event arrive, and every
// look be taken until none is wanted.
func (w *world) finish(plans []plan) {
	for i := range plans {
		for plans[i].next < len(plans[i].history) {
			w.advance(i, plans)
		}
	}
	for q := range w.queues {
		w.launch(w.queues[q], nil)
		w.queues[q] = nil
	}
	w.landAll()
	const enough = 20 // far more than the looks that are given up
	for range enough {
		hints := w.claimDue(100)
		if len(hints) == 0 {
			break
		}
		w.launch(hints, nil)
		w.landAll()
	}
	w.match()
}

// check compares the database with the truth.
func (w *world) check(plans []plan) {
	w.sound()
	if n := w.count("SELECT count(*) FROM orders WHERE look_due_at IS NOT NULL"); n != 0 {
		w.Errorf("%d orders still want a look", n)
	}
	waiting, free := w.count("SELECT count(*) FROM orders WHERE state = 'waiting'"), w.count("SELECT count(*) FROM couriers WHERE status = 'available'")
	if waiting > 0 && free > 0 {
		w.Errorf("%d orders wait beside %d free couriers", waiting, free)
	}
	for i, p := range plans {
		last, state := p.history[len(p.history)-1], w.stateOf(orderID(i))
		ok := false
		switch courier.ClassOf(last) {
		case courier.ClassActive:
			ok = state == "assigned" || state == "waiting"
		case courier.ClassCompleted:
			ok = state == "completed"
		case courier.ClassCancelled:
			ok = state == "cancelled"
		case courier.ClassUnknown:
		}
		if !ok {
			w.Errorf("order %d, history %v: state %q", i, p.history, state)
		}
	}
}
