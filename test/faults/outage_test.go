package faults

import (
	"flag"
	"io"
	"net/http"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"

	"service-courier/internal/courier"
	"service-courier/internal/ordersim"
)

var outageLasts = flag.Duration("outage", 3*time.Second, "how long service-order is down in TestServiceOrderIsDownForEverybody")

// opensWithin is the deadline of a GET and a second, in which the GETs end that
// began behind the first few; and what a busy machine takes from the event to the
// first GET, and from the last one to the log.
const opensWithin = time.Second + time.Second + 500*time.Millisecond

// TestServiceOrderIsDownForEverybody: whatever way it is down, the breaker
// opens within a second of the first GET's deadline, consumption pauses without
// a rebalance, nothing is dead-lettered and nothing put off, it is told once, and
// all is caught up with afterwards. A breaker that wants a thousand failures never
// opens (tried).
func TestServiceOrderIsDownForEverybody(t *testing.T) {
	for name, down := range map[string]func(*front){
		"refuses":     func(f *front) { f.refuse() },
		"hangs":       func(f *front) { f.fail(f.hang) },
		"answers 503": func(f *front) { f.fail(status(http.StatusServiceUnavailable)) },
		"drips":       func(f *front) { f.fail(f.drip) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, 50)
			w.serve()
			before := w.create(20)
			w.eventually("all are assigned", func() bool { return w.inState(courier.StateAssigned) == 20 })
			down(w.front)
			began := time.Now()
			w.setStatus("completed", before[:10]...)
			w.create(200)
			w.eventually("the breaker opens", func() bool { return w.logs.times("down for everybody") > 0 })
			if after := time.Since(began); after > opensWithin {
				t.Errorf("the breaker opened after %v, want %v at most", after, opensWithin)
			}
			passes(500 * time.Millisecond) // GETs on their way are answered
			gets, rows, heap := w.front.gets.Load(), w.count("SELECT count(*) FROM orders"), heapInUse()
			w.create(300)
			passes(*outageLasts)
			if n := w.front.gets.Load() - gets; n > 2*int64(*outageLasts/time.Second)+4 {
				t.Errorf("%d GETs in %v of outage, want a probe a second", n, *outageLasts)
			}
			if n := w.count("SELECT count(*) FROM orders"); n != rows {
				t.Errorf("%d orders were put off in the database: Kafka is the buffer", n-rows)
			}
			if grown := int64(heapInUse()) - int64(heap); grown > 32<<20 {
				t.Errorf("the heap grew by %d MiB", grown>>20)
			}
			w.front.heal()
			w.agrees()
			for text, want := range map[string]int{"down for everybody": 1, "answers again": 1, "joined the consumer group": 1} {
				if n := w.logs.times(text); n != want {
					t.Errorf("%q was logged %d times, want %d", text, n, want)
				}
			}
			if n := w.count("SELECT count(*) FROM dead_letters"); n != 0 {
				t.Errorf("%d dead letters", n)
			}
		})
	}
}

// passes lets real time go by: what is asserted is that nothing happens in it.
func passes(d time.Duration) { <-time.After(d) }

func heapInUse() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapInuse
}

// TestOneOrderThatAlwaysFails disturbs nobody, alone at night too: it backs off
// to the cap of ten minutes, the API shows how often it failed and why, and the
// breaker stays closed.
func TestOneOrderThatAlwaysFails(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 10)
	w.serve()
	bad := w.create(1)[0]
	w.eventually("it is assigned", func() bool { return w.inState(courier.StateAssigned) == 1 })
	w.front.fail(func(rw http.ResponseWriter, r *http.Request) {
		if r.URL.Path == orderPath+bad {
			rw.WriteHeader(http.StatusInternalServerError)
			return
		}
		w.sim.Handler().ServeHTTP(rw, r)
	})
	w.sim.Emit(bad, "completed")
	w.eventually("it was tried again and again", func() bool {
		w.hurry()
		return w.count("SELECT coalesce(max(look_failures), 0) FROM orders WHERE look_reason = 'unavailable' AND look_error LIKE '%500%'") > 12
	})
	w.eventually("it has backed off to the cap", func() bool {
		return w.count("SELECT count(*) FROM orders WHERE look_due_at > now() + interval '8 minutes'") == 1
	})
	if looking := w.lookingAgain(); !strings.Contains(looking, bad) || !strings.Contains(looking, "HTTP status 500") ||
		!regexp.MustCompile(`"attempts":1[3-9]`).MatchString(looking) {
		t.Errorf("the API does not show the order, its attempts and the last error: %s", looking)
	}
	w.create(5)
	w.eventually("the others are assigned", func() bool { return w.inState(courier.StateAssigned) == 6 })
	if n := w.logs.times("down for everybody"); n != 0 {
		t.Error("the breaker opened over one order")
	}
	w.setStatus(ordersim.StatusCompleted, bad)
	w.front.heal()
	w.eventually("it is completed after all", func() bool {
		w.hurry()
		return w.inState(courier.StateCompleted) == 1
	})
	w.agrees()
}

// lookingAgain is the API's list of orders that are looked at again.
func (w *world) lookingAgain() string {
	w.Helper()
	request, err := http.NewRequestWithContext(w.Context(), http.MethodGet, w.serviceURL()+"/api/v1/orders?state=looking", http.NoBody)
	w.must(err)
	answer, err := http.DefaultTransport.RoundTrip(request)
	w.must(err)
	defer func() { w.check(answer.Body.Close()) }()
	body, err := io.ReadAll(answer.Body)
	w.must(err)
	return string(body)
}
