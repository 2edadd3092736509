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
	"service-courier/internal/usecase/deadletters"
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
	f.expectNoViolations()

	f.save(to("a", courier.StateCancelled))
	f.expect("available 0", "SELECT status || ' ' || deliveries FROM couriers")
	f.expect("0", "SELECT count(*) FROM courier_orders")
	f.expect("waiting assigned completed cancelled", "SELECT string_agg(state::text, ' ' ORDER BY id) FROM journal")
	f.expectNoViolations()
}

// TestFreeingIsByOrder: X is completed and its courier has Y; then X is completed again,
// and cancelled. It fails when a courier is freed by courier id alone.
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
	f.expectNoViolations()
}

// TestFreeSinceEndOfDelivery: a courier is the last of the available ones when the
// delivery ends, and keeps that position when the delivery is cancelled afterwards. It
// fails when free_since is never set, or always.
func TestFreeSinceEndOfDelivery(t *testing.T) {
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
	f.expectNoViolations()
}

func TestCompletedWithoutCourierIsNotCounted(t *testing.T) {
	f := newFixture(t)
	f.couriers(1)
	f.save(to("a", courier.StateCompleted), to("b", courier.StateCancelled))
	f.expect("0", "SELECT sum(deliveries) FROM couriers")
	f.expect("0", "SELECT count(*) FROM courier_orders")
	f.expectNoViolations()
}

func TestQueuePositionIsGivenOnceInOrderOfArrival(t *testing.T) {
	f := newFixture(t)
	seen := orderevent.Order{OrderID: "m", State: courier.StateSeen, Recheck: orderevent.Recheck{Reason: orderevent.ReasonMissing, In: time.Hour}}
	f.save(to("z", courier.StateWaiting), to("a", courier.StateWaiting), seen)
	f.save(to("m", courier.StateWaiting))
	f.expect("z a m", "SELECT string_agg(order_id, ' ' ORDER BY queue_position) FROM orders")
	before := f.one("SELECT queue_position FROM orders WHERE order_id = 'z'")
	f.save(to("z", courier.StateWaiting))
	f.expect(before, "SELECT queue_position FROM orders WHERE order_id = 'z'")
}

func TestOrderIsStoredAndRead(t *testing.T) {
	f := newFixture(t)
	want := orderevent.Order{
		OrderID: "a", State: courier.StateSeen, CreatedAt: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
		Hinted: courier.ClassCancelled, Missing: true,
		Recheck: orderevent.Recheck{Reason: orderevent.ReasonUnavailable, Count: 2, Failures: 3, Error: "no\x00\xff", In: time.Hour},
	}
	f.save(want)
	var got orderevent.Order
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
	if got.Recheck.Token == 0 {
		t.Error("the scheduled recheck has no token")
	}
	want.Recheck.In, want.Recheck.Token, want.Recheck.Error = 0, got.Recheck.Token, "no\uFFFD\uFFFD"
	got.CreatedAt = got.CreatedAt.UTC()
	if got != want {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

// TestPendingRecheckIsKept: a change that schedules nothing keeps the time and token of
// a pending recheck.
func TestPendingRecheckIsKept(t *testing.T) {
	f := newFixture(t)
	f.save(orderevent.Order{OrderID: "a", State: courier.StateSeen, Recheck: orderevent.Recheck{Reason: orderevent.ReasonMissing, Count: 1, In: time.Hour}})
	before := f.one("SELECT recheck_at || ' ' || recheck_token FROM orders")
	f.save(orderevent.Order{OrderID: "a", State: courier.StateWaiting, Recheck: orderevent.Recheck{Reason: orderevent.ReasonMissing, Count: 1}})
	f.expect(before, "SELECT recheck_at || ' ' || recheck_token FROM orders")
	f.save(to("a", courier.StateWaiting))
	f.expect("true", "SELECT recheck_at IS NULL AND recheck_token IS NULL FROM orders")
}

// TestMissingSinceTheFirst404 fails without the coalesce of missing_since in
// orders_advance.sql.
func TestMissingSinceTheFirst404(t *testing.T) {
	f := newFixture(t)
	missing := orderevent.Order{OrderID: "a", State: courier.StateWaiting, Missing: true}
	f.save(missing)
	f.exec("UPDATE orders SET missing_since = 'epoch'")
	f.save(missing)
	f.expect("true", "SELECT missing_since = 'epoch' FROM orders")
}

// TestClaimIsALease: a claimed order becomes due again by itself, so that the rechecks
// of a crashed replica are not lost. Each claim has its own token.
func TestClaimIsALease(t *testing.T) {
	f := newFixture(t)
	f.save(orderevent.Order{OrderID: "a", State: courier.StateSeen, Recheck: orderevent.Recheck{Reason: orderevent.ReasonMissing, Count: 1, In: time.Nanosecond}})
	first, err := f.orders.ClaimDue(t.Context(), 10, time.Hour)
	if err != nil || len(first) != 1 || first[0].Token == 0 {
		t.Fatalf("first claim = %+v, %v", first, err)
	}
	if again, err := f.orders.ClaimDue(t.Context(), 10, time.Hour); err != nil || len(again) != 0 {
		t.Errorf("while leased: claim = %+v, %v; want none", again, err)
	}
	f.exec("UPDATE orders SET recheck_at = now() - interval '1 second'") // the lease ends
	second, err := f.orders.ClaimDue(t.Context(), 10, time.Hour)
	if err != nil || len(second) != 1 || second[0].Token == first[0].Token {
		t.Errorf("second claim = %+v, %v; want order a with a new token", second, err)
	}
}

// TestClaimSkipsLockedOrder: the next claim gets it. It fails without SKIP LOCKED in
// orders_claim_due.sql.
func TestClaimSkipsLockedOrder(t *testing.T) {
	f := newFixture(t)
	recheck := orderevent.Recheck{Reason: orderevent.ReasonMissing, Count: 1, In: time.Nanosecond}
	f.save(orderevent.Order{OrderID: "a", State: courier.StateSeen, Recheck: recheck}, orderevent.Order{OrderID: "b", State: courier.StateSeen, Recheck: recheck})
	f.holding("SELECT FROM orders WHERE order_id = 'a' FOR UPDATE")
	claimed, err := f.orders.ClaimDue(t.Context(), 10, time.Hour)
	if err != nil || len(claimed) != 1 || claimed[0].OrderID != "b" {
		t.Errorf("claim = %+v, %v; want order b alone", claimed, err)
	}
}

func TestDeleteOnlySeenOrders(t *testing.T) {
	f := newFixture(t)
	recheck := orderevent.Recheck{Reason: orderevent.ReasonMissing, Count: 1, In: time.Hour}
	f.save(orderevent.Order{OrderID: "a", State: courier.StateSeen, Recheck: recheck}, to("b", courier.StateWaiting))
	f.save(to("a", courier.StateNone), to("b", courier.StateNone))
	f.expect("b", "SELECT string_agg(order_id, ' ') FROM orders")
}

// TestBatchesOfTheSameOrdersNeverDeadlock: batches with the same orders, in opposite
// order, race to insert and to move them. The later one waits for the earlier, reads
// what it saved, and changes nothing twice. It fails without the sort in
// orders_insert.sql and without FOR UPDATE in orders_lock.sql. (PostgreSQL's index scan
// happens to sort by itself today.)
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
	f.expect("true", "SELECT count(*) = count(DISTINCT (order_id, state)) FROM journal")
	f.expect("0", "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
}

// race moves all orders to a state in four batches at once, every other one in reverse
// order, and flushes the server's statistics.
func (f fixture) race(ids []courier.OrderID, state courier.State) {
	f.Helper()
	backwards := slices.Clone(ids)
	slices.Reverse(backwards)
	var wg sync.WaitGroup
	for n := range 4 {
		steps := make([]orderevent.Order, len(ids))
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

// TestDeadLetterIsInsertedOnce also checks that it is stored byte for byte.
func TestDeadLetterIsInsertedOnce(t *testing.T) {
	f := newFixture(t)
	letter := orderevent.DeadLetter{
		Topic: "t", Partition: 3, Offset: 42, ProducedAt: time.Unix(1700000000, 0), Payload: []byte("\x00\xffno"),
		Headers: []deadletters.Header{{Key: []byte("k\x00"), Value: []byte("v")}, {Key: []byte("k2"), Value: nil}},
		Reason:  "not_json", Detail: "bad \x00 byte",
	}
	for want := 1; want >= 0; want-- {
		err := f.orders.InTx(t.Context(), func(tx orderevent.Tx) error {
			saved, err := tx.SaveAndCommit(t.Context(), nil, []orderevent.DeadLetter{letter}, 0)
			if saved.DeadLetters != want {
				t.Errorf("saved %d letters, want %d", saved.DeadLetters, want)
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
	letter.ProducedAt = letter.ProducedAt.Add(time.Second) // the topic was created again
	_ = f.orders.InTx(t.Context(), func(tx orderevent.Tx) error {
		_, err := tx.SaveAndCommit(t.Context(), nil, []orderevent.DeadLetter{letter}, 0)
		return err
	})
	f.expect("2", "SELECT count(*) FROM dead_letters")
}

// TestDeadLetterWithAnyTimestamp: a producer may set any timestamp.
func TestDeadLetterWithAnyTimestamp(t *testing.T) {
	f := newFixture(t)
	for i, at := range []time.Time{{}, time.UnixMilli(1e16), time.UnixMilli(-1e16), time.UnixMilli(math.MaxInt64)} {
		err := f.orders.InTx(t.Context(), func(tx orderevent.Tx) error {
			_, err := tx.SaveAndCommit(t.Context(), nil, []orderevent.DeadLetter{{Topic: "t", Offset: int64(i), ProducedAt: at, Reason: "not_json"}}, 0)
			return err
		})
		if err != nil {
			t.Errorf("%v: %v", at, err)
		}
	}
	f.expect("4", "SELECT count(*) FROM dead_letters")
}

// TestStaleChangeHasNoEffect: a change that was decided on an outdated state is refused
// as a whole, with its delivery and courier.
func TestStaleChangeHasNoEffect(t *testing.T) {
	f := newFixture(t)
	f.couriers(1)
	f.save(to("a", courier.StateWaiting))
	f.match(1)
	f.save(to("a", courier.StateCompleted))
	short, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond) // it is tried again until then
	defer cancel()
	err := f.orders.InTx(short, func(tx orderevent.Tx) error {
		_, err := tx.Save(short, []orderevent.Change{{From: courier.StateAssigned, Next: to("a", courier.StateCancelled)}})
		return err
	})
	if err == nil {
		t.Error("the stale change was saved")
	}
	f.expect("completed", "SELECT state FROM orders")
	f.expect("available 1", "SELECT status || ' ' || deliveries FROM couriers")
}

// TestStaleChangeLeavesTheDelivery: a batch may be committed although one of its changes was
// stale, and then the delivery and the courier of that order stay.
func TestStaleChangeLeavesTheDelivery(t *testing.T) {
	f := newFixture(t)
	f.couriers(1)
	f.save(to("a", courier.StateWaiting))
	f.match(1)
	for _, state := range []courier.State{courier.StateCompleted, courier.StateCancelled} {
		short, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond) // it is tried again until then
		err := f.orders.InTx(short, func(tx orderevent.Tx) error {
			if _, err := tx.LockOrders(short, []courier.OrderID{"a"}); err != nil {
				return err
			}
			_, err := tx.SaveAndCommit(short, []orderevent.Change{{From: courier.StateWaiting, Next: to("a", state)}}, nil, 0)
			return err
		})
		cancel()
		if err == nil {
			t.Error("the stale change was saved")
		}
		f.expect("assigned", "SELECT state FROM orders")
		f.expect("a", "SELECT order_id FROM courier_orders WHERE completed_at IS NULL")
		f.expect("busy 0", "SELECT status || ' ' || deliveries FROM couriers")
	}
	f.expectNoViolations()
}

// TestLockReadsWhatTheOtherBatchSaved: a batch waits for an order that another batch has
// locked, and then reads the cancel hint that the other has stored. Without the row lock
// it would read the order as it was before and overwrite the hint (tried).
func TestLockReadsWhatTheOtherBatchSaved(t *testing.T) {
	f := newFixture(t)
	f.save(to("o", courier.StateWaiting))
	hinted := to("o", courier.StateWaiting)
	hinted.Hinted = courier.ClassCancelled
	seen := make(chan courier.Class, 1)
	var batches sync.WaitGroup
	err := f.orders.InTx(t.Context(), func(first orderevent.Tx) error {
		if _, err := first.LockOrders(t.Context(), []courier.OrderID{"o"}); err != nil {
			return err
		}
		batches.Go(func() {
			err := f.orders.InTx(t.Context(), func(second orderevent.Tx) error {
				records, err := second.LockOrders(t.Context(), []courier.OrderID{"o"})
				seen <- records["o"].Hinted
				return err
			})
			if err != nil {
				t.Error(err)
			}
		})
		f.awaitLockWait(func() bool { return len(seen) > 0 })
		_, err := first.Save(t.Context(), []orderevent.Change{{From: courier.StateWaiting, Next: hinted, Source: "0@1"}})
		return err
	})
	batches.Wait()
	if err != nil {
		t.Fatal(err)
	}
	if got := <-seen; got != courier.ClassCancelled {
		t.Errorf("the second batch reads the hint %v, want %v", got, courier.ClassCancelled)
	}
}

// awaitLockWait returns when a session of this database waits for a lock, or when gaveUp
// reports that it went on without.
func (f fixture) awaitLockWait(gaveUp func() bool) {
	f.Helper()
	const waits = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
	for deadline := time.Now().Add(10 * time.Second); f.one(waits) == "0" && !gaveUp(); <-time.After(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			f.Fatal("no session waits for a lock")
		}
	}
}
