package postgres_test

import (
	"context"
	"fmt"
	"math"
	"slices"
	"sync"
	"testing"
	"time"

	"service-courier/internal/courier"
	"service-courier/internal/usecase/orderevent"
)

func TestLifeOfAnOrder(t *testing.T) {
	f := newFixture(t)
	f.couriers(1)
	f.save(to("a", courier.StateWaiting))
	if got := f.match(10); len(got) != 1 || got[0].OrderID != "a" {
		t.Fatalf("match = %+v, want order a assigned", got)
	}
	f.expect("busy", "SELECT status FROM couriers")
	f.expect("00:15:00", "SELECT deadline - assigned_at FROM courier_orders")

	saved := f.save(to("a", courier.StateCompleted))
	want := orderevent.Transition{OrderID: "a", From: courier.StateAssigned, To: courier.StateCompleted, CourierID: 1}
	if len(saved.Transitions) != 1 || saved.Transitions[0] != want {
		t.Errorf("transitions = %+v, want %+v", saved.Transitions, want)
	}
	f.expect("available 1", "SELECT status || ' ' || deliveries FROM couriers")
	f.sound()

	f.save(to("a", courier.StateCancelled))
	f.expect("available 0", "SELECT status || ' ' || deliveries FROM couriers")
	f.expect("0", "SELECT count(*) FROM courier_orders")
	f.expect("waiting assigned completed cancelled", "SELECT string_agg(what, ' ' ORDER BY xid, id) FROM journal")
	f.sound()
}

// TestFreeingIsByOrder: X completed, its courier has Y, then X is completed once
// more, and cancelled. It fails when a courier is freed by his id alone.
func TestFreeingIsByOrder(t *testing.T) {
	f := newFixture(t)
	f.couriers(1)
	f.save(to("x", courier.StateWaiting))
	f.match(1)
	f.save(to("x", courier.StateCompleted))
	f.save(to("y", courier.StateWaiting))
	f.match(1)
	f.save(to("x", courier.StateCompleted))
	f.expect("busy y 1", "SELECT status || ' ' || order_id || ' ' || deliveries FROM couriers")
	f.save(to("x", courier.StateCancelled))
	f.expect("busy y 0", "SELECT status || ' ' || order_id || ' ' || deliveries FROM couriers")
	f.sound()
}

// TestFreeSinceHisDelivery: a courier comes last in turn when his delivery ends, and
// keeps his turn when it is cancelled afterwards. It fails when free_since is left, or
// set, whatever he was freed of.
func TestFreeSinceHisDelivery(t *testing.T) {
	f := newFixture(t)
	f.couriers(1)
	f.save(to("a", courier.StateWaiting))
	f.match(1)
	f.exec("UPDATE couriers SET free_since = 'epoch'")
	f.save(to("a", courier.StateCompleted))
	f.expect("true", "SELECT free_since > 'epoch' FROM couriers")
	f.exec("UPDATE couriers SET free_since = 'epoch'")
	f.save(to("a", courier.StateCancelled))
	f.expect("true", "SELECT free_since = 'epoch' FROM couriers")
}

func TestCompletedAndCancelledOfOneCourierInOneBatch(t *testing.T) {
	f := newFixture(t)
	f.couriers(1)
	f.save(to("x", courier.StateWaiting))
	f.match(1)
	f.save(to("x", courier.StateCompleted))
	f.save(to("y", courier.StateWaiting))
	f.match(1)
	f.save(to("y", courier.StateCompleted), to("x", courier.StateCancelled))
	f.expect("available 1", "SELECT status || ' ' || deliveries FROM couriers")
	f.sound()
}

func TestCompletedWithoutACourierCountsForNobody(t *testing.T) {
	f := newFixture(t)
	f.couriers(1)
	f.save(to("a", courier.StateCompleted), to("b", courier.StateCancelled))
	f.expect("0", "SELECT sum(deliveries) FROM couriers")
	f.expect("0", "SELECT count(*) FROM courier_orders")
	f.sound()
}

func TestPlaceIsGivenOnceInOrderOfArrival(t *testing.T) {
	f := newFixture(t)
	seen := orderevent.Record{OrderID: "m", State: courier.StateSeen, Look: orderevent.Look{Reason: orderevent.ReasonMissing, In: time.Hour}}
	f.save(to("z", courier.StateWaiting), to("a", courier.StateWaiting), seen)
	f.save(to("m", courier.StateWaiting))
	f.expect("z a m", "SELECT string_agg(order_id, ' ' ORDER BY place) FROM orders")
	before := f.one("SELECT place FROM orders WHERE order_id = 'z'")
	f.save(to("z", courier.StateWaiting))
	f.expect(before, "SELECT place FROM orders WHERE order_id = 'z'")
}

func TestRecordSurvivesTheDatabase(t *testing.T) {
	f := newFixture(t)
	want := orderevent.Record{
		OrderID: "a", State: courier.StateSeen, CreatedAt: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
		Hinted: courier.ClassCancelled, Missing: true,
		Look: orderevent.Look{Reason: orderevent.ReasonUnavailable, Count: 2, Failures: 3, Error: "no\x00\xff", In: time.Hour},
	}
	f.save(want)
	var got orderevent.Record
	err := f.orders.InTx(t.Context(), func(tx orderevent.Tx) error {
		records, err := tx.LockOrders(t.Context(), []courier.OrderID{"a", "b"})
		got = records["a"]
		if _, there := records["b"]; there {
			t.Error("an order without a row has a record")
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if got.Look.Token == 0 {
		t.Error("the scheduled look has no token")
	}
	want.Look.In, want.Look.Token, want.Look.Error = 0, got.Look.Token, "no\uFFFD\uFFFD"
	got.CreatedAt = got.CreatedAt.UTC()
	if got != want {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

// TestPendingLookIsKept: a change that schedules nothing leaves a pending look
// its time and token.
func TestPendingLookIsKept(t *testing.T) {
	f := newFixture(t)
	f.save(orderevent.Record{OrderID: "a", State: courier.StateSeen, Look: orderevent.Look{Reason: orderevent.ReasonMissing, Count: 1, In: time.Hour}})
	before := f.one("SELECT look_due_at || ' ' || look_token FROM orders")
	f.save(orderevent.Record{OrderID: "a", State: courier.StateWaiting, Look: orderevent.Look{Reason: orderevent.ReasonMissing, Count: 1}})
	f.expect(before, "SELECT look_due_at || ' ' || look_token FROM orders")
	f.save(to("a", courier.StateWaiting))
	f.expect("true", "SELECT look_due_at IS NULL AND look_token IS NULL FROM orders")
}

// TestMissingSinceTheFirst404, however often it is looked at again. It fails without
// the coalesce of missing_since in orders_advance.sql.
func TestMissingSinceTheFirst404(t *testing.T) {
	f := newFixture(t)
	missing := orderevent.Record{OrderID: "a", State: courier.StateWaiting, Missing: true}
	f.save(missing)
	f.exec("UPDATE orders SET missing_since = 'epoch'")
	f.save(missing)
	f.expect("true", "SELECT missing_since = 'epoch' FROM orders")
}

// TestClaimIsALease: a claimed order comes due again by itself, so that a
// crashed replica's looks are not lost, and each claim has its own token.
func TestClaimIsALease(t *testing.T) {
	f := newFixture(t)
	f.save(orderevent.Record{OrderID: "a", State: courier.StateSeen, Look: orderevent.Look{Reason: orderevent.ReasonMissing, Count: 1, In: time.Nanosecond}})
	first, err := f.orders.ClaimDue(t.Context(), 10, time.Hour)
	if err != nil || len(first) != 1 || first[0].Token == 0 {
		t.Fatalf("first claim = %+v, %v", first, err)
	}
	if again, err := f.orders.ClaimDue(t.Context(), 10, time.Hour); err != nil || len(again) != 0 {
		t.Errorf("while leased: claim = %+v, %v; want none", again, err)
	}
	f.exec("UPDATE orders SET look_due_at = now() - interval '1 second'") // the lease ends
	second, err := f.orders.ClaimDue(t.Context(), 10, time.Hour)
	if err != nil || len(second) != 1 || second[0].Token == first[0].Token {
		t.Errorf("second claim = %+v, %v; want order a with a new token", second, err)
	}
}

// TestClaimSkipsWhatABatchHas: a due order whose row is locked is left for the next
// claim, and the others are not. It fails without SKIP LOCKED in orders_claim_due.sql.
func TestClaimSkipsWhatABatchHas(t *testing.T) {
	f := newFixture(t)
	look := orderevent.Look{Reason: orderevent.ReasonMissing, Count: 1, In: time.Nanosecond}
	f.save(orderevent.Record{OrderID: "a", State: courier.StateSeen, Look: look}, orderevent.Record{OrderID: "b", State: courier.StateSeen, Look: look})
	f.holding("SELECT FROM orders WHERE order_id = 'a' FOR UPDATE")
	claimed, err := f.orders.ClaimDue(t.Context(), 10, time.Hour)
	if err != nil || len(claimed) != 1 || claimed[0].OrderID != "b" {
		t.Errorf("claim = %+v, %v; want order b alone", claimed, err)
	}
}

func TestForgetOnlyWhatWasSeen(t *testing.T) {
	f := newFixture(t)
	look := orderevent.Look{Reason: orderevent.ReasonMissing, Count: 1, In: time.Hour}
	f.save(orderevent.Record{OrderID: "a", State: courier.StateSeen, Look: look}, to("b", courier.StateWaiting))
	f.save(to("a", courier.StateNone), to("b", courier.StateNone))
	f.expect("b", "SELECT string_agg(order_id, ' ') FROM orders")
}

// TestBatchesOfTheSameOrdersNeverDeadlock: batches with the same orders, given
// in opposite order, race to make and to move them. The later one waits for the
// earlier, sees its records, and changes nothing twice. It fails without the
// sort in orders_insert.sql and without FOR UPDATE in orders_lock.sql. (The sort
// there states what PostgreSQL's index scan happens to do by itself today.)
func TestBatchesOfTheSameOrdersNeverDeadlock(t *testing.T) {
	f := newFixture(t)
	const rounds, size = 4, 500
	for round := range rounds {
		var ids []courier.OrderID
		for i := range size {
			ids = append(ids, courier.OrderID(fmt.Sprintf("o%d-%03d", round, i)))
		}
		for _, state := range []courier.State{courier.StateWaiting, courier.StateCompleted, courier.StateCancelled} {
			f.race(ids, state)
		}
	}
	f.expect(fmt.Sprint(rounds*size), "SELECT count(*) FROM orders WHERE state = 'cancelled'")
	f.expect("true", "SELECT count(*) = count(DISTINCT (order_id, what)) FROM journal")
	f.expect("0", "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
}

// race moves all orders to state in four batches at once, every other one
// backwards, and has the server's statistics written.
func (f fixture) race(ids []courier.OrderID, state courier.State) {
	f.Helper()
	backwards := slices.Clone(ids)
	slices.Reverse(backwards)
	var wg sync.WaitGroup
	for n := range 4 {
		steps := make([]orderevent.Record, len(ids))
		for i := range ids {
			steps[i] = to([][]courier.OrderID{ids, backwards}[n%2][i], state)
		}
		wg.Go(func() {
			if _, err := f.trySave(f.Context(), steps...); err != nil {
				f.Error(err)
			}
		})
	}
	wg.Wait()
	for _, conn := range f.pool.AcquireAllIdle(f.Context()) {
		if _, err := conn.Exec(f.Context(), "SELECT pg_stat_force_next_flush()"); err != nil {
			f.Error(err)
		}
		conn.Release()
	}
}

// TestDeadLetterIsKeptOnce, byte for byte.
func TestDeadLetterIsKeptOnce(t *testing.T) {
	f := newFixture(t)
	letter := orderevent.DeadLetter{
		Topic: "t", Partition: 3, Offset: 42, ProducedAt: time.Unix(1700000000, 0), Payload: []byte("\x00\xffno"),
		Headers: []orderevent.Header{{Key: []byte("k\x00"), Value: []byte("v")}, {Key: []byte("k2"), Value: nil}},
		Reason:  "not_json", Detail: "bad \x00 byte",
	}
	for want := 1; want >= 0; want-- {
		err := f.orders.InTx(t.Context(), func(tx orderevent.Tx) error {
			saved, err := tx.Save(t.Context(), nil, []orderevent.DeadLetter{letter})
			if saved.Letters != want {
				t.Errorf("saved %d letters, want %d", saved.Letters, want)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	f.expect(`\x00ff6e6f`, "SELECT payload FROM dead_letters")
	f.expect(`2 \x6b00`, "SELECT cardinality(header_keys) || ' ' || header_keys[1]::text FROM dead_letters")
	f.exec("DELETE FROM orders")
	letter.ProducedAt = letter.ProducedAt.Add(time.Second) // the topic was made again
	_ = f.orders.InTx(t.Context(), func(tx orderevent.Tx) error {
		_, err := tx.Save(t.Context(), nil, []orderevent.DeadLetter{letter})
		return err
	})
	f.expect("2", "SELECT count(*) FROM dead_letters")
}

// TestDeadLetterOfAnyTime: the time of a record is whatever its producer says.
func TestDeadLetterOfAnyTime(t *testing.T) {
	f := newFixture(t)
	for i, at := range []time.Time{{}, time.UnixMilli(1e16), time.UnixMilli(-1e16), time.UnixMilli(math.MaxInt64)} {
		err := f.orders.InTx(t.Context(), func(tx orderevent.Tx) error {
			_, err := tx.Save(t.Context(), nil, []orderevent.DeadLetter{{Topic: "t", Offset: int64(i), ProducedAt: at, Reason: "not_json"}})
			return err
		})
		if err != nil {
			t.Errorf("%v: %v", at, err)
		}
	}
	f.expect("4", "SELECT count(*) FROM dead_letters")
}

// TestStaleChangeHasNoEffect: a change decided on a state that the row no
// longer has is refused as a whole, and neither the delivery nor the courier
// hears of it.
func TestStaleChangeHasNoEffect(t *testing.T) {
	f := newFixture(t)
	f.couriers(1)
	f.save(to("a", courier.StateWaiting))
	f.match(1)
	f.save(to("a", courier.StateCompleted))
	short, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond) // it is tried again until then
	defer cancel()
	err := f.orders.InTx(short, func(tx orderevent.Tx) error {
		_, err := tx.Save(short, []orderevent.Change{{From: courier.StateAssigned, Next: to("a", courier.StateCancelled)}}, nil)
		return err
	})
	if err == nil {
		t.Error("the stale change was saved")
	}
	f.expect("completed", "SELECT state FROM orders")
	f.expect("available 1", "SELECT status || ' ' || deliveries FROM couriers")
}
