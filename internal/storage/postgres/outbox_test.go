package postgres_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"service-courier/internal/courier"
	"service-courier/internal/storage/postgres"
	"service-courier/internal/usecase/livefeed"
	"service-courier/internal/usecase/outbox"
)

func TestPositionOfTheOutbox(t *testing.T) {
	f := newFixture(t)
	o := postgres.NewOutbox(f.pool)
	expect := func(id int64, begun bool) {
		t.Helper()
		if got, ok, err := o.Position(t.Context()); got != id || ok != begun || err != nil {
			t.Errorf("position %d, %t, %v; want %d, %t", got, ok, err, id, begun)
		}
	}
	expect(0, false)
	for _, id := range []int64{7, 9} { // the first one counts
		if err := o.Begin(t.Context(), livefeed.Cursor{ID: id}); err != nil {
			t.Fatal(err)
		}
		expect(7, true)
	}
	if err := o.Advance(t.Context(), 7, 12); err != nil {
		t.Fatal(err)
	}
	if err := o.Advance(t.Context(), 7, 11); !errors.Is(err, outbox.ErrMoved) {
		t.Errorf("Advance from an old position: %v, want ErrMoved", err)
	}
	expect(12, true)
}

// TestRetentionWaitsForTheOutbox: what is not published is not removed, while the outbox
// is on.
func TestRetentionWaitsForTheOutbox(t *testing.T) {
	f := newFixture(t)
	f.save(to("published", courier.StateCompleted))
	f.save(to("pending", courier.StateCompleted))
	f.exec("UPDATE journal SET at = now() - interval '3 days'")
	remove := func(outboxOn bool, want int) {
		t.Helper()
		rows, orders, err := postgres.NewRetention(f.pool, outboxOn).Remove(t.Context(), 48*time.Hour, 100)
		if err != nil || rows != want || orders != want {
			t.Fatalf("removed %d rows and %d orders, %v; want %d", rows, orders, err, want)
		}
	}
	remove(true, 0) // it has not begun
	if err := postgres.NewOutbox(f.pool).Begin(t.Context(), livefeed.Cursor{ID: 1}); err != nil {
		t.Fatal(err)
	}
	remove(true, 1)
	f.expect("pending", "SELECT order_id FROM orders")
	remove(true, 0)
	remove(false, 1)
}

// TestJournalHasTheStateBefore, and the deadline of an assignment also after its end.
func TestJournalHasTheStateBefore(t *testing.T) {
	f := newFixture(t)
	f.couriers(1)
	r := f.reader()
	f.exec("INSERT INTO orders (order_id, state, recheck_at, recheck_reason, recheck_token) VALUES ('a', 'seen', now(), 'missing', 1)")
	f.save(to("a", courier.StateWaiting))
	f.match(1)
	f.save(to("a", courier.StateHeld))
	if _, err := f.assign("a", 1); err != nil {
		t.Fatal(err)
	}
	f.save(to("a", courier.StateCompleted))
	f.save(to("a", courier.StateCancelled), to("b", courier.StateWaiting))
	var got []courier.State
	var deadlines int
	if err := r.Read(t.Context(), 0, func(c livefeed.Change) {
		got = append(got, c.From)
		if !c.FirstDeadline.IsZero() {
			deadlines++
		}
	}); err != nil {
		t.Fatal(err)
	}
	if want := []courier.State{"seen", "waiting", "assigned", "held", "assigned", "", "completed"}; !slices.Equal(got, want) {
		t.Errorf("states before %q, want %q", got, want)
	}
	if deadlines != 2 {
		t.Errorf("%d changes have a deadline, want the two assignments", deadlines)
	}
}

// TestOutboxPublishesSinceATime: it finds the first transition of that time, also one that
// is committed meanwhile, and does not leave out what is not published yet.
func TestOutboxPublishesSinceATime(t *testing.T) {
	f := newFixture(t)
	o, journal := postgres.NewOutbox(f.pool), postgres.NewJournal(f.pool)
	noon := time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)
	for i, order := range []courier.OrderID{"a", "b", "c", "d"} {
		f.save(to(order, courier.StateWaiting))
		f.exec("UPDATE journal SET at = $1 WHERE order_id = $2", noon.Add(time.Duration(i)*time.Hour), order)
	}
	since := func(at time.Time, skip bool, want int64, wantErr error) {
		t.Helper()
		err := outbox.PublishSince(t.Context(), journal, o, o, at, skip)
		id, _, positionErr := o.Position(t.Context())
		if !errors.Is(err, wantErr) || positionErr != nil || id != want {
			t.Errorf("since %v: position %d, %v, %v; want %d, %v", at, id, err, positionErr, want, wantErr)
		}
	}
	if lag, err := o.Lag(t.Context()); err != nil || lag.Pending != 0 || !lag.OldestAt.IsZero() {
		t.Errorf("before it has run: %+v, %v", lag, err)
	}
	since(noon.Add(2*time.Hour), false, 2, nil)
	since(noon.Add(time.Hour+time.Second), false, 2, nil)
	since(noon.Add(time.Hour), false, 1, nil)
	since(noon.Add(-time.Hour), false, 0, nil)
	if lag, err := o.Lag(t.Context()); err != nil || lag.Pending != 4 || !lag.OldestAt.Equal(noon) {
		t.Errorf("lag %+v, %v", lag, err)
	}
	since(noon.Add(time.Hour), false, 0, outbox.ErrSkips)
	since(noon.Add(time.Hour), true, 1, nil)
	since(noon.Add(time.Hour*24*365), true, 4, nil)

	late := f.holding("INSERT INTO journal (order_id, state, source, at) VALUES ('late', 'waiting', '', $1)", noon.Add(30*time.Minute))
	done := make(chan error, 1)
	go func() { done <- outbox.PublishSince(t.Context(), journal, o, o, noon.Add(20*time.Minute), true) }()
	f.save(to("e", courier.StateWaiting))
	if err := late.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if id, _, _ := o.Position(t.Context()); id != 1 {
		t.Errorf("position %d, want 1", id)
	}
}

// collect is a broker that keeps events.
type collect struct{ events []outbox.Event }

func (c *collect) Publish(_ context.Context, events []outbox.Event) error {
	c.events = append(c.events, events...)
	return nil
}

// TestTransitionsHaveWhatAnEventHas: the outbox reads less of the journal than the live
// feed, and the events are the same.
func TestTransitionsHaveWhatAnEventHas(t *testing.T) {
	f := newFixture(t)
	f.couriers(1)
	f.save(to("a", courier.StateWaiting), to("b", courier.StateWaiting), to("c", courier.StateCancelled))
	f.match(1)
	if _, err := f.change(1, func(c *courier.Courier) { c.Name = "Anna" }); err != nil {
		t.Fatal(err)
	}
	f.save(to("a", courier.StateHeld))
	if _, err := f.assign("a", 1); err != nil {
		t.Fatal(err)
	}
	f.save(to("a", courier.StateCompleted))
	o := postgres.NewOutbox(f.pool)
	if err := o.Begin(t.Context(), livefeed.Cursor{}); err != nil {
		t.Fatal(err)
	}
	var got [2][]outbox.Event
	for i, journal := range []livefeed.Journal{postgres.NewJournal(f.pool), postgres.NewTransitions(f.pool)} {
		f.exec("UPDATE outbox SET published_id = 0")
		to := &collect{}
		if err := outbox.New(journal, o, to).Publish(t.Context()); err != nil {
			t.Fatal(err)
		}
		got[i] = to.events
	}
	if diff := cmp.Diff(got[0], got[1]); diff != "" || len(got[0]) != 7 {
		t.Errorf("%d events, want 7; as the live feed reads them (-) and the outbox (+):\n%s", len(got[0]), diff)
	}
}

// TestLagHasNoChangesOfCouriers: they are not published.
func TestLagHasNoChangesOfCouriers(t *testing.T) {
	f := newFixture(t)
	o := postgres.NewOutbox(f.pool)
	if err := o.Begin(t.Context(), livefeed.Cursor{}); err != nil {
		t.Fatal(err)
	}
	expect := func(want int64) {
		t.Helper()
		if lag, err := o.Lag(t.Context()); err != nil || lag.Pending != want || lag.OldestAt.IsZero() != (want == 0) {
			t.Errorf("lag %+v, %v; want %d", lag, err, want)
		}
	}
	if _, err := postgres.NewCouriers(f.pool).Insert(t.Context(), boris); err != nil {
		t.Fatal(err)
	}
	f.expect("1", "SELECT count(*) FROM journal")
	expect(0)
	f.save(to("a", courier.StateWaiting))
	expect(1)
}
