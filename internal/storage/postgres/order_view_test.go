package postgres_test

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"service-courier/internal/courier"
	"service-courier/internal/storage/postgres"
	"service-courier/internal/usecase/orderevent"
	"service-courier/internal/usecase/orders"
	"service-courier/internal/usecase/records"
)

// fillLists inserts five orders of each kind; each list begins with number 1.
func (f fixture) fillLists() {
	f.Helper()
	f.couriers(10)
	for _, sql := range []string{
		`INSERT INTO orders (order_id, state, queue_position) SELECT 'waiting-' || i, 'waiting', 10 * i FROM generate_series(1, 5) i`,
		`INSERT INTO orders (order_id, state, queue_position, missing_since) SELECT 'missing-' || i, 'waiting', CASE i WHEN 1 THEN 35 ELSE 100 + i END, now() - interval '1 h' + i * interval '1 s' FROM generate_series(1, 5) i`,
		`INSERT INTO orders (order_id, state) SELECT 'assigned-' || i, 'assigned' FROM generate_series(1, 5) i`,
		`INSERT INTO orders (order_id, state) SELECT 'overdue-' || i, 'assigned' FROM generate_series(1, 5) i`,
		`INSERT INTO courier_orders (order_id, courier_id, deadline) SELECT 'assigned-' || i, i, now() + i * interval '1 min' FROM generate_series(1, 5) i`,
		`INSERT INTO courier_orders (order_id, courier_id, assigned_at, deadline)
			SELECT 'overdue-' || i, 5 + i, now() - interval '1 h', now() - interval '1 h' + i * interval '1 min' FROM generate_series(1, 5) i`,
		`INSERT INTO orders (order_id, state, recheck_at, recheck_reason, recheck_token, recheck_count, recheck_error)
			SELECT 'pending_recheck-' || i, 'seen', now() + i * interval '1 s', 'missing', i, 2, 'not found' FROM generate_series(1, 5) i`,
		`INSERT INTO orders (order_id, state, held_reason, updated_at) SELECT 'held-' || i, 'held', 'ill', now() - interval '1 h' + i * interval '1 s' FROM generate_series(1, 5) i`,
		// All of one batch have the same time.
		`INSERT INTO orders (order_id, state, updated_at) SELECT 'completed-' || i, 'completed', now() - i / 3 * interval '1 s' FROM generate_series(1, 5) i`,
		`INSERT INTO orders (order_id, state, updated_at) SELECT 'cancelled-' || i, 'cancelled', now() - i * interval '1 s' FROM generate_series(1, 5) i`,
	} {
		f.exec(sql)
	}
}

// pages reads a whole list, two orders at a time.
func (f fixture) pages(list orders.List) (ids []string) {
	f.Helper()
	views := postgres.NewOrderViews(f.pool)
	var after orders.PageKey
	for {
		page, err := views.Page(f.Context(), list, after, 2)
		if err != nil {
			f.Fatalf("%s: %v", list, err)
		}
		for _, o := range page {
			ids = append(ids, string(o.OrderID))
			after = o.PageKey
		}
		if len(page) < 2 {
			return ids
		}
	}
}

func TestListsOfOrders(t *testing.T) {
	f := newFixture(t)
	f.fillLists()
	numbered := func(name string, numbers ...int) (ids []string) {
		for _, n := range numbers {
			ids = append(ids, fmt.Sprintf("%s-%d", name, n))
		}
		return ids
	}
	up := []int{1, 2, 3, 4, 5}
	want := map[orders.List][]string{
		orders.Waiting:    append(numbered("waiting", 1, 2, 3), "missing-1", "waiting-4", "waiting-5", "missing-2", "missing-3", "missing-4", "missing-5"),
		"missing_waiting": numbered("missing", up...), "missing_assigned": nil, orders.Missing: numbered("missing", up...), orders.Overdue: numbered("overdue", up...),
		orders.PendingRecheck: numbered("pending_recheck", up...), orders.Held: numbered("held", up...), orders.Cancelled: numbered("cancelled", up...),
		orders.Assigned:  append(numbered("overdue", up...), numbered("assigned", up...)...),
		orders.Completed: numbered("completed", 2, 1, 5, 4, 3),
		orders.Active: slices.Concat(numbered("overdue", up...), numbered("held", up...), numbered("waiting", 1, 2, 3), numbered("missing", 1),
			numbered("waiting", 4, 5), numbered("missing", 2, 3, 4, 5), numbered("assigned", up...)),
	}
	for list, ids := range want {
		if diff := cmp.Diff(ids, f.pages(list)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", list, diff)
		}
	}
	if all := f.pages(orders.All); len(all) != 40 || all[0] != "assigned-1" || all[39] != "waiting-5" {
		t.Errorf("all: %v", all)
	}
	for key, list := range map[string]orders.List{"yesterday-ish": orders.Held, "x": orders.Active, "2 x": orders.Active, "3 x": orders.Active} {
		_, err := postgres.NewOrderViews(f.pool).Page(t.Context(), list, orders.PageKey{Key: key}, 1)
		if !errors.Is(err, orders.ErrBadPageKey) {
			t.Errorf("%s, key %q: %v", list, key, err)
		}
	}
}

// TestOrderAndItsTimeline takes an order to its end: the row has the current state, the
// timeline its history.
func TestOrderAndItsTimeline(t *testing.T) {
	f := newFixture(t)
	f.couriers(1)
	views := postgres.NewOrderViews(f.pool)
	if _, err := views.Get(t.Context(), "a"); !errors.Is(err, courier.ErrOrderUnknown) {
		t.Errorf("err = %v, want ErrOrderUnknown", err)
	}
	created := time.Unix(1700000000, 0)
	f.save(orderevent.Order{
		OrderID: "a", State: courier.StateWaiting, CreatedAt: created, Missing: true,
		Recheck: orderevent.Recheck{Reason: orderevent.ReasonMissing, Count: 1, Failures: 2, Error: "why", In: time.Hour},
	})
	o, err := views.Get(t.Context(), "a")
	if err != nil || o.State != courier.StateWaiting || !o.OrderCreatedAt.Equal(created) || o.MissingSince.IsZero() || o.Delivery.CourierID != 0 ||
		o.Recheck.Attempts != 3 || o.Recheck.Error != "why" || o.Recheck.Reason != orderevent.ReasonMissing || time.Until(o.Recheck.At) < time.Minute {
		t.Errorf("%+v, %v", o, err)
	}
	f.save(to("a", courier.StateWaiting)) // there again
	assigned := f.match(1)[0]
	f.exec("UPDATE courier_orders SET assigned_at = assigned_at - interval '1 h', deadline = deadline - interval '1 h'")
	if o, err = views.Get(t.Context(), "a"); err != nil || !o.Delivery.Overdue || !o.Delivery.WaitingSince.Equal(o.CreatedAt) || o.Delivery.CourierID != 1 || o.Delivery.CourierName != "c1" {
		t.Errorf("%+v, %v", o, err)
	}
	f.save(to("a", courier.StateCompleted))
	if o, err = views.Get(t.Context(), "a"); err != nil || !o.Delivery.Overdue || o.Delivery.CompletedAt.IsZero() || o.State != courier.StateCompleted {
		t.Errorf("%+v, %v", o, err)
	}
	events, err := views.Timeline(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, e := range events {
		lines = append(lines, fmt.Sprintf("%s by %s, courier %d %q, deadline %t", e.State, e.Source, e.CourierID, e.Courier, e.Deadline.Equal(assigned.Deadline)))
	}
	want := `waiting by 0@1, courier 0 "", deadline false
assigned by match, courier 1 "c1", deadline true
completed by 0@1, courier 1 "c1", deadline false`
	if got := strings.Join(lines, "\n"); got != want {
		t.Errorf("timeline:\n%s\nwant\n%s", got, want)
	}
}

// TestTimelinesOfOneNumber: after a restore without sequences two orders may have one number.
func TestTimelinesOfOneNumber(t *testing.T) {
	f := newFixture(t)
	f.save(to("a", courier.StateWaiting))
	f.exec("SELECT setval('orders_number_seq', 1, false)")
	f.save(to("b", courier.StateWaiting))
	f.save(to("b", courier.StateCompleted))
	f.expect("1", "SELECT count(DISTINCT number) FROM orders")
	for id, want := range map[courier.OrderID]string{"a": "waiting", "b": "waiting completed"} {
		entries, err := postgres.NewOrderViews(f.pool).Timeline(t.Context(), id)
		var got []string
		for _, e := range entries {
			got = append(got, string(e.State))
		}
		if strings.Join(got, " ") != want || err != nil {
			t.Errorf("timeline of %s: %v, %v; want %s", id, got, err, want)
		}
		fates, err := postgres.NewRecords(f.pool, "topic").Fates(t.Context(), []records.Record{{Partition: 0, Offset: 1}}, []courier.OrderID{id})
		if err != nil || len(fates) != 1 || !strings.HasSuffix(want, string(fates[0].Applied)) || fates[0].Applied == "" {
			t.Errorf("what became of the record of %s: %+v, %v", id, fates, err)
		}
	}
}

// TestLongTimeline: of a timeline that is too long the latest entries are returned.
func TestLongTimeline(t *testing.T) {
	f := newFixture(t)
	f.save(to("a", courier.StateWaiting))
	f.exec("INSERT INTO journal (order_id, order_number, state, source) SELECT 'a', number, 'waiting', i::text FROM orders, generate_series(2, 1001) i")
	events, err := postgres.NewOrderViews(f.pool).Timeline(t.Context(), "a")
	if err != nil || len(events) != 1000 {
		t.Fatalf("%d events, %v", len(events), err)
	}
	for i, e := range events {
		if want := strconv.Itoa(i + 2); e.Source != want {
			t.Fatalf("event %d is by %s, want %s", i, e.Source, want)
		}
	}
}
