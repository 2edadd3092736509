package faults

import (
	"math/rand/v2"
	"testing"
	"time"

	"service-courier/internal/courier"
)

// TestEventsFiveTimesShuffled: every event five times, in any order, over six
// partitions, to two replicas.
func TestEventsFiveTimesShuffled(t *testing.T) {
	w := newWorld(t, 30)
	w.sim.Mute(true)
	ids := w.create(60)
	type event struct{ id, status string }
	var events []event
	for i, id := range ids {
		history := []string{"created", "cooking", "delivering", "completed"}[:1+i%4]
		for _, status := range history {
			w.setStatus(status, id)
			for range 5 {
				events = append(events, event{id, status})
			}
		}
		if i%7 == 0 {
			w.delete(id)
			events = append(events, event{id, "deleted"}, event{id, "deleted"})
		}
	}
	rand.New(rand.NewPCG(seedOf(t), 0)).Shuffle(len(events), func(i, j int) { events[i], events[j] = events[j], events[i] })
	w.serve()
	w.serve()
	for _, e := range events {
		w.sim.Emit(e.id, e.status)
	}
	w.agrees()
	if n := w.count("SELECT count(*) FROM (SELECT order_id, what FROM journal GROUP BY 1, 2 HAVING count(*) > 1) twice"); n != 0 {
		t.Errorf("%d transitions were journalled twice", n)
	}
}

// TestLostEventsAreSwept: events that were never published are repaired both
// ways, also for an order that a person holds.
func TestLostEventsAreSwept(t *testing.T) {
	w := newWorld(t, 20)
	w.serve(sweepEvery(time.Second))
	ids := w.create(20)
	w.eventually("all are assigned", func() bool { return w.inState(courier.StateAssigned) == 20 })
	w.exec(`WITH gone AS (DELETE FROM courier_orders WHERE order_id = $1 RETURNING courier_id),
		free AS (UPDATE couriers SET status = 'available', order_id = NULL WHERE id IN (SELECT courier_id FROM gone))
		UPDATE orders SET state = 'held', held_reason = 'a person took it' WHERE order_id = $1`, ids[0])
	w.sim.Mute(true)
	w.setStatus("completed", ids[0], ids[1], ids[2]) // lost completed
	w.create(5)                                      // lost created
	w.agrees()
	if n := w.inState(courier.StateCompleted); n != 3 {
		t.Errorf("%d orders are completed, want 3", n)
	}
}

// TestDeletedWhileServiceOrderIsAway: the event comes when nobody can be asked,
// the replica is gone before it can, and still the order is cancelled.
func TestDeletedWhileServiceOrderIsAway(t *testing.T) {
	w := newWorld(t, 3)
	stop := w.serve()
	ids := w.create(3)
	w.eventually("all are assigned", func() bool { return w.inState(courier.StateAssigned) == 3 })
	w.front.refuse()
	w.delete(ids[0])
	w.eventually("the hint is stored", func() bool {
		return w.count("SELECT count(*) FROM orders WHERE hinted = 'cancelled'") == 1
	})
	stop()
	w.front.heal()
	w.serve()
	w.agrees()
}

// TestForgetfulServiceOrder: restarted empty, it answers 404 for everything.
// Nobody is freed, nobody in line is given a courier, and it is told once.
func TestForgetfulServiceOrder(t *testing.T) {
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

// TestEventAheadOfTheTruth: the event comes before service-order says so.
func TestEventAheadOfTheTruth(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 5)
	w.serve()
	ids := w.create(2)
	w.eventually("both are assigned", func() bool { return w.inState(courier.StateAssigned) == 2 })
	w.sim.Emit(ids[0], "completed")
	w.sim.Emit("not-there-yet", "created")
	w.eventually("both are looked at again", func() bool {
		return w.count("SELECT count(*) FROM orders WHERE look_reason IN ('ahead', 'missing')") == 2
	})
	w.sim.Mute(true) // nothing but the look tells of it
	w.setStatus("completed", ids[0])
	w.agrees()
	w.eventually("the one that never came is forgotten", func() bool {
		w.hurry()
		return w.count("SELECT count(*) FROM orders WHERE order_id = 'not-there-yet'") == 0
	})
}
