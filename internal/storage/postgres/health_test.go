package postgres_test

import (
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
	if line, err := h.Line(t.Context()); err != nil || line != (postgres.LineState{}) {
		t.Errorf("Line = %+v, %v", line, err)
	}
	if pending, due, err := h.Looks(t.Context()); err != nil || pending != 0 || due != (postgres.Backlog{}) {
		t.Errorf("Looks = %d, %+v, %v", pending, due, err)
	}
	if s, err := h.Standing(t.Context()); err != nil || s != (orderevent.Standing{}) {
		t.Errorf("Standing = %+v, %v", s, err)
	}
	if b, err := h.DeadLetters(t.Context()); err != nil || b != (postgres.Backlog{}) {
		t.Errorf("DeadLetters = %+v, %v", b, err)
	}
}

func TestHealthCounts(t *testing.T) {
	f := newFixture(t)
	h := postgres.NewHealth(f.pool)
	f.couriers(3)
	f.exec("UPDATE couriers SET status = 'paused' WHERE id = 1")
	f.save(to("first", courier.StateWaiting))
	if s, err := h.Standing(t.Context()); s.Open != 0 || s.Waiting != 1 || err != nil {
		t.Errorf("with nothing missing, Standing = %+v, %v", s, err)
	}
	f.save(to("first", courier.StateCompleted))
	look := orderevent.Look{Reason: orderevent.ReasonUnavailable, Failures: 4, Error: "refused", In: time.Hour}
	f.save(
		to("line", courier.StateWaiting), orderevent.Record{OrderID: "missing", State: courier.StateWaiting, Missing: true},
		orderevent.Record{OrderID: "failing", State: courier.StateSeen, Look: look},
		orderevent.Record{OrderID: "late", State: courier.StateSeen, Look: orderevent.Look{Reason: orderevent.ReasonMissing, Count: 1, In: time.Hour}},
	)
	f.exec("UPDATE orders SET created_at = now() - interval '3 days', missing_since = missing_since - interval '2 hours'")
	f.exec("UPDATE orders SET look_due_at = now() - interval '1 minute' WHERE order_id = 'late'")
	f.die(letterAt(1), letterAt(2))
	f.exec("UPDATE dead_letters SET status = 'dropped', handled_at = now() WHERE id = 1")

	line, err := h.Line(t.Context())
	if line.Waiting.Count != 2 || line.Waiting.Oldest.Round(time.Hour) != 72*time.Hour || line.Couriers != 3 || line.Free != 2 || err != nil {
		t.Errorf("Line = %+v, %v", line, err)
	}
	standing, err := h.Standing(t.Context())
	standing.MissingOldest, standing.WaitingOldest = standing.MissingOldest.Round(time.Minute), standing.WaitingOldest.Round(time.Hour)
	want := orderevent.Standing{Open: 2, Missing: 1, MissingOldest: 2 * time.Hour, Waiting: 1, WaitingOldest: 72 * time.Hour}
	if standing != want || err != nil {
		t.Errorf("Standing = %+v, %v; want %+v", standing, err, want)
	}
	if b, err := h.DeadLetters(t.Context()); b.Count != 1 || b.Oldest <= 0 || err != nil {
		t.Errorf("DeadLetters = %+v, %v", b, err)
	}
	if pending, due, err := h.Looks(t.Context()); pending != 2 || due.Count != 1 || due.Oldest.Round(time.Second) != time.Minute || err != nil {
		t.Errorf("Looks = %d, %+v, %v", pending, due, err)
	}
	worst, err := h.WorstLooks(t.Context(), 1)
	if err != nil || len(worst) != 1 || worst[0].In <= 0 {
		t.Fatalf("WorstLooks = %+v, %v", worst, err)
	}
	worst[0].In = 0
	wantWorst := postgres.PendingLook{OrderID: "failing", State: courier.StateSeen, Reason: orderevent.ReasonUnavailable, Attempts: 4, Error: "refused"}
	if diff := cmp.Diff(wantWorst, worst[0]); diff != "" {
		t.Error(diff)
	}
}
