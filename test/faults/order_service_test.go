package faults

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"service-courier/internal/courier"
)

// TestEventsFiveTimesShuffled: every event five times, in any order, over six partitions,
// to two replicas. There is no resync: the events alone must suffice.
func TestEventsFiveTimesShuffled(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 30)
	w.front.unlisted.Store(true)
	w.sim.Mute(true)
	type event struct{ id, status string }
	var events []event
	for i, id := range w.create(60) {
		history := []string{"created", "cooking", "delivering", "completed"}[:1+i%4]
		for _, status := range history {
			w.setStatus(status, id)
		}
		if i%7 == 0 {
			w.delete(id)
			history = append(history, "deleted")
		}
		for _, status := range history {
			events = append(events, slices.Repeat([]event{{id, status}}, 5)...)
		}
	}
	rand.New(rand.NewPCG(seedOf(t), 0)).Shuffle(len(events), func(i, j int) { events[i], events[j] = events[j], events[i] })
	w.serve()
	w.serve()
	w.partitionsAreShared()
	for _, e := range events {
		w.sim.Emit(e.id, e.status)
	}
	w.published(int64(len(events)))
	w.allCommitted()
	w.converges()
	w.nothingHappenedTwice()
}

// TestLostEventsAreResynced: the resync repairs events that were never published, created
// and completed, also for an order on hold: the one that goes on when they are lost, or the
// next.
func TestLostEventsAreResynced(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 20)
	w.exec("CREATE TABLE resyncs (number bigserial, orders bigint, completed bigint)")
	w.exec(`CREATE FUNCTION note_resync() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
		INSERT INTO resyncs (orders, completed) SELECT count(*), count(*) FILTER (WHERE state = 'completed') FROM orders;
		RETURN NULL;
	END $$`)
	w.exec("CREATE TRIGGER note_resync AFTER INSERT OR UPDATE ON resync FOR EACH ROW EXECUTE FUNCTION note_resync()")
	w.serve(resyncEvery(3 * time.Second))
	ids := w.create(20)
	w.eventually("all are assigned", func() bool { return w.inState(courier.StateAssigned) == 20 })
	w.exec(`WITH gone AS (DELETE FROM courier_orders WHERE order_id = $1 RETURNING courier_id),
		free AS (UPDATE couriers SET status = 'available', order_id = NULL WHERE id IN (SELECT courier_id FROM gone))
		UPDATE orders SET state = 'held', held_reason = 'unassigned by a dispatcher' WHERE order_id = $1`, ids[0])
	w.sim.Mute(true)
	w.setStatus("completed", ids[0], ids[1], ids[2]) // lost completed
	w.create(5)                                      // lost created
	w.exec("DELETE FROM resyncs")
	w.eventually("two resyncs have ended", func() bool { return w.count("SELECT count(*) FROM resyncs") >= 2 })
	if repaired := w.count("SELECT count(*) FROM (SELECT * FROM resyncs ORDER BY number LIMIT 2) r WHERE orders = 25 AND completed = 3"); repaired == 0 {
		t.Error("two resyncs have not repaired everything")
	}
	w.converges()
	if n := w.inState(courier.StateCompleted); n != 3 {
		t.Errorf("%d orders are completed, want 3", n)
	}
}

// TestDeletedWhileServiceOrderIsUnavailable: the event arrives during an outage of
// service-order, and the replica is killed before its end. The order is cancelled all the
// same, though the event's offset is committed.
func TestDeletedWhileServiceOrderIsUnavailable(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 3)
	run := w.spawn()
	ids := w.create(3)
	w.eventually("all are assigned", func() bool { return w.inState(courier.StateAssigned) == 3 })
	w.front.refuse()
	w.delete(ids[0])
	w.eventually("the hint is stored", func() bool {
		return w.count("SELECT count(*) FROM orders WHERE hinted = 'cancelled'") == 1
	})
	w.allCommitted()
	w.must(run.Kill())
	w.front.heal()
	w.serve()
	w.converges()
}

// TestServiceOrderLosesItsState: restarted empty, it answers 404 for every order. No
// courier is freed, no waiting order is assigned, and the alarm is logged once.
func TestServiceOrderLosesItsState(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 6)
	w.serve(resyncEvery(time.Second))
	ids := w.create(10)
	w.eventually("six are assigned", func() bool { return w.inState(courier.StateAssigned) == 6 })
	w.must(w.sim.Forget())
	w.eventually("the alarm is logged", func() bool { return w.logs.times("service-order lost its state") == 1 })
	w.eventually("all are missing", func() bool { return w.count("SELECT count(*) FROM orders WHERE missing_since IS NOT NULL") == 10 })
	w.exec("INSERT INTO couriers (name, phone) VALUES ('new', 'new')")
	next := w.create(12) // known to service-order, so the first gets the new courier
	w.eventually("a new order has the new courier", func() bool { return w.inState(courier.StateAssigned) == 7 })
	w.eventually("all new orders are known", func() bool { return w.count("SELECT count(*) FROM orders") == len(ids)+len(next) })
	if a, wait := w.inState(courier.StateAssigned), w.inState(courier.StateWaiting); a != 7 || wait != 15 {
		t.Errorf("%d assigned and %d waiting of %d lost orders and %d new; want 7 and 15", a, wait, len(ids), len(next))
	}
	w.invariantsHold()
	if n := w.logs.times("service-order lost its state"); n != 1 {
		t.Errorf("the alarm was logged %d times", n)
	}
}

// TestAnotherServerAnswers: ORDER_SERVICE_URL leads to another server, which answers 404 for
// every order. No order is forgotten or cancelled, also with a forged cancel event;
// consumption goes on, and the alarm is logged once.
func TestAnotherServerAnswers(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 5)
	w.serve(resyncEvery(time.Second))
	live := w.create(2)
	w.eventually("two are assigned", func() bool { return w.inState(courier.StateAssigned) == 2 })
	w.front.fail(http.NotFound)
	w.sim.Emit(live[0], "cancelled")
	w.create(10)
	w.eventually("all events are saved", func() bool {
		return w.count("SELECT count(*) FROM orders WHERE recheck_reason = 'unavailable' AND (state = 'seen' OR order_id = $1)", live[0]) == 11
	})
	w.eventually("each is rechecked more often than a missing one", func() bool {
		w.makeRechecksDue()
		return w.count("SELECT min(recheck_failures) FROM orders WHERE recheck_reason = 'unavailable'") > 6
	})
	if a, missing := w.inState(courier.StateAssigned), w.count("SELECT count(*) FROM orders WHERE missing_since IS NOT NULL"); a != 2 || missing != 0 {
		t.Errorf("%d assigned and %d missing, want 2 and 0", a, missing)
	}
	if w.logs.times("circuit breaker opened") != 0 || w.logs.times("component=service-order") != 1 || w.logs.times("correct ORDER_SERVICE_URL") == 0 {
		t.Error("want one alarm with its fix, and the breaker closed")
	}
	w.front.heal()
	w.eventually("all are rechecked", func() bool {
		w.makeRechecksDue()
		return w.count("SELECT count(*) FROM orders WHERE recheck_reason = 'unavailable'") == 0
	})
	w.converges()
}

// TestEventAheadOfServiceOrder: the event arrives two seconds before service-order has
// the change: it answers the old status, or 404. An order that it never has is deleted.
func TestEventAheadOfServiceOrder(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 5)
	w.serve()
	ids := w.create(2)
	w.eventually("both are assigned", func() bool { return w.inState(courier.StateAssigned) == 2 })
	w.front.fail(func(rw http.ResponseWriter, r *http.Request) {
		if id, isOrder := strings.CutPrefix(r.URL.Path, orderPath); isOrder && !slices.Contains(ids, id) {
			notFound(rw, r)
			return
		}
		w.sim.Handler().ServeHTTP(rw, r)
	})
	w.create(1)
	w.sim.Emit(ids[0], "completed")
	w.sim.Emit("never-there", "created")
	w.eventually("rechecks are scheduled", func() bool {
		return w.count("SELECT count(*) FROM orders WHERE recheck_reason = 'ahead' OR recheck_reason = 'missing' AND state = 'seen'") == 3
	})
	sleep(2 * time.Second)
	w.sim.Mute(true) // only a recheck finds it
	w.setStatus("completed", ids[0])
	w.front.heal()
	w.converges()
	w.eventually("the unknown order is deleted", func() bool {
		w.makeRechecksDue()
		return w.count("SELECT count(*) FROM orders WHERE order_id = 'never-there'") == 0
	})
}

// TestOlderAnswerArrivesAfterTheEnd: before the answer to a GET arrives, the order ends,
// and another replica processes that event. The older answer arrives last and must change
// nothing. Without ladder and tombstone it fails (tried).
func TestOlderAnswerArrivesAfterTheEnd(t *testing.T) {
	t.Parallel()
	for ending, end := range map[courier.State]func(w *world, id string){
		courier.StateCompleted: func(w *world, id string) { w.setStatus("completed", id) },
		courier.StateCancelled: func(w *world, id string) { w.delete(id) },
	} {
		t.Run(string(ending), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, 2)
			w.front.unlisted.Store(true)
			w.serve()
			w.serve()
			w.partitionsAreShared()
			w.produce(slices.Repeat([]string{hint(w.create(1)[0])}, partitions)...)
			w.allCommitted() // both replicas read
			w.sim.Mute(true)
			id := w.create(1)[0]
			answered, ended := w.holdFirstAnswer()
			w.sim.Mute(false)
			w.sim.Emit(id, "created")
			<-answered
			end(w, id)
			// On every partition, so that both replicas get it.
			w.produce(slices.Repeat([]string{fmt.Sprintf(`{"order_id":%q,"status":%q}`, id, ending)}, partitions)...)
			w.eventually("it has ended", func() bool { return w.inState(ending) == 1 })
			close(ended)
			w.eventually("the event of the older answer was ignored", func() bool { return w.logs.times("event ignored") > 0 })
			w.allCommitted()
			if n := w.inState(ending); n != 1 {
				t.Errorf("it is no longer %s", ending)
			}
			if n := w.count("SELECT count(*) FROM couriers WHERE status = 'available'"); n != 1 {
				t.Error("the courier was assigned to an order that had ended")
			}
			w.invariantsHold()
		})
	}
}

// holdFirstAnswer delays the first answer of service-order until release is closed.
func (w *world) holdFirstAnswer() (answered, release chan struct{}) {
	answered, release = make(chan struct{}), make(chan struct{})
	var held atomic.Bool
	w.front.fail(func(rw http.ResponseWriter, r *http.Request) {
		answer := httptest.NewRecorder()
		w.sim.Handler().ServeHTTP(answer, r)
		if strings.HasPrefix(r.URL.Path, orderPath) && held.CompareAndSwap(false, true) {
			close(answered)
			select {
			case <-release:
			case <-r.Context().Done(): // too late: the test will fail without the older answer
			}
		}
		rw.WriteHeader(answer.Code)
		_, _ = rw.Write(answer.Body.Bytes())
	})
	return answered, release
}
