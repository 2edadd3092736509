package postgres_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"service-courier/internal/courier"
	"service-courier/internal/storage/postgres"
	"service-courier/internal/usecase/orderevent"
)

func TestHealthOfAnEmptyDatabase(t *testing.T) {
	f := newFixture(t)
	h := postgres.NewHealth(f.pool)
	number, name, now, err := h.Server(t.Context())
	if err != nil || number < 150000 || name == "" || time.Since(now).Abs() > time.Minute {
		t.Errorf("Server = %d, %q, %v, %v", number, name, now, err)
	}
	if queue, err := h.Queue(t.Context()); err != nil || queue != (postgres.QueueState{}) {
		t.Errorf("Queue = %+v, %v", queue, err)
	}
	if pending, due, err := h.Rechecks(t.Context()); err != nil || pending != 0 || due != (postgres.Backlog{}) {
		t.Errorf("Rechecks = %d, %+v, %v", pending, due, err)
	}
	if s, err := h.ActiveOrders(t.Context()); err != nil || s != (orderevent.ActiveOrders{}) {
		t.Errorf("ActiveOrders = %+v, %v", s, err)
	}
	if b, err := h.DeadLetters(t.Context()); err != nil || b != (postgres.Backlog{}) {
		t.Errorf("DeadLetters = %+v, %v", b, err)
	}
}

func TestHealthCounts(t *testing.T) {
	f := newFixture(t)
	h := postgres.NewHealth(f.pool)
	f.couriers(4)
	f.exec("UPDATE couriers SET status = 'paused' WHERE id IN (1, 4)")
	f.exec("UPDATE couriers SET deleted_at = now() WHERE id = 4") // counts nowhere
	f.save(to("first", courier.StateWaiting))
	if s, err := h.ActiveOrders(t.Context()); s.Active != 0 || s.Waiting != 1 || err != nil {
		t.Errorf("with nothing missing, ActiveOrders = %+v, %v", s, err)
	}
	f.save(to("first", courier.StateCompleted))
	recheck := orderevent.Recheck{Reason: orderevent.ReasonUnavailable, Failures: 4, Error: "refused", In: time.Hour}
	f.save(
		to("waiting", courier.StateWaiting), orderevent.Order{OrderID: "missing", State: courier.StateWaiting, Missing: true},
		orderevent.Order{OrderID: "failing", State: courier.StateSeen, Recheck: recheck},
		orderevent.Order{OrderID: "due", State: courier.StateSeen, Recheck: orderevent.Recheck{Reason: orderevent.ReasonMissing, Count: 1, In: time.Hour}},
	)
	f.exec("UPDATE orders SET created_at = now() - interval '3 days', missing_since = missing_since - interval '2 hours'")
	f.exec("UPDATE orders SET recheck_at = now() - interval '1 minute' WHERE order_id = 'due'")
	f.save(to("held", courier.StateWaiting))
	f.save(to("held", courier.StateHeld))
	f.saveDeadLetters(deadLetterAt(1), deadLetterAt(2))
	f.exec("UPDATE dead_letters SET status = 'discarded', handled_at = now() WHERE id = 1")

	queue, err := h.Queue(t.Context())
	if queue.Waiting.Count != 2 || queue.Waiting.Oldest.Round(time.Hour) != 72*time.Hour || queue.Held != 1 || queue.Couriers != 3 || queue.Available != 2 || err != nil {
		t.Errorf("Queue = %+v, %v", queue, err)
	}
	activeOrders, err := h.ActiveOrders(t.Context())
	activeOrders.MissingOldest, activeOrders.WaitingOldest = activeOrders.MissingOldest.Round(time.Minute), activeOrders.WaitingOldest.Round(time.Hour)
	want := orderevent.ActiveOrders{Active: 3, Missing: 1, MissingOldest: 2 * time.Hour, Waiting: 2, WaitingOldest: 72 * time.Hour}
	if activeOrders != want || err != nil {
		t.Errorf("ActiveOrders = %+v, %v; want %+v", activeOrders, err, want)
	}
	if b, err := h.DeadLetters(t.Context()); b.Count != 1 || b.Oldest <= 0 || err != nil {
		t.Errorf("DeadLetters = %+v, %v", b, err)
	}
	if pending, due, err := h.Rechecks(t.Context()); pending != 2 || due.Count != 1 || due.Oldest.Round(time.Second) != time.Minute || err != nil {
		t.Errorf("Rechecks = %d, %+v, %v", pending, due, err)
	}
	worst, err := h.WorstRechecks(t.Context(), 1)
	if err != nil || len(worst) != 1 || worst[0].In <= 0 {
		t.Fatalf("WorstRechecks = %+v, %v", worst, err)
	}
	worst[0].In = 0
	wantWorst := postgres.PendingRecheck{OrderID: "failing", State: courier.StateSeen, Reason: orderevent.ReasonUnavailable, Attempts: 4, Error: "refused"}
	if diff := cmp.Diff(wantWorst, worst[0]); diff != "" {
		t.Error(diff)
	}
}

// TestStateLostOutlastsNewOrders: the orders that were missing when most were are counted
// until they are found or have ended, however many new ones there are, and only they.
func TestStateLostOutlastsNewOrders(t *testing.T) {
	f := newFixture(t)
	h := postgres.NewHealth(f.pool)
	lost := func(want int) {
		t.Helper()
		if s, err := h.ActiveOrders(t.Context()); err != nil || s.Lost != want || s.StateLost() != (want > 0 || s.MostMissing()) {
			t.Errorf("ActiveOrders = %+v, %v; want %d lost", s, err, want)
		}
	}
	many := func(prefix string, n int, missing bool) {
		for i := range n {
			f.save(orderevent.Order{OrderID: courier.OrderID(fmt.Sprint(prefix, i)), State: courier.StateWaiting, Missing: missing})
		}
	}
	many("old-", 8, true)
	lost(0)
	for range 2 {
		if err := h.RecordStateLost(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	many("new-", 12, false)
	many("later-", 1, true)
	lost(8)
	f.save(to("old-0", courier.StateWaiting), to("old-1", courier.StateCompleted), to("old-2", courier.StateCancelled))
	lost(5)
	f.exec("UPDATE orders SET missing_since = NULL WHERE order_id LIKE 'old-%'")
	lost(0)
}

func TestGaugesCount(t *testing.T) {
	f := newFixture(t)
	f.couriers(4)
	f.exec("UPDATE couriers SET status = 'paused', deleted_at = now() WHERE id = 4") // counts nowhere
	f.save(to("a", courier.StateWaiting), to("b", courier.StateWaiting), to("h", courier.StateWaiting))
	f.save(to("h", courier.StateHeld))
	f.match(1)
	f.exec("UPDATE courier_orders SET assigned_at = now() - interval '1 hour', deadline = now() - interval '1 minute'")
	f.exec("UPDATE orders SET recheck_at = now() - interval '1 second', recheck_reason = 'missing', recheck_token = 1 WHERE order_id = 'h'")
	f.exec("INSERT INTO dead_letters (topic, partition, \"offset\", produced_at, reason, created_at) VALUES ('t', 0, 1, now(), 'not_json', now() - interval '1 minute')")
	g, err := postgres.NewHealth(f.pool).Gauges(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if g.OldestDeadLetter.Seconds() < 60 {
		t.Errorf("oldest dead letter: %v", g.OldestDeadLetter)
	}
	g.OldestDeadLetter = 0
	want := postgres.Gauges{Available: 2, Busy: 1, Held: 1, Overdue: 1, Missing: 1, RechecksDue: 1, DeadLettersPending: 1}
	if g != want {
		t.Errorf("gauges %+v, want %+v", g, want)
	}
}
