package property

import (
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"service-courier/internal/courier"
	"service-courier/internal/dev/citest"
	"service-courier/internal/dev/pgtest"
	"service-courier/internal/usecase/orderevent"
)

func TestMain(m *testing.M) {
	citest.FewerChecks()
	code := pgtest.Main(m)
	if err := goleak.Find(); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// histories are the possible histories of an order in service-order; the class never
// falls. "deleted" is a DELETE: an event, and from then on 404.
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

// plan is the history of one order and its next step.
type plan struct {
	history []string
	next    int
}

// TestAnyHistoryConverges: random histories of some orders, with events duplicated and
// shuffled over six partitions, are processed by replicas of the use case that run at the
// same time on one PostgreSQL. Meanwhile service-order changes, some GETs answer late or
// not at all, and rechecks are claimed and overtaken. The end state always equals that of
// service-order. A failure prints its seed.
func TestAnyHistoryConverges(t *testing.T) {
	pool := newPool(t)
	rapid.Check(t, func(rt *rapid.T) {
		w := newWorld(t.Context(), rt, pool, rapid.IntRange(1, 3).Draw(rt, "couriers"))
		plans := make([]plan, rapid.IntRange(1, 5).Draw(rt, "orders"))
		for i := range plans {
			plans[i].history = rapid.SampledFrom(histories).Draw(rt, "history")
		}
		for range rapid.IntRange(10, 80).Draw(rt, "steps") {
			w.step(plans)
			w.invariantsHold()
		}
		w.complete(plans)
		w.check(plans)
	})
}

// step does something that can happen next.
func (w *world) step(plans []plan) {
	switch rapid.SampledFrom([]string{"advance", "advance", "deliver", "deliver", "deliver", "finish", "finish", "recheck", "resync", "match", "match"}).Draw(w.T, "step") {
	case "advance":
		w.advance(rapid.IntRange(0, len(plans)-1).Draw(w.T, "order"), plans)
	case "deliver":
		w.start(w.take(rapid.IntRange(1, 8).Draw(w.T, "events")), w.drawFailing(plans))
	case "finish":
		if n := len(w.running); n > 0 {
			i := rapid.IntRange(0, n-1).Draw(w.T, "batch")
			f := w.running[i]
			w.running = append(w.running[:i], w.running[i+1:]...)
			w.finish(f)
		}
	case "recheck":
		w.start(w.claimDue(rapid.IntRange(1, 3).Draw(w.T, "rechecks")), w.drawFailing(plans))
	case "resync":
		w.start(w.resyncHints(plans), w.drawFailing(plans))
	case "match":
		w.match()
	}
}

// resyncHints returns the hints of a resync: orders that have a row, and orders that
// service-order lists.
func (w *world) resyncHints(plans []plan) []orderevent.Hint {
	var hints []orderevent.Hint
	for i := range plans {
		if _, listed := w.orders.get(orderID(i)); listed || w.stateOf(orderID(i)) != "" {
			hints = append(hints, orderevent.Hint{OrderID: orderID(i), Resync: true, Source: "resync"})
		}
	}
	return hints
}

// advance changes an order in service-order and publishes the event up to three times.
func (w *world) advance(i int, plans []plan) {
	p := &plans[i]
	if p.next == len(p.history) {
		return
	}
	status := p.history[p.next]
	p.next++
	w.orders.set(orderID(i), status)
	for range rapid.IntRange(1, 3).Draw(w.T, "copies") {
		q := rapid.IntRange(0, len(w.queues)-1).Draw(w.T, "partition")
		hint := orderevent.Hint{OrderID: orderID(i), EventClass: courier.ClassOf(status), Source: fmt.Sprintf("%d@%d", q, p.next)}
		at := rapid.IntRange(0, len(w.queues[q])).Draw(w.T, "place")
		w.queues[q] = append(w.queues[q][:at], append([]orderevent.Hint{hint}, w.queues[q][at:]...)...)
	}
}

// take removes up to n events from a partition.
func (w *world) take(n int) []orderevent.Hint {
	q := rapid.IntRange(0, len(w.queues)-1).Draw(w.T, "from")
	n = min(n, len(w.queues[q]))
	taken := append([]orderevent.Hint(nil), w.queues[q][:n]...)
	w.queues[q] = w.queues[q][n:]
	return taken
}

func (w *world) drawFailing(plans []plan) map[courier.OrderID]bool {
	failing := make(map[courier.OrderID]bool)
	for i := range plans {
		failing[orderID(i)] = rapid.IntRange(0, 5).Draw(w.T, "failing") == 0
	}
	return failing
}

// complete runs every history to its end, delivers every event, and rechecks until
// nothing is scheduled.
func (w *world) complete(plans []plan) {
	for i := range plans {
		for plans[i].next < len(plans[i].history) {
			w.advance(i, plans)
		}
	}
	for q := range w.queues {
		w.start(w.queues[q], nil)
		w.queues[q] = nil
	}
	w.finishAll()
	const enough = 20 // far more than the bounded rechecks
	for range enough {
		hints := w.claimDue(100)
		if len(hints) == 0 {
			break
		}
		w.start(hints, nil)
		w.finishAll()
	}
	w.match()
}

// check compares the database with service-order.
func (w *world) check(plans []plan) {
	w.invariantsHold()
	if n := w.count("SELECT count(*) FROM orders WHERE recheck_at IS NOT NULL"); n != 0 {
		w.Errorf("%d orders still have a recheck", n)
	}
	waiting, available := w.count("SELECT count(*) FROM orders WHERE state = 'waiting'"), w.count("SELECT count(*) FROM couriers WHERE status = 'available'")
	if waiting > 0 && available > 0 {
		w.Errorf("%d orders wait beside %d available couriers", waiting, available)
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
