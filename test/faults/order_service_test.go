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

// TestEventsFiveTimesShuffled: every event five times, in any order, over six
// partitions, to two replicas. There is no sweep: events alone bring the truth.
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
	w.halved()
	for _, e := range events {
		w.sim.Emit(e.id, e.status)
	}
	w.published(int64(len(events)))
	w.allCommitted()
	w.agrees()
	w.nothingTwice()
}

// TestLostEventsAreSwept: events that were never published are repaired both
// ways within two periods of the sweep, also for an order that a person holds.
func TestLostEventsAreSwept(t *testing.T) {
	t.Parallel()
	const period = 3 * time.Second
	w := newWorld(t, 20)
	w.serve(sweepEvery(period))
	ids := w.create(20)
	w.eventually("all are assigned", func() bool { return w.inState(courier.StateAssigned) == 20 })
	w.exec(`WITH gone AS (DELETE FROM courier_orders WHERE order_id = $1 RETURNING courier_id),
		free AS (UPDATE couriers SET status = 'available', order_id = NULL WHERE id IN (SELECT courier_id FROM gone))
		UPDATE orders SET state = 'held', held_reason = 'a person took it' WHERE order_id = $1`, ids[0])
	w.sim.Mute(true)
	lost := time.Now()
	w.setStatus("completed", ids[0], ids[1], ids[2]) // lost completed
	w.create(5)                                      // lost created
	w.agrees()
	if after := time.Since(lost); after > 2*period {
		t.Errorf("repaired after %v, want two periods of %v at most", after, period)
	}
	if n := w.inState(courier.StateCompleted); n != 3 {
		t.Errorf("%d orders are completed, want 3", n)
	}
}

// TestDeletedWhileServiceOrderIsAway: the event comes when nobody can be asked,
// the replica is killed before it can, and still the order is cancelled. Its
// event is committed, so that nobody reads it again.
func TestDeletedWhileServiceOrderIsAway(t *testing.T) {
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
	w.agrees()
}

// TestForgetfulServiceOrder: restarted empty, it answers 404 for everything.
// Nobody is freed, nobody in line is given a courier, and it is told once.
func TestForgetfulServiceOrder(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 6)
	w.serve(sweepEvery(time.Second))
	ids := w.create(10)
	w.eventually("six are assigned", func() bool { return w.inState(courier.StateAssigned) == 6 })
	w.must(w.sim.Forget())
	w.eventually("the alarm is given", func() bool { return w.logs.times("lost its memory") == 1 })
	w.eventually("all are missing", func() bool { return w.count("SELECT count(*) FROM orders WHERE missing_since IS NOT NULL") == 10 })
	w.exec("INSERT INTO couriers (name, phone) VALUES ('new', 'new')")
	next := w.create(1) // somebody free is given to the order that is there
	w.eventually("the new order has the new courier", func() bool {
		return w.count("SELECT count(*) FROM courier_orders WHERE order_id = $1", next[0]) == 1
	})
	if a, wait := w.inState(courier.StateAssigned), w.inState(courier.StateWaiting); a != 7 || wait != 4 {
		t.Errorf("%d assigned and %d waiting of %d forgotten ones and 1 new; want 7 and 4", a, wait, len(ids))
	}
	w.sound()
	if n := w.logs.times("lost its memory"); n != 1 {
		t.Errorf("the alarm was given %d times", n)
	}
}

// TestEventAheadOfTheTruth: the event comes two seconds before service-order says
// so: it still tells the old status, or does not know the order yet. One that it
// never comes to know is forgotten.
func TestEventAheadOfTheTruth(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 5)
	w.serve()
	ids := w.create(2)
	w.eventually("both are assigned", func() bool { return w.inState(courier.StateAssigned) == 2 })
	w.front.fail(func(rw http.ResponseWriter, r *http.Request) {
		if id, isOrder := strings.CutPrefix(r.URL.Path, orderPath); isOrder && !slices.Contains(ids, id) {
			rw.WriteHeader(http.StatusNotFound)
			return
		}
		w.sim.Handler().ServeHTTP(rw, r)
	})
	w.create(1)
	w.sim.Emit(ids[0], "completed")
	w.sim.Emit("never-there", "created")
	w.eventually("all are looked at again", func() bool {
		return w.count("SELECT count(*) FROM orders WHERE look_reason = 'ahead' OR look_reason = 'missing' AND state = 'seen'") == 3
	})
	passes(2 * time.Second)
	w.sim.Mute(true) // nothing but the look tells of it
	w.setStatus("completed", ids[0])
	w.front.heal()
	w.agrees()
	w.eventually("the one that never came is forgotten", func() bool {
		w.hurry()
		return w.count("SELECT count(*) FROM orders WHERE order_id = 'never-there'") == 0
	})
}

// TestOrderEndsWhileAnOlderAnswerIsOnItsWay: a GET is answered, and before the
// answer arrives the order ends, and the event of that is handled beside it, by
// another replica. The older answer comes last and must bring nothing back. Without
// ladder and tombstone it fails (tried).
func TestOrderEndsWhileAnOlderAnswerIsOnItsWay(t *testing.T) {
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
			w.halved()
			w.produce(slices.Repeat([]string{hint(w.create(1)[0])}, partitions)...)
			w.allCommitted() // so both read
			w.sim.Mute(true)
			id := w.create(1)[0]
			answered, ended := w.holdFirstAnswer()
			w.sim.Mute(false)
			w.sim.Emit(id, "created")
			<-answered
			end(w, id)
			// On every partition, so that each replica hears of it.
			w.produce(slices.Repeat([]string{fmt.Sprintf(`{"order_id":%q,"status":%q}`, id, ending)}, partitions)...)
			w.eventually("it has ended", func() bool { return w.inState(ending) == 1 })
			close(ended)
			w.eventually("the older answer came to nothing", func() bool { return w.logs.times("hint came to nothing") > 0 })
			w.allCommitted()
			if n := w.inState(ending); n != 1 {
				t.Errorf("it is not %s any more", ending)
			}
			if n := w.count("SELECT count(*) FROM couriers WHERE status = 'available'"); n != 1 {
				t.Error("the courier was given to an order that had ended")
			}
			w.sound()
		})
	}
}

// holdFirstAnswer lets service-order answer, and keeps the first answer back until
// release is closed.
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
			case <-r.Context().Done(): // too late: the test fails for want of the older answer
			}
		}
		rw.WriteHeader(answer.Code)
		_, _ = rw.Write(answer.Body.Bytes())
	})
	return answered, release
}
