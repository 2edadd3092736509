package faults

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"service-courier/internal/courier"
	"service-courier/test/faults/wire"
)

// begin opens a transaction of the test. PostgreSQL does not end it, however long the rest
// of the test takes.
func (w *world) begin() pgx.Tx {
	w.Helper()
	tx, err := w.pool.Begin(w.Context())
	w.must(err)
	w.Cleanup(func() { _ = tx.Rollback(context.Background()) }) // does nothing after Commit
	w.in(tx, "SELECT set_config('idle_in_transaction_session_timeout', '0', true), set_config('lock_timeout', '0', true)")
	return tx
}

// locked locks whole tables until unlock.
func (w *world) locked(tables string) (unlock func()) {
	w.Helper()
	tx := w.begin()
	w.in(tx, "LOCK TABLE "+tables)
	return sync.OnceFunc(func() { w.check(tx.Rollback(context.WithoutCancel(w.Context()))) })
}

func (w *world) in(tx pgx.Tx, sql string, args ...any) {
	w.Helper()
	if _, err := tx.Exec(w.Context(), sql, args...); err != nil {
		w.Fatalf("%s: %v", sql, err)
	}
}

// sessionWaits reports whether a session waits for a lock.
func (w *world) sessionWaits() bool {
	w.Helper()
	return w.count("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'") > 0
}

// becomesFree are the ways in which a courier becomes available: before prepares the
// courier, held takes effect when tx commits, and then happens meanwhile.
var becomesFree = []struct {
	name   string
	before func(w *world)
	held   func(w *world, tx pgx.Tx)
	then   func(w *world)
}{
	{
		name:   "registered",
		before: func(*world) {},
		held:   func(w *world, tx pgx.Tx) { w.in(tx, "INSERT INTO couriers (name, phone) VALUES ('new', 'new')") },
		then:   func(*world) {},
	},
	{
		name:   "resumed",
		before: func(w *world) { w.exec("INSERT INTO couriers (name, phone, status) VALUES ('p', 'p', 'paused')") },
		held: func(w *world, tx pgx.Tx) {
			w.in(tx, "UPDATE couriers SET status = 'available', free_since = now()")
		},
		then: func(*world) {},
	},
	{
		name: "freed",
		before: func(w *world) {
			w.exec("INSERT INTO couriers (name, phone) VALUES ('busy', 'busy')")
			w.create(1)
			w.eventually("the courier has an order", func() bool { return w.inState(courier.StateAssigned) == 1 })
			w.published(1)
			w.allCommitted() // the first resync may be faster than the order's event
		},
		held: func(w *world, tx pgx.Tx) { w.in(tx, "SELECT FROM orders WHERE state = 'assigned' FOR UPDATE") },
		then: func(w *world) {
			w.setStatus("completed", w.one("SELECT order_id FROM orders WHERE state = 'assigned'"))
			w.eventually("the batch that frees the courier waits", w.sessionWaits)
		},
	},
	{
		name:   "skipped by match",
		before: func(w *world) { w.exec("INSERT INTO couriers (name, phone, status) VALUES ('l', 'l', 'paused')") },
		held: func(w *world, tx pgx.Tx) {
			w.exec("UPDATE couriers SET status = 'available', free_since = now()")
			w.in(tx, "SELECT FROM couriers FOR UPDATE")
		},
		then: func(*world) {},
	},
}

// TestCourierAndOrderMeet: an order is queued while a courier is about to become
// available, and a courier becomes available while an order is about to be queued. In
// either case the order is assigned within a second, though the match in between saw only
// one of them. Row locks of the test's sessions are the barriers.
func TestCourierAndOrderMeet(t *testing.T) {
	t.Parallel()
	for _, way := range becomesFree {
		t.Run("order first, courier "+way.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, 0)
			w.serve()
			way.before(w)
			tx := w.begin()
			way.held(w, tx)
			w.create(1)
			w.eventually("the order waits", func() bool { return w.inState(courier.StateWaiting) == 1 })
			way.then(w)
			w.meetAfter(tx.Commit)
		})
		t.Run("courier first, "+way.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, 0)
			w.front.unlisted.Store(true) // the first resync could insert the order before the test does
			w.serve()
			way.before(w)
			tx, queuing := w.begin(), w.begin()
			way.held(w, tx)
			way.then(w)
			w.sim.Mute(true)
			id := w.create(1)[0]
			w.sim.Mute(false)
			w.in(queuing, "INSERT INTO orders (order_id, state, queue_position) VALUES ($1, 'waiting', 0)", id)
			w.sim.Emit(id, "created")
			w.eventually("the batch waits for the order's row", w.sessionWaits)
			w.must(tx.Commit(t.Context()))
			w.eventually("the courier is available", func() bool { return w.count("SELECT count(*) FROM couriers WHERE status = 'available'") == 1 })
			w.meetAfter(queuing.Rollback)
		})
	}
}

// TestWaitingOrderIsLockedWhileMatchRuns: another session holds the order's row, so that
// the match skips it. The timer matches again.
func TestWaitingOrderIsLockedWhileMatchRuns(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 0)
	w.serve()
	w.create(1)
	w.eventually("the order waits", func() bool { return w.inState(courier.StateWaiting) == 1 })
	tx := w.begin()
	w.in(tx, "SELECT FROM orders FOR UPDATE")
	w.exec("INSERT INTO couriers (name, phone) VALUES ('new', 'new')")
	w.meetAfter(tx.Commit)
}

// TestCrashBetweenCommitAndMatch: a replica is killed after the COMMIT that queued an
// order and before its match. Only that replica got the event, so only the timer of the
// other one can assign the order.
func TestCrashBetweenCommitAndMatch(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	w.front.unlisted.Store(true)
	w.sim.Mute(true)
	p := w.wire()
	run := w.spawn(through(p))
	w.joined(run)
	first := w.kafka.Cluster().GroupInfo(groupID).Members[0].MemberID
	w.serve()
	w.partitionsAreShared()
	committed := p.Lay(wire.Trap{Text: wire.Commit, Answer: true})
	for _, m := range w.kafka.Cluster().GroupInfo(groupID).Members {
		if m.MemberID == first {
			w.produceTo(m.Assignment[topic][0], hint(w.create(1)[0]))
		}
	}
	<-committed
	w.meetAfter(func(context.Context) error { return run.Kill() })
	w.expel()
	w.allCommitted()
	w.nothingHappenedTwice()
}

// meetAfter checks that the waiting order is assigned within a second after release.
func (w *world) meetAfter(release func(context.Context) error) {
	w.Helper()
	w.must(release(w.Context()))
	var released time.Time
	w.must(w.pool.QueryRow(w.Context(), "SELECT clock_timestamp()").Scan(&released))
	w.eventually("the order is assigned", func() bool { return w.inState(courier.StateAssigned) == 1 && w.inState(courier.StateWaiting) == 0 })
	var assigned time.Time
	w.must(w.pool.QueryRow(w.Context(), "SELECT max(assigned_at) FROM courier_orders").Scan(&assigned))
	if after := assigned.Sub(released); after > time.Second {
		w.Errorf("assigned %v after the release", after)
	}
	w.converges()
}
