package postgres_test

import (
	"fmt"
	"strconv"
	"testing"
	"time"

	"service-courier/internal/courier"
	"service-courier/internal/dev/citest"
	"service-courier/internal/usecase/orderevent"
)

// TestPartialIndexesStaySmall: beside a long history, orders arrive, are rechecked,
// assigned and completed, and are vacuumed as autovacuum does. The indexes of active
// rows do not grow with the orders that passed through them. It fails without
// vacuum_index_cleanup: a vacuum that finds few dead rows leaves the indexes as they
// are.
func TestPartialIndexesStaySmall(t *testing.T) {
	citest.Only(t, "it lives through 5,000 orders")
	// Not in parallel: a transaction in any database keeps emptied pages from being reused.
	const settled, orders, rounds = 150_000, 400, 12
	f := newFixture(t)
	f.couriers(orders)
	f.exec(`INSERT INTO orders (order_id, state) SELECT 'old-' || i, 'completed' FROM generate_series(1, $1::int) i`, settled)
	f.exec(`INSERT INTO courier_orders (order_id, courier_id, assigned_at, deadline, completed_at)
		SELECT 'old-' || i, 1, now() - interval '1 hour', now(), now() FROM generate_series(1, $1::int) i`, settled)
	const open = `SELECT sum(pg_relation_size(i)) FROM unnest(
		'{couriers_free,orders_waiting_queue,orders_active,orders_due,courier_orders_one_open,courier_orders_overdue}'::regclass[]) i`
	size := func() int {
		n, err := strconv.Atoi(f.one(open))
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	var first int
	for round := range rounds {
		f.liveThrough(round, orders)
		if round == 0 {
			first = size()
		}
		for _, table := range []string{"orders", "courier_orders", "couriers"} {
			f.exec("VACUUM " + table)
		}
	}
	if last := size(); 2*last > 3*first {
		t.Errorf("the indexes of what is open have %d KiB after %d rounds, after one they had %d", last>>10, rounds, first>>10)
	}
}

// liveThrough takes n new orders from the first hint to completion.
func (f fixture) liveThrough(round, n int) {
	f.Helper()
	for _, step := range []orderevent.Order{
		{State: courier.StateSeen, Recheck: orderevent.Recheck{Reason: orderevent.ReasonMissing, Count: 1, In: time.Second}},
		{State: courier.StateWaiting},
		{State: courier.StateCompleted},
	} {
		records := make([]orderevent.Order, n)
		for i := range records {
			records[i] = step
			records[i].OrderID = courier.OrderID(fmt.Sprintf("%08x-%d", uint32(i*2_654_435_761), round)) // any order of ids
		}
		f.save(records...)
		if assigned := len(f.match(n)); step.State == courier.StateWaiting && assigned != n {
			f.Fatalf("%d of %d orders were assigned", assigned, n)
		}
	}
}
