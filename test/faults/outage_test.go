package faults

import (
	"flag"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"service-courier/internal/courier"
	"service-courier/internal/dev/citest"
	"service-courier/internal/dev/ordersim"
)

var outageLasts = flag.Duration("outage", time.Second, "how long service-order is down in TestServiceOrderIsDown")

const (
	// opensWithin is the deadline of the first GET, a second in which the GETs after the
	// first few end, and what a busy machine needs to log it.
	opensWithin = time.Second + time.Second + 1500*time.Millisecond
	// mayGrow bounds the growth of a replica's heap in an outage: twice what it reads
	// ahead, some 2,000 records of each of three partitions.
	mayGrow = 32 << 20
)

// TestServiceOrderIsDown: in whatever way it is down, the breaker of each replica opens
// within a second of the first GET's deadline, consumption pauses without a rebalance, no
// order is dead-lettered or deferred, the outage is logged once, and afterwards all events
// are processed. A breaker that needs a thousand failures never opens (tried).
func TestServiceOrderIsDown(t *testing.T) {
	citest.Only(t, "each case sends 30 MiB of events to two replicas, alone")
	for name, down := range map[string]func(*front){
		"refuses":     func(f *front) { f.refuse() },
		"hangs":       func(f *front) { f.fail(f.hang) },
		"answers 503": func(f *front) { f.fail(status(http.StatusServiceUnavailable)) },
		"drips":       func(f *front) { f.fail(f.drip) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, 50)
			replicas := []replica{w.spawn(), w.spawn()} // each with a heap of its own
			w.partitionsAreShared()
			before := w.create(20)
			w.eventually("all are assigned", func() bool { return w.inState(courier.StateAssigned) == 20 })
			generation := w.kafka.Cluster().GroupInfo(groupID).Epoch

			began := time.Now()
			down(w.front)
			w.setStatus("completed", before[:10]...)
			w.create(200)
			w.eventually("the breakers open", func() bool {
				return !slices.ContainsFunc(replicas, func(r replica) bool { return len(r.logged(isDown)) == 0 })
			})
			first := began // a refused GET does not reach the front
			if harmed := w.front.harmed.Load(); harmed != nil {
				first = *harmed
			}
			for _, r := range replicas {
				if after := r.logged(isDown)[0].Sub(first); after > opensWithin {
					t.Errorf("the breaker opened %v after the first GET, want %v at most", after, opensWithin)
				}
			}

			sleep(500 * time.Millisecond) // pending GETs are answered
			paused := time.Now()
			gets, rows, heaps := w.front.gets.Load(), w.count("SELECT count(*) FROM orders"), w.heaps(replicas)
			w.create(300)
			w.produce(slices.Repeat([]string{bulky(before[19])}, 15_000)...) // 30 MiB
			sleep(*outageLasts)
			probes := int64(len(replicas)) * (2 + int64(time.Since(paused)/time.Second))
			if n := w.front.gets.Load() - gets; n > probes {
				t.Errorf("%d GETs in %v of outage, want a probe a second of each replica", n, time.Since(paused))
			}
			if n := w.count("SELECT count(*) FROM orders"); n != rows {
				t.Errorf("%d orders were deferred in the database: Kafka is the buffer", n-rows)
			}
			for i, heap := range w.heaps(replicas) {
				if grown := heap - heaps[i]; grown > mayGrow {
					t.Errorf("a replica's heap grew by %d MiB", grown>>20)
				}
			}
			w.front.heal()
			w.eventually("all events are processed", func() bool {
				w.makeRechecksDue() // a recheck claimed when the breaker opened waits for the end of its lease
				return len(w.differences()) == 0
			})
			w.converges()
			w.allCommitted()
			if now := w.kafka.Cluster().GroupInfo(groupID).Epoch; now != generation {
				t.Errorf("the group was rebalanced: generation %d became %d", generation, now)
			}
			for _, r := range replicas {
				for _, text := range []string{isDown, "circuit breaker closed"} {
					if n := len(r.logged(text)); n != 1 {
						t.Errorf("a replica logged %q %d times, want once", text, n)
					}
				}
			}
			w.noDeadLetters()
		})
	}
}

// isDown is part of the log message when the breaker opens.
const isDown = "circuit breaker opened"

// sleep lets real time pass, in which nothing must happen.
func sleep(d time.Duration) { <-time.After(d) }

// bulky is an event of two KiB.
func bulky(id string) string {
	return fmt.Sprintf(`{"order_id":%q,"pad":%q}`, id, strings.Repeat("x", 2000))
}

// heaps returns the heap sizes at which the replicas collect garbage: twice what is in use.
func (w *world) heaps(replicas []replica) (sizes []int) {
	w.Helper()
	for _, r := range replicas {
		sizes = append(sizes, w.scrape(listens.FindStringSubmatch(r.printed())[1], "go_memstats_next_gc_bytes")[0])
	}
	return sizes
}

// TestOutageWhileIdle: without any event service-order is requested seldom, and yet its
// outage is logged with the cause, and so is its end.
func TestOutageWhileIdle(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	w.serve()
	w.eventually("service-order is probed", func() bool { return w.front.gets.Load() > 0 })
	const refused = `component=service-order error="service-order refuses connections`
	const recovered = `"dependency recovered" component=service-order`
	w.front.refuse()
	w.eventually("the outage is logged", func() bool { return w.logs.times(refused) == 1 })
	w.front.heal()
	w.eventually("its end is logged", func() bool { return w.logs.times(recovered) == 1 })
	if n := w.logs.times(refused); n != 1 {
		t.Errorf("the outage was logged %d times", n)
	}
}

// TestOneOrderThatAlwaysFails: it backs off to the cap of ten minutes and no further, the
// API shows its attempts and the last error, other orders are not affected, and the
// breaker stays closed.
func TestOneOrderThatAlwaysFails(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 10)
	w.serve()
	bad := w.create(1)[0]
	w.eventually("it is assigned", func() bool { return w.inState(courier.StateAssigned) == 1 })
	w.answer500(bad)
	w.sim.Emit(bad, "completed")
	w.eventually("it is rechecked many times", func() bool {
		w.makeRechecksDue()
		return w.count("SELECT coalesce(max(recheck_failures), 0) FROM orders WHERE recheck_reason = 'unavailable' AND recheck_error LIKE '%500%'") > 12
	})
	w.eventually("it has backed off to the cap of ten minutes, ± 10 %", func() bool {
		return w.count("SELECT count(*) FROM orders WHERE recheck_at BETWEEN now() + interval '8 minutes' AND now() + interval '11 minutes'") == 1
	})
	if looking := w.listed("pending_recheck"); !strings.Contains(looking, bad) || !strings.Contains(looking, "HTTP status 500") ||
		!regexp.MustCompile(`"attempts":1[3-9]`).MatchString(looking) {
		t.Errorf("the API does not show the order, its attempts and the last error: %s", looking)
	}
	w.create(5)
	w.eventually("the others are assigned", func() bool { return w.inState(courier.StateAssigned) == 6 })
	if n := w.logs.times(isDown); n != 0 {
		t.Error("the breaker opened because of one order")
	}
	w.setStatus(ordersim.StatusCompleted, bad)
	w.front.heal()
	w.eventually("it is completed", func() bool {
		w.makeRechecksDue()
		return w.inState(courier.StateCompleted) == 1
	})
	w.converges()
}

// TestManyOrdersThatAlwaysFail: far more orders fail than make the breaker probe
// service-order, in the batches of every partition. Other orders are not affected.
func TestManyOrdersThatAlwaysFail(t *testing.T) {
	t.Parallel()
	const many = 60
	w := newWorld(t, many+20)
	w.serve()
	bad := w.create(many)
	w.eventually("they are assigned", func() bool { return w.inState(courier.StateAssigned) == many })
	w.answer500(bad...)
	for _, id := range bad {
		w.sim.Emit(id, "completed")
	}
	w.create(10)
	w.eventually("the others are assigned", func() bool { return w.inState(courier.StateAssigned) == many+10 })
	w.eventually("each of them is deferred", func() bool {
		return w.count("SELECT count(*) FROM orders WHERE recheck_reason = 'unavailable'") == many
	})
	w.create(10)
	w.eventually("later ones are assigned", func() bool { return w.inState(courier.StateAssigned) == many+20 })
	if n := w.logs.times(isDown); n != 0 {
		t.Errorf("the breaker opened %d times though service-order answered the probe", n)
	}
	w.setStatus(ordersim.StatusCompleted, bad...)
	w.front.heal()
	w.eventually("they are completed", func() bool {
		w.makeRechecksDue()
		return w.inState(courier.StateCompleted) == many
	})
	w.converges()
}

// answer500 makes every GET of these orders fail.
func (w *world) answer500(ids ...string) {
	paths := make(map[string]bool)
	for _, id := range ids {
		paths[orderPath+id] = true
	}
	w.front.fail(func(rw http.ResponseWriter, r *http.Request) {
		if paths[r.URL.Path] {
			rw.WriteHeader(http.StatusInternalServerError)
			return
		}
		w.sim.Handler().ServeHTTP(rw, r)
	})
}

// listed returns the API's list of orders in a state.
func (w *world) listed(state string) string {
	w.Helper()
	request, err := http.NewRequestWithContext(w.Context(), http.MethodGet, w.serviceURL()+"/api/v1/orders?state="+state, http.NoBody)
	w.must(err)
	answer, err := http.DefaultTransport.RoundTrip(request)
	w.must(err)
	defer func() { w.check(answer.Body.Close()) }()
	body, err := io.ReadAll(answer.Body)
	w.must(err)
	return string(body)
}
