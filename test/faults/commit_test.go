package faults

import (
	"math/rand/v2"
	"testing"

	"service-courier/internal/courier"
	"service-courier/test/faults/wire"
)

// noDeadLetters fails when there is a dead letter.
func (w *world) noDeadLetters() {
	w.Helper()
	if n := w.count("SELECT count(*) FROM dead_letters"); n != 0 {
		w.Errorf("%d dead letters", n)
	}
}

// TestCommitAnswerIsLost: PostgreSQL commits, and the connection breaks or hangs before
// the answer. The batch is repeated, which must make no difference.
func TestCommitAnswerIsLost(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 10)
	w.front.unlisted.Store(true)
	p := w.wire()
	w.serve(through(p))
	luck := rand.New(rand.NewPCG(1, 0))
	for i := range int64(6) {
		hangs := i == 3 // until the batch times out
		w.randomTraffic(luck, p.Lay(wire.Trap{Text: wire.Commit, Skip: i % 3, Answer: true, Cut: !hangs}))
	}
	w.converges()
	w.nothingHappenedTwice()
	w.noDeadLetters()
}

// TestTemporaryDatabaseErrors: deadlock, serialization failure and lock timeout occur
// more often in a row than one transaction is tried, so that the records are submitted
// again as well. They must not become dead letters.
func TestTemporaryDatabaseErrors(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 10)
	w.front.unlisted.Store(true)
	w.exec(`CREATE SEQUENCE hiccups`)
	w.exec(`CREATE FUNCTION hiccup() RETURNS trigger LANGUAGE plpgsql AS $$
		DECLARE n bigint := nextval('hiccups'); -- not rolled back
		BEGIN
			IF n <= 40 THEN
				RAISE EXCEPTION 'injected' USING ERRCODE = (ARRAY['40P01', '40001', '55P03'])[1 + n % 3];
			END IF;
			RETURN NULL;
		END $$`)
	w.exec(`CREATE TRIGGER hiccup AFTER INSERT ON journal FOR EACH ROW EXECUTE FUNCTION hiccup()`)
	w.serve()
	ids := w.create(30)
	w.setStatus("completed", ids[:10]...)
	w.delete(ids[10:15]...)
	w.converges()
	w.nothingHappenedTwice()
	w.noDeadLetters()
	if n := w.count("SELECT last_value FROM hiccups"); n <= 40 {
		t.Errorf("only %d errors were injected", n)
	}
}

// TestDeadlock: another session locks courier and order in the opposite order, and
// PostgreSQL aborts the transaction of the batch. It is repeated.
func TestDeadlock(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	w.serve()
	id := w.create(1)[0]
	w.eventually("it is assigned", func() bool { return w.inState(courier.StateAssigned) == 1 })
	tx := w.begin()
	w.in(tx, "SET LOCAL deadlock_timeout = '1min'") // so that the batch detects it
	w.in(tx, "SELECT FROM couriers FOR UPDATE")
	w.setStatus("completed", id)
	w.eventually("the batch waits for the courier", w.sessionWaits)
	w.in(tx, "SELECT FROM orders FOR UPDATE") // granted when the batch was aborted
	w.must(tx.Commit(t.Context()))
	w.converges()
	w.nothingHappenedTwice()
	w.noDeadLetters()
	w.eventually("PostgreSQL has counted a deadlock", func() bool {
		return w.count("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()") > 0
	})
}
