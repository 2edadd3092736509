package faults

import (
	"flag"
	"math/rand/v2"
	"sync"
	"testing"
	"time"
)

var trials = flag.Int("trials", 100, "number of trials of TestRandomMeetings")

// TestRandomMeetings: a courier is registered, resumed or freed at the moment at which an
// order is created, while other orders wait and two replicas match. The first order in
// the queue must get the courier, and no order may wait beside an available courier for
// more than a second.
func TestRandomMeetings(t *testing.T) {
	t.Parallel()
	luck := rand.New(rand.NewPCG(seedOf(t), 0))
	w := newWorld(t, 0)
	w.serve()
	w.serve()
	w.create(1 + luck.IntN(3)) // always wait: as many arrive as are assigned
	for i := range *trials {
		free := w.courierToFree(luck, i)
		var both sync.WaitGroup
		start, early := make(chan struct{}), time.Duration(luck.IntN(3000))*time.Microsecond
		both.Go(func() { <-start; free() })
		both.Go(func() {
			<-start
			sleep(early)
			if _, err := w.sim.Create(); err != nil {
				t.Error(err)
			}
		})
		close(start)
		both.Wait()
		w.meet()
	}
	if n := w.count(`SELECT count(*) FROM orders w WHERE w.state = 'waiting'
		AND w.queue_position < (SELECT max(queue_position) FROM orders a WHERE a.state IN ('assigned', 'completed'))`); n != 0 {
		t.Errorf("%d orders wait though a later one was assigned", n)
	}
	w.converges()
}

// courierToFree prepares a courier and returns a function that makes them available.
func (w *world) courierToFree(luck *rand.Rand, trial int) (free func()) {
	w.Helper()
	act := func(sql string) func() {
		return func() {
			if _, err := w.pool.Exec(w.Context(), sql, trial); err != nil {
				w.Error(err)
			}
		}
	}
	switch luck.IntN(3) {
	case 0:
		return act("INSERT INTO couriers (name, phone) VALUES ('new', $1::int::text)")
	case 1:
		act("INSERT INTO couriers (name, phone, status) VALUES ('paused', $1::int::text, 'paused')")()
		return act("UPDATE couriers SET status = 'available', free_since = now() WHERE phone = $1::int::text")
	}
	var id string
	err := w.pool.QueryRow(w.Context(), "SELECT order_id FROM courier_orders WHERE completed_at IS NULL ORDER BY random() LIMIT 1").Scan(&id)
	if err != nil { // no courier has an order yet
		return act("INSERT INTO couriers (name, phone) VALUES ('new', $1::int::text)")
	}
	return func() { w.check(w.sim.SetStatus(id, "completed")) }
}

// matchesWithin is longer than matching takes under the race detector on a busy machine; a
// pair that is never matched stays for ever.
const matchesWithin = 10 * time.Second

// meet waits until every order is known and either no order waits or no courier is
// available, and fails when both exist for longer than matchesWithin.
func (w *world) meet() {
	w.Helper()
	want := len(w.sim.Truth())
	completed := 0
	for _, status := range w.sim.Truth() {
		if status == "completed" {
			completed++
		}
	}
	poll := time.NewTicker(2 * time.Millisecond)
	defer poll.Stop()
	var both time.Time // since when
	for deadline := time.Now().Add(patience); ; <-poll.C {
		var known, done, waiting, free int
		w.must(w.pool.QueryRow(w.Context(), `
			SELECT count(*), count(*) FILTER (WHERE state = 'completed'), count(*) FILTER (WHERE state = 'waiting'),
				(SELECT count(*) FROM couriers WHERE status = 'available') FROM orders`).Scan(&known, &done, &waiting, &free))
		switch {
		case waiting == 0 || free == 0:
			if both = (time.Time{}); known == want && done == completed {
				return
			}
		case both.IsZero():
			both = time.Now()
		case time.Since(both) > matchesWithin:
			w.Fatalf("%d orders wait and %d couriers are available, for more than %v", waiting, free, matchesWithin)
		}
		if time.Now().After(deadline) {
			w.Fatalf("%d of %d orders are known, %d of %d completed", known, want, done, completed)
		}
	}
}
