package postgres_test

import (
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
	f.sound()
}

func TestMatchLeavesMissingAndHeldAlone(t *testing.T) {
	f := newFixture(t)
	f.couriers(3)
	f.save(
		orderevent.Record{OrderID: "missing", State: courier.StateWaiting, Missing: true},
		to("waiting", courier.StateWaiting),
		to("seen-then-held", courier.StateWaiting),
	)
	f.exec("UPDATE orders SET state = 'held', held_reason = 'a person said so' WHERE order_id = 'seen-then-held'")
	f.expectMatch(10, "waiting:1")
	f.save(to("missing", courier.StateWaiting)) // a GET said active
	f.expectMatch(10, "missing:2")
}

// TestOneBadRowDoesNotStopTheLine: rows that somebody spoilt by hand stand
// first, and are passed over.
func TestOneBadRowDoesNotStopTheLine(t *testing.T) {
	f := newFixture(t)
	f.couriers(2)
	f.save(to("bad", courier.StateWaiting), to("good", courier.StateWaiting))
	f.exec("INSERT INTO courier_orders (order_id, courier_id, deadline) VALUES ('bad', 1, now())")
	f.expectMatch(1, "good:2")
}

// TestCourierLeftBusyByHandDoesNotStopTheLine: an order that was put back in
// line by hand while its courier was forgotten is passed over too.
func TestCourierLeftBusyByHandDoesNotStopTheLine(t *testing.T) {
	f := newFixture(t)
	f.couriers(2)
	f.save(to("bad", courier.StateWaiting), to("good", courier.StateWaiting))
	f.exec("UPDATE couriers SET status = 'busy', order_id = 'bad' WHERE id = 1")
	f.expectMatch(1, "good:2")
}

// TestSkippedRowsComeNextTime: what another transaction holds is passed over
// without waiting.
func TestSkippedRowsComeNextTime(t *testing.T) {
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

// TestLockedCourierIsSkipped: match does not wait for a courier whom somebody is
// changing. It fails without SKIP LOCKED of the couriers in match.sql.
func TestLockedCourierIsSkipped(t *testing.T) {
	f := newFixture(t)
	f.couriers(2)
	f.save(to("a", courier.StateWaiting))
	f.holding("SELECT FROM couriers WHERE id = 1 FOR UPDATE")
	f.expectMatch(10, "a:2")
}

// TestMatchLocksNoCourierInVain: a person who has the only order in line, to assign
// it, finds a free courier also while a match is under way. It fails when the couriers
// are locked before the line is, or more of them than there are orders.
func TestMatchLocksNoCourierInVain(t *testing.T) {
	f := newFixture(t)
	f.couriers(3)
	f.save(to("a", courier.StateWaiting), to("b", courier.StateWaiting))
	f.holding("SELECT FROM orders WHERE order_id = 'a' FOR UPDATE")
	if err := postgres.MatchIn(t.Context(), f.begin(), 10); err != nil {
		t.Fatal(err)
	}
	f.expect("2", "SELECT count(*) FROM (SELECT FROM couriers WHERE status = 'available' FOR UPDATE SKIP LOCKED) free")
}

// TestReplicasMatchInTurn: who waits for another replica's match sees what was saved
// while he waited.
func TestReplicasMatchInTurn(t *testing.T) {
	f := newFixture(t)
	f.couriers(2)
	f.save(to("a", courier.StateWaiting))
	other := f.matching()
	matched := make(chan []orderevent.Assignment, 1)
	go func() {
		as, err := postgres.PatientLine(f.line).Match(t.Context(), 10)
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

// TestMatchDoesNotWaitForOneThatHangs: a session that never ends its match makes those of
// others slower and stops none.
func TestMatchDoesNotWaitForOneThatHangs(t *testing.T) {
	f := newFixture(t)
	f.couriers(1)
	f.save(to("a", courier.StateWaiting))
	f.matching()
	f.expectMatch(10, "a:1")
}

// matching is a match of another replica, until the end of the transaction.
func (f fixture) matching() pgx.Tx {
	f.Helper()
	return f.holding("SELECT pg_advisory_xact_lock($1)", postgres.MatchLock)
}

// TestMatchActsOnWhatWasInserted: a delivery of an order comes into being, by
// somebody else's hand, after match has looked and before it inserts its own. The
// order must not turn assigned for a delivery that is not match's, nor its courier
// busy: effects come from RETURNING. Assigned by the pairs instead, it fails (tried).
func TestMatchActsOnWhatWasInserted(t *testing.T) {
	f := newFixture(t)
	f.couriers(2)
	f.save(to("bad", courier.StateWaiting), to("good", courier.StateWaiting))
	tx := f.holding("INSERT INTO courier_orders (order_id, courier_id, deadline) VALUES ('bad', 99, now())")
	matched := make(chan []orderevent.Assignment, 1)
	go func() {
		as, err := f.line.Match(t.Context(), 10)
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

// TestConcurrentMatchNeverDoubleBooks races many matchers and endings.
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
				as, err := f.line.Match(t.Context(), 7)
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
	f.sound()
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
		"waiting, no place":    "UPDATE orders SET place = NULL, state = 'waiting'",
		"held, no reason":      "UPDATE orders SET state = 'held'",
	} {
		if _, err := f.pool.Exec(t.Context(), sql); err == nil {
			t.Errorf("%s: the database allowed %s", name, sql)
		}
	}
}
