package faults

import (
	"math/rand/v2"
	"testing"

	"service-courier/internal/courier"
	"service-courier/test/faults/wire"
)

// notDead fails when anything became a dead letter.
func (w *world) notDead() {
	w.Helper()
	if n := w.count("SELECT count(*) FROM dead_letters"); n != 0 {
		w.Errorf("%d dead letters", n)
	}
}

// TestCommitAnswerIsLost: PostgreSQL commits, and the connection breaks or
// hangs before it can say so. What is not known to be saved is done again, and
// having been saved already must make no difference.
func TestCommitAnswerIsLost(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 10)
	w.front.unlisted.Store(true)
	p := w.wire()
	w.serve(through(p))
	luck := rand.New(rand.NewPCG(1, 0))
	for i := range int64(6) {
		hangs := i == 3 // for as long as a batch may take
		w.randomTraffic(luck, p.Lay(wire.Trap{Text: wire.Commit, Skip: i % 3, Answer: true, Cut: !hangs}))
	}
	w.agrees()
	w.nothingTwice()
	w.notDead()
}

// TestErrorsThatSayNotNow: deadlock, serialization failure and lock timeout,
// many times in a row: more than one transaction is tried, so that Kafka's
// records are handed over again as well. They must never pass for the records'
// own fault.
func TestErrorsThatSayNotNow(t *testing.T) {
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
	w.agrees()
	w.nothingTwice()
	w.notDead()
	if n := w.count("SELECT last_value FROM hiccups"); n <= 40 {
		t.Errorf("only %d errors were injected", n)
	}
}

// TestDeadlock: somebody locks courier and order in the opposite order, and
// PostgreSQL ends the batch's transaction to get out of it. It is done again.
func TestDeadlock(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	w.serve()
	id := w.create(1)[0]
	w.eventually("it is assigned", func() bool { return w.inState(courier.StateAssigned) == 1 })
	tx := w.begin()
	w.in(tx, "SET LOCAL deadlock_timeout = '1min'") // the other one is to find it
	w.in(tx, "SELECT FROM couriers FOR UPDATE")
	w.setStatus("completed", id)
	w.eventually("the batch waits for the courier", w.somebodyWaits)
	w.in(tx, "SELECT FROM orders FOR UPDATE") // until the batch has lost
	w.must(tx.Commit(t.Context()))
	w.agrees()
	w.nothingTwice()
	w.notDead()
	w.eventually("PostgreSQL has counted a deadlock", func() bool {
		return w.count("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()") > 0
	})
}
