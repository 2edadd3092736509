package postgres_test

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"

	"service-courier/internal/courier"
	"service-courier/internal/storage/postgres"
	"service-courier/internal/usecase/orderevent"
)

func assigned(as []orderevent.Assignment) []string {
	var out []string
	for _, a := range as {
		out = append(out, fmt.Sprintf("%s:%d", a.OrderID, a.CourierID))
	}
	slices.Sort(out)
	return out
}

func (f fixture) expectMatch(limit int, want ...string) {
	f.Helper()
	if got := assigned(f.match(limit)); !slices.Equal(got, want) {
		f.Errorf("match = %v, want %v", got, want)
	}
}

func TestMatchTakesFewestDeliveriesThenFreeLongest(t *testing.T) {
	f := newFixture(t)
	f.exec(`INSERT INTO couriers (id, name, phone, deliveries, free_since, status) VALUES
		(1, 'many',   '1', 0, now() - interval '9 h', 'available'),
		(2, 'late',   '2', 0, now() - interval '1 h', 'available'),
		(3, 'early',  '3', 0, now() - interval '2 h', 'available'),
		(4, 'paused', '4', 0, now() - interval '9 h', 'paused')`)
	f.exec(`INSERT INTO courier_orders (order_id, courier_id, deadline, completed_at) VALUES ('old', 1, now(), now())`)
	f.exec(`UPDATE couriers SET deliveries = 1 WHERE id = 1`)
	f.exec(`INSERT INTO orders (order_id, state) VALUES ('old', 'completed')`)
	f.save(to("b", courier.StateWaiting), to("a", courier.StateWaiting), to("c", courier.StateWaiting), to("d", courier.StateWaiting))
	f.expectMatch(1, "b:3")
	f.expectMatch(10, "a:2", "c:1")
	f.expectMatch(10)
	f.expect("waiting", "SELECT state FROM orders WHERE order_id = 'd'")
	f.expectNoViolations()
}

func TestMatchLeavesMissingAndHeldAlone(t *testing.T) {
	f := newFixture(t)
	f.couriers(3)
	f.save(
		orderevent.Order{OrderID: "missing", State: courier.StateWaiting, Missing: true},
		to("waiting", courier.StateWaiting),
		to("seen-then-held", courier.StateWaiting),
	)
	f.exec("UPDATE orders SET state = 'held', held_reason = 'unassigned' WHERE order_id = 'seen-then-held'")
	f.expectMatch(10, "waiting:1")
	f.save(to("missing", courier.StateWaiting)) // a GET said active
	f.expectMatch(10, "missing:2")
}

// TestBadRowDoesNotStopMatching: an inconsistent row at the head of the queue is
// skipped.
func TestBadRowDoesNotStopMatching(t *testing.T) {
	f := newFixture(t)
	f.couriers(2)
	f.save(to("bad", courier.StateWaiting), to("good", courier.StateWaiting))
	f.exec("INSERT INTO courier_orders (order_id, courier_id, deadline) VALUES ('bad', 1, now())")
	f.expectMatch(1, "good:2")
}

// TestBusyCourierOfWaitingOrderDoesNotStopMatching: an order that was set to waiting while
// its courier stayed busy is skipped.
func TestBusyCourierOfWaitingOrderDoesNotStopMatching(t *testing.T) {
	f := newFixture(t)
	f.couriers(2)
	f.save(to("bad", courier.StateWaiting), to("good", courier.StateWaiting))
	f.exec("UPDATE couriers SET status = 'busy', order_id = 'bad' WHERE id = 1")
	f.expectMatch(1, "good:2")
}

// TestSkippedOrderIsMatchedLater: matching does not wait for a locked order.
func TestSkippedOrderIsMatchedLater(t *testing.T) {
	f := newFixture(t)
	f.couriers(2)
	f.save(to("a", courier.StateWaiting), to("b", courier.StateWaiting))
	tx := f.holding("SELECT FROM orders WHERE order_id = 'a' FOR UPDATE")
	f.expectMatch(10, "b:1")
	if err := tx.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	f.expectMatch(10, "a:2")
}

// TestMatchSkipsLockedCourier fails without SKIP LOCKED of the couriers in match.sql.
func TestMatchSkipsLockedCourier(t *testing.T) {
	f := newFixture(t)
	f.couriers(2)
	f.save(to("a", courier.StateWaiting))
	f.holding("SELECT FROM couriers WHERE id = 1 FOR UPDATE")
	f.expectMatch(10, "a:2")
}

// TestMatchLocksNoMoreCouriersThanOrders: a dispatcher who assigns the only waiting
// order finds an available courier while matching runs. It fails when couriers are
// locked before the queue is, or more couriers than orders.
func TestMatchLocksNoMoreCouriersThanOrders(t *testing.T) {
	f := newFixture(t)
	f.couriers(3)
	f.save(to("a", courier.StateWaiting), to("b", courier.StateWaiting))
	f.holding("SELECT FROM orders WHERE order_id = 'a' FOR UPDATE")
	if err := postgres.MatchIn(t.Context(), f.begin(), 10); err != nil {
		t.Fatal(err)
	}
	f.expect("2", "SELECT count(*) FROM (SELECT FROM couriers WHERE status = 'available' FOR UPDATE SKIP LOCKED) free")
}

// TestReplicasMatchOneAfterAnother: a replica that waited for the matching of another
// one sees what was saved meanwhile.
func TestReplicasMatchOneAfterAnother(t *testing.T) {
	f := newFixture(t)
	f.couriers(2)
	f.save(to("a", courier.StateWaiting))
	other := f.otherReplicaMatches()
	matched := make(chan []orderevent.Assignment, 1)
	go func() {
		as, err := postgres.WithPatience(f.matching).Match(t.Context(), 10)
		if err != nil {
			t.Error(err)
		}
		matched <- as
	}()
	f.awaitLockWait(func() bool { return len(matched) > 0 })
	f.save(to("b", courier.StateWaiting))
	if err := other.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := assigned(<-matched); !slices.Equal(got, []string{"a:1", "b:2"}) {
		t.Errorf("match = %v", got)
	}
}

// TestHangingMatchDoesNotBlockOthers: a session that never ends its matching slows down
// the others, but does not stop them.
func TestHangingMatchDoesNotBlockOthers(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.couriers(1)
	f.save(to("a", courier.StateWaiting))
	f.otherReplicaMatches()
	f.expectMatch(10, "a:1")
}

// otherReplicaMatches holds the lock of another replica that matches, until the end of the transaction.
func (f fixture) otherReplicaMatches() pgx.Tx {
	f.Helper()
	return f.holding("SELECT pg_advisory_xact_lock($1)", postgres.MatchLock)
}

// TestMatchActsOnWhatWasInserted: another session inserts a delivery of an order after
// matching has read the queue and before it inserts its own. Matching must not set that
// order to assigned, nor its courier to busy: effects follow from RETURNING. With pairs
// instead of delivered it fails (tried).
func TestMatchActsOnWhatWasInserted(t *testing.T) {
	f := newFixture(t)
	f.couriers(2)
	f.save(to("bad", courier.StateWaiting), to("good", courier.StateWaiting))
	tx := f.holding("INSERT INTO courier_orders (order_id, courier_id, deadline) VALUES ('bad', 99, now())")
	matched := make(chan []orderevent.Assignment, 1)
	go func() {
		as, err := f.matching.Match(t.Context(), 10)
		if err != nil {
			t.Error(err)
		}
		matched <- as
	}()
	f.awaitLockWait(func() bool { return len(matched) > 0 })
	if err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	if as := <-matched; len(as) != 1 || as[0].OrderID != "good" {
		t.Errorf("assigned %+v, want good alone", as)
	}
	f.expect("waiting", "SELECT state FROM orders WHERE order_id = 'bad'")
	f.expect("good", "SELECT string_agg(order_id, ' ') FROM couriers WHERE status = 'busy'")
}

// TestConcurrentMatchNeverDoubleBooks races several matchings and completions.
func TestConcurrentMatchNeverDoubleBooks(t *testing.T) {
	f := newFixture(t)
	f.couriers(20)
	const orders = 120
	var all []courier.OrderID
	for i := range orders {
		id := courier.OrderID(fmt.Sprintf("o%03d", i))
		all = append(all, id)
		f.save(to(id, courier.StateWaiting))
	}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 40 {
				as, err := f.matching.Match(t.Context(), 7)
				if err != nil {
					t.Error(err)
				}
				for _, a := range as {
					if _, err := f.trySave(t.Context(), to(a.OrderID, courier.StateCompleted)); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	wg.Wait()
	f.expect(fmt.Sprint(len(all)), "SELECT sum(deliveries) FROM couriers")
	f.expectNoViolations()
}

func TestDatabaseRefusesToDoubleBook(t *testing.T) {
	f := newFixture(t)
	f.couriers(2)
	f.save(to("a", courier.StateWaiting))
	f.match(1)
	for name, sql := range map[string]string{
		"second open delivery": "INSERT INTO courier_orders (order_id, courier_id, deadline) VALUES ('b', 1, now())",
		"order twice":          "INSERT INTO courier_orders (order_id, courier_id, deadline) VALUES ('a', 2, now())",
		"busy without order":   "UPDATE couriers SET status = 'busy' WHERE id = 2",
		"free with order":      "UPDATE couriers SET status = 'available' WHERE id = 1",
		"order of two":         "UPDATE couriers SET status = 'busy', order_id = 'a' WHERE id = 2",
		"waiting, no position": "UPDATE orders SET queue_position = NULL, state = 'waiting'",
		"held, no reason":      "UPDATE orders SET state = 'held'",
	} {
		if _, err := f.pool.Exec(t.Context(), sql); err == nil {
			t.Errorf("%s: the database allowed %s", name, sql)
		}
	}
}

// assign assigns an order to a courier as the use case does.
func (f fixture) assign(id courier.OrderID, courierID int64) (a orderevent.Assignment, err error) {
	err = f.orders.InTx(f.Context(), func(tx orderevent.Tx) error {
		if _, err := tx.LockOrders(f.Context(), []courier.OrderID{id}); err != nil {
			return err
		}
		a, err = tx.Assign(f.Context(), id, courierID, "dispatcher:anna")
		return err
	})
	return a, err
}

func TestAssign(t *testing.T) {
	f := newFixture(t)
	f.couriers(3)
	f.exec("UPDATE couriers SET deliveries = 4 - id") // the third has the fewest
	f.exec("UPDATE couriers SET status = 'paused' WHERE id = 1")
	f.save(to("a", courier.StateWaiting), to("b", courier.StateWaiting), to("c", courier.StateWaiting))

	a, err := f.assign("a", 0)
	if err != nil || a.OrderID != "a" || a.CourierID != 3 || a.Transport != courier.Scooter || a.Deadline.IsZero() {
		t.Errorf("assigned %+v, %v; want courier 3, the next available one", a, err)
	}
	for id, want := range map[int64]error{
		1: courier.Explain(courier.ErrCourierNotAvailable, "courier 1 is paused"), 3: courier.Explain(courier.ErrCourierNotAvailable, "courier 3 is busy with order a"),
		99: courier.ErrNotFound,
	} {
		if _, err := f.assign("b", id); !errors.Is(err, want) {
			t.Errorf("courier %d: err = %v, want %v", id, err, want)
		}
	}
	if b, err := f.assign("b", 2); err != nil || b.CourierID != 2 {
		t.Errorf("assigned %+v, %v; want courier 2", b, err)
	}
	if _, err := f.assign("c", 0); !errors.Is(err, courier.ErrNoCourierAvailable) {
		t.Errorf("err = %v, want ErrNoCourierAvailable", err)
	}
	f.expect("a assigned b assigned", "SELECT string_agg(order_id || ' ' || state, ' ' ORDER BY order_id) FROM journal WHERE source = 'dispatcher:anna'")
	f.expect("00:15:00", "SELECT min(deadline - assigned_at) FROM courier_orders")
	f.exec("UPDATE couriers SET deliveries = 0") // as the deliveries say, for the checker
	f.expectNoViolations()
}

// TestAssignSkipsLockedCourier: assigning without a named courier does not wait for a
// locked one. It fails without SKIP LOCKED in lockAvailable.
func TestAssignSkipsLockedCourier(t *testing.T) {
	f := newFixture(t)
	f.couriers(2)
	f.save(to("a", courier.StateWaiting))
	f.holding("SELECT FROM couriers WHERE id = 1 FOR UPDATE")
	if a, err := f.assign("a", 0); err != nil || a.CourierID != 2 {
		t.Errorf("assigned %+v, %v; want courier 2, since the first is locked", a, err)
	}
}

// TestAssignRefusesEndedOrder fails without the state in orders_assign.sql.
func TestAssignRefusesEndedOrder(t *testing.T) {
	f := newFixture(t)
	f.couriers(1)
	f.save(to("a", courier.StateCompleted), to("b", courier.StateCancelled))
	for _, id := range []courier.OrderID{"a", "b"} {
		if a, err := f.assign(id, 1); err == nil {
			t.Errorf("assigned %+v", a)
		}
	}
	f.expectNoViolations()
}

// TestHoldFreesCourierAndKeepsPosition: an order on hold has no delivery, can be
// assigned again, and returns to its queue position.
func TestHoldFreesCourierAndKeepsPosition(t *testing.T) {
	f := newFixture(t)
	f.couriers(1)
	f.save(to("a", courier.StateWaiting), to("b", courier.StateWaiting))
	f.match(1)
	saved := f.save(to("a", courier.StateHeld))
	want := orderevent.Transition{OrderID: "a", From: courier.StateAssigned, To: courier.StateHeld, CourierID: 1}
	if len(saved.Transitions) != 1 || saved.Transitions[0] != want {
		t.Errorf("transitions = %+v, want %+v", saved.Transitions, want)
	}
	f.expect("available 0", "SELECT status || ' ' || deliveries FROM couriers")
	f.expect("test", "SELECT held_reason FROM orders WHERE order_id = 'a'")
	f.expectNoViolations()
	f.save(to("a", courier.StateWaiting))
	if got := f.match(1); len(got) != 1 || got[0].OrderID != "a" {
		t.Errorf("match = %+v, want order a, which is first in the queue", got)
	}
	f.expectNoViolations()
}

// TestAssignHeldOrder also checks that matching skips an order on hold, and that such an
// order may be put on hold again.
func TestAssignHeldOrder(t *testing.T) {
	f := newFixture(t)
	f.couriers(1)
	f.save(to("a", courier.StateWaiting))
	f.match(1)
	f.save(to("a", courier.StateHeld))
	f.save(orderevent.Order{OrderID: "a", State: courier.StateHeld, Missing: true}) // a resync finds it gone
	if got := f.match(1); len(got) != 0 {
		t.Errorf("match = %+v, want the order on hold skipped", got)
	}
	if _, err := f.assign("a", 1); err != nil {
		t.Error(err)
	}
	f.expectNoViolations()
	f.save(to("a", courier.StateCompleted))
	f.expect("available 1", "SELECT status || ' ' || deliveries FROM couriers")
	f.expectNoViolations()
}

// TestTwoDispatchersRaceForOneCourier: one gets the courier, the other an error.
func TestTwoDispatchersRaceForOneCourier(t *testing.T) {
	f := newFixture(t)
	for n := range int64(20) {
		f.exec("INSERT INTO couriers (name, phone, status, transport_type) VALUES ('c', $1::bigint::text, 'available', 'scooter')", n)
		a, b := courier.OrderID(fmt.Sprintf("a%d", n)), courier.OrderID(fmt.Sprintf("b%d", n))
		f.save(to(a, courier.StateWaiting), to(b, courier.StateWaiting))
		var wg sync.WaitGroup
		errs := make([]error, 2)
		for i, id := range []courier.OrderID{a, b} {
			wg.Go(func() { _, errs[i] = f.assign(id, n+1) })
		}
		wg.Wait()
		if (errs[0] == nil) == (errs[1] == nil) || !errors.Is(errors.Join(errs...), courier.ErrCourierNotAvailable) {
			t.Fatalf("errors %v, want one ErrCourierNotAvailable", errs)
		}
		f.expectNoViolations()
	}
}

// TestSaveAndMatch: a small batch queues and matches in one transaction. It does not wait
// for another replica, which keeps its lock, and reports it.
func TestSaveAndMatch(t *testing.T) {
	f := newFixture(t)
	f.couriers(2)
	save := func(id courier.OrderID) (saved orderevent.Effects) {
		err := f.orders.InTx(t.Context(), func(tx orderevent.Tx) (err error) {
			saved, err = tx.SaveAndCommit(t.Context(), []orderevent.Change{{Next: to(id, courier.StateWaiting), Source: "0@1"}}, nil, 1)
			return err
		})
		if err != nil || len(saved.Transitions) != 1 || len(saved.Assignments) != 1 || saved.Assignments[0].OrderID != id {
			t.Fatalf("err %v, saved %+v", err, saved)
		}
		return saved
	}
	if saved := save("a"); !saved.Matched {
		t.Errorf("matched while another replica did: %+v", saved)
	}
	f.expect("1", "SELECT count(DISTINCT xmin::text) FROM journal WHERE order_id = 'a'")
	f.expect("2", "SELECT count(*) FROM journal WHERE order_id = 'a'")
	f.holding("SELECT pg_advisory_xact_lock($1)", postgres.MatchLock)
	if saved := save("b"); saved.Matched {
		t.Errorf("did not notice the other replica: %+v", saved)
	}
	f.expectNoViolations()
}

// TestSmallBatchThatOnlyFreesCouriers matches only if an order waits, after its COMMIT.
func TestSmallBatchThatOnlyFreesCouriers(t *testing.T) {
	f := newFixture(t)
	f.couriers(1)
	f.save(to("a", courier.StateWaiting))
	f.expectMatch(1, "a:1")
	f.save(to("lost", courier.StateWaiting))
	f.exec("UPDATE orders SET missing_since = now() WHERE order_id = 'lost'")
	complete := func(id courier.OrderID) (saved orderevent.Effects) {
		err := f.orders.InTx(t.Context(), func(tx orderevent.Tx) (err error) {
			saved, err = tx.SaveAndCommit(t.Context(), []orderevent.Change{{From: courier.StateAssigned, Next: to(id, courier.StateCompleted), Source: "0@1"}}, nil, 1)
			return err
		})
		if err != nil || len(saved.Transitions) != 1 || len(saved.Assignments) != 0 {
			t.Fatalf("err %v, saved %+v", err, saved)
		}
		return saved
	}
	f.save(to("b", courier.StateWaiting))
	if saved := complete("a"); saved.Matched {
		t.Errorf("an order waits, and no match is requested: %+v", saved)
	}
	f.expectMatch(1, "b:1")
	if saved := complete("b"); !saved.Matched {
		t.Errorf("only a missing order waits, and a match is requested: %+v", saved)
	}
	f.expectNoViolations()
}
